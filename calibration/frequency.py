"""Carrier offset: coarse from a repeated known preamble, fine on any known sequence, finest over two soundings.

An offset is the received carrier minus the receiver's; one crystal drives carrier and sample clock.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.power import estimate_repeated_power
from calibration.tone import estimate_tone, tone_std
from radio.interface import Samples


@dataclass(frozen=True)
class CfoEstimate:
    """`std_hz`: predicted standard deviation. `quality` in [0, 1]: normalised correlation, 1 is noiseless; over two
    parts the probability that the right turn was chosen."""

    cfo_hz: float
    std_hz: float
    quality: float


def apply_cfo(samples: Samples, cfo_hz: float, sample_rate_hz: float, start_index: int = 0) -> Samples:
    """Turn sample n of (num_samples,) by 2 pi cfo (n + start_index) / rate; phase 0 is at index 0."""
    cycles = cfo_hz / sample_rate_hz * (start_index + np.arange(len(samples), dtype=np.float64))
    return (samples * np.exp(2j * np.pi * (cycles % 1.0))).astype(np.complex64)


def remove_cfo(samples: Samples, cfo_hz: float, sample_rate_hz: float, start_index: int = 0) -> Samples:
    """Inverse of `apply_cfo`."""
    return apply_cfo(samples, -cfo_hz, sample_rate_hz, start_index)


def sro_ppm_from_cfo(cfo_hz: float, center_hz: float) -> float:
    """How much faster the transmitter's sample clock runs than the receiver's, in ppm, if each has one crystal."""
    return 1e6 * cfo_hz / center_hz


def cfo_from_sro_ppm(sro_ppm: float, center_hz: float) -> float:
    """Inverse of `sro_ppm_from_cfo`."""
    return 1e-6 * sro_ppm * center_hz


def estimate_cfo_fine(
    samples: Samples,
    reference: Samples,
    sample_rate_hz: float,
    max_cfo_hz: float,
    coarse_hz: float = 0.0,
) -> CfoEstimate:
    """Maximum likelihood on a known sequence, single path, gain unknown.

    samples, reference: (num_samples,), aligned to a sample. Searches coarse_hz +- max_cfo_hz, which must be below
    half the sample rate. A fraction of a sample of misalignment costs signal energy; several paths bias the result
    by a part of the main lobe, sample_rate_hz / num_samples.
    """
    _check_equal_length(samples, reference)
    if not 0.0 < max_cfo_hz < sample_rate_hz / 2.0:
        raise ValueError(
            f"max_cfo_hz must be in (0, {sample_rate_hz / 2.0:g}) (half the sample rate), got {max_cfo_hz:g}"
        )
    values = samples.astype(np.complex128) * np.conj(reference)
    weights = np.square(np.abs(reference)).astype(np.float64)
    low, high = (coarse_hz - max_cfo_hz) / sample_rate_hz, (coarse_hz + max_cfo_hz) / sample_rate_hz
    tone = estimate_tone(values, weights, np.arange(len(samples)), low, high)
    sent, received = float(weights.sum()), float(np.sum(np.abs(samples.astype(np.complex128)) ** 2))
    gain_power = abs(tone.correlation / sent) ** 2
    noise_variance = max(received - gain_power * sent, 0.0) / max(len(samples) - 1, 1)
    quality = math.sqrt(min(gain_power * sent / received, 1.0)) if received > 0.0 else 0.0
    std = tone_std(tone, gain_power, noise_variance) * sample_rate_hz
    return CfoEstimate(tone.frequency * sample_rate_hz, std, quality)


def estimate_cfo_coarse(
    samples: Samples, reference: Samples, period: int, sample_rate_hz: float, max_cfo_hz: float
) -> CfoEstimate:
    """Phase advance over one period of a preamble that repeats, its turns counted by the known content.

    samples, reference: (num_samples,), aligned to a sample or two, reference[n] = reference[n + period]. Leave out as
    many samples at the start of both as the channel is long: there the last path has not arrived yet.
    The repetition alone is unambiguous within +- sample_rate_hz / (2 period), and does not mind several paths; the
    correlation with the known content over +- max_cfo_hz decides between turns.
    Schmidl and Cox, IEEE Trans. Commun. 45(12), 1997, for the first part.
    """
    _check_equal_length(samples, reference)
    search = estimate_cfo_fine(samples, reference, sample_rate_hz, max_cfo_hz)
    power = estimate_repeated_power(samples, period)
    turn_hz = sample_rate_hz / period
    fraction_hz = power.phase_rad / (2.0 * np.pi) * turn_hz
    cfo_hz = fraction_hz + turn_hz * round((search.cfo_hz - fraction_hz) / turn_hz)
    return CfoEstimate(cfo_hz, power.phase_std_rad / (2.0 * np.pi) * turn_hz, power.quality)


def estimate_cfo_two_part(
    first: NDArray[np.complexfloating],
    second: NDArray[np.complexfloating],
    separation_s: float,
    noise_variance: float,
    coarse: CfoEstimate,
) -> CfoEstimate:
    """Phase advance of a channel between two soundings, its turns counted by an estimate from one of them.

    first, second: (num_active,) responses of one device, their centres `separation_s` apart. noise_variance: of
    one entry as observed, before any fit of taps (a fit removes none of the noise along the response itself).
    Ambiguous by 1 / separation_s, 50 Hz over 20 ms: `quality` is the probability that `coarse` chose the right turn
    if its error is Gaussian with its std; refuse below, say, 0.999. `std_hz` holds if the turn is right. The channel
    is taken as constant but for its phase: Doppler is not told from an offset.
    """
    if separation_s <= 0.0:
        raise ValueError(f"separation_s must be above 0, got {separation_s:g}")
    correlation = complex(np.vdot(first, second))
    energies = float(np.linalg.norm(first) ** 2), float(np.linalg.norm(second) ** 2)
    if min(energies) <= 0.0:
        return CfoEstimate(coarse.cfo_hz, coarse.std_hz, 0.0)
    turn_hz = 1.0 / separation_s
    fraction_hz = float(np.angle(correlation)) / (2.0 * np.pi) * turn_hz
    cfo_hz = fraction_hz + turn_hz * round((coarse.cfo_hz - fraction_hz) / turn_hz)
    phase_std_rad = math.sqrt(noise_variance / 2.0 * (1.0 / energies[0] + 1.0 / energies[1]))
    std_hz = phase_std_rad / (2.0 * np.pi) * turn_hz
    doubt = math.hypot(coarse.std_hz, std_hz)
    quality = math.erf(turn_hz / 2.0 / (math.sqrt(2.0) * doubt)) if doubt > 0.0 else 1.0
    return CfoEstimate(cfo_hz, std_hz, quality)


def _check_equal_length(samples: Samples, reference: Samples) -> None:
    if len(samples) != len(reference):
        raise ValueError(
            f"samples and reference must be equally long, got {len(samples)} and {len(reference)}"
        )
