"""Frequency of one complex tone, the common core of carrier offset (over samples) and delay (over subcarriers)."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

ZERO_PADDING = 4  # the grid is then dense enough for Newton's method to climb the main lobe
NEWTON_STEPS = 4  # quadratic: from an eighth of a lobe to rounding


@dataclass(frozen=True)
class Tone:
    """`frequency`: cycles per unit of position. `spread`: weighted variance of the positions, summed over the
    weights: Fisher information is 2 (2 pi)^2 |gain|^2 spread / sigma^2. `correlation`: at the frequency."""

    frequency: float
    spread: float
    correlation: complex


def estimate_tone(
    values: NDArray[np.complexfloating],
    weights: NDArray[np.floating],
    positions: NDArray[np.integer],
    low: float,
    high: float,
) -> Tone:
    """Maximise |sum values exp(-2 pi j frequency positions)| over frequencies in [low, high].

    values: (num_values,) received times conjugate of known, at integer `positions` (num_values,), each once.
    weights: (num_values,) energy of the known value. high - low below 1: one period of the spectrum.
    Maximum likelihood for one tone in white noise: Rife and Boorstyn, IEEE Trans. Inf. Theory 20(5), 1974.
    """
    first = int(positions.min())
    length = scipy.fft.next_fast_len(ZERO_PADDING * (int(positions.max()) - first + 1))
    grid = np.zeros(length, dtype=np.complex128)
    grid[positions - first] = values
    strength = np.abs(scipy.fft.fft(grid))
    candidates = np.arange(int(np.ceil(low * length)), int(np.floor(high * length)) + 1)
    frequency = (
        float(candidates[np.argmax(strength[candidates % length])]) / length
        if len(candidates)
        else (low + high) / 2.0
    )
    centre = float(np.sum(weights * positions) / np.sum(weights))
    centred = positions - centre
    for _ in range(NEWTON_STEPS):
        turned = values * np.exp(-2j * np.pi * frequency * centred)
        total, slope, bend = turned.sum(), (turned * centred).sum(), (turned * centred**2).sum()
        # Derivatives of |total|^2 in 2 pi frequency, without their common factor of 2.
        first_derivative = (np.conj(total) * slope).imag
        second_derivative = abs(slope) ** 2 - (np.conj(total) * bend).real
        if second_derivative >= 0.0:  # no maximum nearby: noise only
            break
        frequency -= float(first_derivative / second_derivative) / (2.0 * np.pi)
    frequency = min(max(frequency, low), high)
    correlation = complex(np.sum(values * np.exp(-2j * np.pi * frequency * centred)))
    return Tone(frequency, float(np.sum(weights * centred**2)), correlation)


def tone_std(tone: Tone, gain_power: float, noise_variance: float) -> float:
    """Cramer-Rao bound of the frequency, phase and magnitude unknown; infinite without a signal."""
    if gain_power * tone.spread <= 0.0:
        return float("inf")
    return float(np.sqrt(noise_variance / (2.0 * gain_power * tone.spread)) / (2.0 * np.pi))
