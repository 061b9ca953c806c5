"""Phases left in a payload frame: each device's at header and tail, and what is common to all, symbol by symbol.

The common phase costs a coherent sum directly and is removed before decoding. An estimate's own noise must not cost
more than it mends: turning the payload by an error of variance v adds v S / sigma^2 to the noise, S the power of the
superposed payload and sigma^2 the noise of an element (for a phase of any error at most so, since the mean of
|1 - exp(j e)|^2 is at most its variance). Everything here keeps that share below NOISE_SHARE.

* Line: header and tail, interpolated. Over the payload the error is (v_header + v_tail) / 3 in the mean. If that would
  cost more than NOISE_SHARE, the line is used only where one of its ends differs from 0 by more than CERTAIN_STD of
  its standard deviations, which noise alone does about once in 200 frames.
* Comb: P pilots a symbol, sent by all devices coherently at the full power of an element, so that their sum has at
  least P^2 S of power and noise P sigma^2. Over W symbols v <= sigma^2 / (2 P W S), whatever the SNR: W is the fewest
  symbols with 1 / (2 P W) <= NOISE_SHARE.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.decibel import from_db
from radio.ofdm import OfdmConfig
from radio.pilots import HEADER, TAIL, comb_pilots
from radio.training import training_symbols

NOISE_SHARE = from_db(0.1) - 1.0  # of the noise, that the phases' own noise may add: 0.1 dB
CERTAIN_STD = 3.0
NO_KNOWLEDGE_RAD = math.pi / math.sqrt(3.0)  # standard deviation of a phase that may be anything


@dataclass(frozen=True, eq=False)
class PhaseEstimate:
    """Phases of a frame, at header and tail. common_rad: of all devices together, the tail's within half a turn of the
    header's; residuals_rad: (num_devices, 2) each device's, the common one removed, in [-pi, pi]. The `_std_rad` are
    what noise leaves of each, at most that of a phase that may be anything."""

    common_rad: tuple[float, float]
    common_std_rad: tuple[float, float]
    residuals_rad: NDArray[np.float64]
    residuals_std_rad: NDArray[np.float64]


def estimate_phases(
    header: NDArray[np.complexfloating],
    tail: NDArray[np.complexfloating],
    places: Sequence[int],
    num_devices: int,
    noise_variance: float,
    ofdm: OfdmConfig,
) -> PhaseEstimate:
    """Phases of the devices at `places` of a frame laid out for `num_devices`.

    header, tail: (num_active,) received amplitudes, power 1 nominal; noise_variance: of each. A device's phase is the
    angle of the sum over its subcarriers of received times conjugate pilot: at equal gains it reaches the Cramer-Rao
    bound, sigma^2 / (2 num_active |h|^2).
    """
    if not places:
        raise ValueError("no device transmitted; there is no phase to estimate")
    sums = np.stack(
        [_own_sums(header, HEADER, num_devices, ofdm), _own_sums(tail, TAIL, num_devices, ofdm)], axis=1
    )[list(places)]
    own_noise = (
        noise_variance / num_devices * np.array([len(range(p, ofdm.num_active, num_devices)) for p in places])
    )
    total = sums.sum(axis=0)
    first, last = (float(angle) for angle in np.angle(total))
    last = first + float(np.angle(np.exp(1j * (last - first))))
    common = np.array([first, last])
    header_std, tail_std = _angle_stds(total, own_noise.sum()).tolist()
    return PhaseEstimate(
        (first, last),
        (header_std, tail_std),
        np.angle(sums * np.exp(-1j * common)),
        _angle_stds(sums, own_noise[:, None]),
    )


def common_turns(
    estimate: PhaseEstimate, payload: NDArray[np.complexfloating], noise_variance: float, ofdm: OfdmConfig
) -> NDArray[np.complex64]:
    """(num_symbols,) unit factors by which the common phase has turned each symbol of a payload.

    payload: (num_symbols, num_active) received amplitudes; noise_variance: of each.
    """
    power = float(np.vdot(payload, payload).real) / payload.size - noise_variance
    line = _line(estimate, len(payload), max(power, 0.0), noise_variance)
    if ofdm.num_pilots and len(payload) >= smoothing_symbols(ofdm):
        line = line * _followed(payload, line, ofdm)
    return line.astype(np.complex64)


def remove_turns(payload: NDArray[np.complex64], turns: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Undo what `common_turns` found. payload: (num_symbols, num_active)."""
    return payload * turns.conj()[:, None]


def smoothing_symbols(ofdm: OfdmConfig) -> int:
    """Symbols over which the comb's phase is averaged."""
    return math.ceil(1.0 / (2.0 * ofdm.num_pilots * NOISE_SHARE))


def _own_sums(
    received: NDArray[np.complexfloating], identity: int, num_devices: int, ofdm: OfdmConfig
) -> NDArray[np.complex128]:
    """(num_devices,) sum of the gains seen on each place's subcarriers, with sigma^2 / num_devices of noise on each."""
    matched = received * training_symbols(identity, 1, ofdm.num_active)[0].conj() / math.sqrt(num_devices)
    padded = np.zeros(-(-ofdm.num_active // num_devices) * num_devices, dtype=np.complex128)
    padded[: ofdm.num_active] = matched
    return padded.reshape(-1, num_devices).sum(axis=0)


def _angle_stds(sums: NDArray[np.complex128], noise_variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviations of the angles of sums in noise."""
    strengths = np.maximum(np.abs(sums) ** 2 - noise_variance, 1e-30)
    return np.minimum(np.sqrt(noise_variance / (2.0 * strengths)), NO_KNOWLEDGE_RAD)


def _line(
    estimate: PhaseEstimate, num_symbols: int, power: float, noise_variance: float
) -> NDArray[np.complex128]:
    variances = [std**2 for std in estimate.common_std_rad]
    affordable = power * sum(variances) / 3.0 <= NOISE_SHARE * noise_variance
    certain = any(
        abs(angle) > CERTAIN_STD * std
        for angle, std in zip(estimate.common_rad, estimate.common_std_rad, strict=True)
    )
    if not (affordable or certain):
        return np.ones(num_symbols, dtype=np.complex128)
    instants = np.arange(1, num_symbols + 1) / (num_symbols + 1)  # header at 0, tail at 1
    return np.exp(1j * np.interp(instants, [0.0, 1.0], estimate.common_rad))


def _followed(
    payload: NDArray[np.complexfloating], line: NDArray[np.complex128], ofdm: OfdmConfig
) -> NDArray[np.complex128]:
    """(num_symbols,) unit factors of what the comb sees turn beyond the line: its moving sum, at the ends of a frame
    over the nearest symbols."""
    num_symbols, window = len(payload), smoothing_symbols(ofdm)
    matched = payload[:, ofdm.pilot_subcarriers] * comb_pilots(num_symbols, ofdm).conj()
    seen = matched.sum(axis=1) * line.conj()
    running = np.concatenate([[0.0], np.cumsum(seen)])
    first = np.clip(np.arange(num_symbols) - window // 2, 0, num_symbols - window)
    return np.exp(1j * np.angle(running[first + window] - running[first]))
