"""Delay of a path from the slope of the phase over subcarriers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.tone import estimate_tone, tone_std
from radio.ofdm import OfdmConfig


@dataclass(frozen=True)
class DelayEstimate:
    """`delay_samples`: after the demodulator's window reference. `std_samples`: predicted for a single path.
    `quality` in [0, 1]: share of the response's energy in the path, 1 is a single path without noise."""

    delay_samples: float
    std_samples: float
    quality: float


def centred_bins(ofdm: OfdmConfig) -> NDArray[np.intp]:
    """(num_active,) subcarrier numbers, negative below the carrier, in the order of `ofdm.active_bins`."""
    return np.where(ofdm.active_bins < ofdm.fft_len // 2, ofdm.active_bins, ofdm.active_bins - ofdm.fft_len)


def apply_delay(
    response: NDArray[np.complexfloating], delay_samples: float, ofdm: OfdmConfig
) -> NDArray[np.complex128]:
    """(..., num_active) response of the same channel behind a further delay of any fraction of a sample."""
    return response * np.exp(-2j * np.pi * centred_bins(ofdm) * delay_samples / ofdm.fft_len)


def remove_delay(
    response: NDArray[np.complexfloating], delay_samples: float, ofdm: OfdmConfig
) -> NDArray[np.complex128]:
    """Inverse of `apply_delay`."""
    return apply_delay(response, -delay_samples, ofdm)


def estimate_delay(
    response: NDArray[np.complexfloating], noise_variance: float, ofdm: OfdmConfig
) -> DelayEstimate:
    """Delay of the strongest path: maximum likelihood for a single path in white noise.

    response: (num_active,) channel as observed. noise_variance: of one entry, before any fit of taps.
    Unambiguous within +- fft_len / 2 samples. Paths closer than fft_len / num_active samples merge into one.
    """
    energy = float(np.linalg.norm(response) ** 2)
    tone = estimate_tone(response, np.ones(ofdm.num_active), centred_bins(ofdm), -0.5, 0.5)
    gain_power = abs(tone.correlation / ofdm.num_active) ** 2
    std = tone_std(tone, gain_power, noise_variance) * ofdm.fft_len
    quality = min(gain_power * ofdm.num_active / energy, 1.0) if energy > 0.0 else 0.0
    return DelayEstimate(-tone.frequency * ofdm.fft_len, std, quality)


def estimate_mean_delay(response: NDArray[np.complexfloating], ofdm: OfdmConfig) -> NDArray[np.float64]:
    """(...) mean delay of a channel's paths in samples, weighted by their power: the phase between neighbours.

    response: (..., num_active). Unambiguous within +- fft_len / 2 samples. Unlike the strongest path's delay it moves
    continuously while paths fade.
    """
    neighbours = np.flatnonzero(np.diff(centred_bins(ofdm)) == 1)  # not across the empty DC bin
    turned = np.sum(response[..., neighbours + 1] * response[..., neighbours].conj(), axis=-1)
    return np.asarray(-np.angle(turned) * ofdm.fft_len / (2.0 * np.pi))
