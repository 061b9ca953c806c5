"""A channel's response from many probes: their mean, as long as it is one channel."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.burst import BurstEstimate
from calibration.delay import remove_delay
from radio.ofdm import OfdmConfig

MOST_EXCESS = 1.5  # times the errors' energy, up to which what differs from probe to probe is errors
TINY = 1e-300


class MeanResponse(NamedTuple):
    """response: (num_active,) with phase and delay of the first probe. error_variance: of a gain, in a space of `rank`
    dimensions. shape_std: of a gain once the delay is removed."""

    response: NDArray[np.complex128]
    error_variance: float
    shape_std: float
    rank: int


def mean_response(bursts: Sequence[BurstEstimate], ofdm: OfdmConfig) -> MeanResponse:
    """Of the same device's probes, the first one's alone where they differ by more than their errors: a channel that
    fades has no mean response.

    Oscillators turn responses from probe to probe and clocks move them; both is undone.
    """
    first = bursts[0]
    alone = MeanResponse(first.response, first.error_variance, first.shape_std, first.rank)
    if len(bursts) == 1:
        return alone
    moved = np.stack([_like(first, burst, ofdm) for burst in bursts])
    mean = moved.mean(axis=0)
    apart = float(np.sum(np.abs(moved - mean) ** 2)) / ((len(bursts) - 1) * ofdm.num_active)
    expected = float(np.mean([burst.error_variance for burst in bursts]))
    excess = apart / max(expected, TINY)
    if excess > MOST_EXCESS:
        return alone
    share = max(excess, 1.0) / len(bursts)
    return MeanResponse(mean, expected * share, first.shape_std * float(np.sqrt(share)), first.rank)


def _like(first: BurstEstimate, burst: BurstEstimate, ofdm: OfdmConfig) -> NDArray[np.complex128]:
    moved = remove_delay(burst.response, burst.delay_samples - first.delay_samples, ofdm)
    turn = complex(np.vdot(first.response, moved))
    return np.asarray(moved * (turn.conjugate() / max(abs(turn), TINY)))
