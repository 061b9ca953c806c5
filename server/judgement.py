"""A payload decoded, and judged by what devices disclose and by the truth where a simulation knows it."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices import messages
from radio.schemes.registry import estimates_mean, inverts, is_coherent, is_on_air
from radio.uplink import Plan, Reception, Scheme, Sounding, Truth
from server.error_budget import Estimates, error_budget
from server.metrics import (
    even_superposition,
    mean_vector,
    noiseless_energies,
    perfect_superposition,
    relative_error,
    unturn,
)
from server.planning import RoundFailed

Record = dict[str, Any]


class Payload(NamedTuple):
    """What a round carried over the air."""

    plan: Plan
    sounding: Sounding
    sent: dict[int, messages.Sent]
    reception: Reception


def decode_and_judge(
    scheme: Scheme,
    truth: Truth | None,
    payload: Payload,
    updates: Sequence[NDArray[np.float32]],
    record: Record,
) -> NDArray[np.floating]:
    """The estimate; what it is worth goes to the record. updates: memory + change of every active device, where they
    are disclosed. Raises RoundFailed for an estimate that is not finite."""
    plan, sent, reception = payload.plan, payload.sent, payload.reception
    amplitudes = {d: reply.amplitudes for d, reply in sent.items() if reply.amplitudes is not None}
    if len(amplitudes) < len(sent) or not updates:
        return _decoded(scheme, reception, plan)
    if is_on_air(scheme):
        record["transmit_energy"] = math.fsum(float(np.vdot(a, a).real) for a in amplitudes.values())
    mean_sent = mean_vector([reply.sent for reply in sent.values() if reply.sent is not None])
    mean_update = mean_vector(updates)
    record["values"] = int(np.count_nonzero(mean_sent))
    if not estimates_mean(scheme):
        return _decoded(scheme, reception, plan)
    if truth is None or not is_on_air(scheme):
        estimate = _decoded(scheme, reception, plan)
    elif not is_coherent(scheme):
        estimate = _judge_energies(scheme, truth, payload, amplitudes, record)
    else:
        estimate = _judge_air(scheme, truth, payload, amplitudes, mean_sent, mean_update, record)
    record["nmse"] = relative_error(estimate, mean_sent)
    record["nmse_full"] = relative_error(estimate, mean_update)
    return estimate


def _judge_air(
    scheme: Scheme,
    truth: Truth,
    payload: Payload,
    amplitudes: Mapping[int, NDArray[np.complexfloating]],
    mean_sent: NDArray[np.floating],
    mean_update: NDArray[np.floating],
    record: Record,
) -> NDArray[np.floating]:
    """The estimate, judged against what would have been decoded without noise, with perfect phases."""
    plan, sounding, _, reception = payload
    unturned = unturn(plan, amplitudes, sounding.channels)
    perfect = perfect_superposition(plan, unturned, truth)
    even = even_superposition(plan, unturned, sounding.channels if inverts(scheme) else None)
    received = [
        reception,
        *(replace(reception, amplitudes=each, noise_variance=0.0) for each in (perfect, even)),
    ]
    with ThreadPoolExecutor(2, "decode") as pool:  # the first is the round's; the others only judge it
        decoding = [pool.submit(scheme.decode, each, plan) for each in received]
        disturbances = truth.disturbances(plan, unturned, sounding, reception)
        estimate, reference, unfaded = (each.result() for each in decoding)
    estimates = Estimates(mean_update, mean_sent, unfaded, reference, _finite(estimate))
    record["nmse_air"] = relative_error(estimate, reference)
    record["nmse_amplitude"] = relative_error(reception.amplitudes, perfect)
    if disturbances is not None:
        record["error_budget"] = error_budget(estimates, disturbances)
    return estimate


def _judge_energies(
    scheme: Scheme,
    truth: Truth,
    payload: Payload,
    amplitudes: Mapping[int, NDArray[np.complexfloating]],
    record: Record,
) -> NDArray[np.floating]:
    """The estimate, judged against what would have been decoded if energies of devices just added, without noise.

    Amplitudes with random phases have no reference, and their errors no causes that could be told apart.
    """
    plan, _, _, reception = payload
    energies = noiseless_energies(plan, amplitudes, truth)
    perfect = replace(reception, amplitudes=np.sqrt(energies).astype(np.complex128), noise_variance=0.0)
    estimate = _decoded(scheme, reception, plan)
    record["nmse_air"] = relative_error(estimate, scheme.decode(perfect, plan))
    return estimate


def _decoded(scheme: Scheme, reception: Reception, plan: Plan) -> NDArray[np.floating]:
    try:
        return _finite(scheme.decode(reception, plan))
    except ValueError as error:
        if is_on_air(scheme):
            raise
        raise RoundFailed(str(error)) from error  # bits are a device's word, and may be none


def _finite(estimate: NDArray[np.floating]) -> NDArray[np.floating]:
    if not np.isfinite(estimate).all():
        raise RoundFailed("the decoded estimate is not finite; check link.scheme and update.estimator")
    return estimate
