"""How strong signal and noise are, from silence, from a repetition, or from what a model leaves over."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.interface import Samples


@dataclass(frozen=True)
class NoiseEstimate:
    """`variance`: E|noise|^2 of one complex value, linear. `std`: predicted, of the variance."""

    variance: float
    std: float


@dataclass(frozen=True)
class RepeatedPower:
    """`signal_power`, `noise_variance`: linear, per sample. `snr_std`: predicted, of `snr`. `phase_rad`: advance over
    a period; `phase_std_rad` predicted. `quality` in [0, 1]: normalised correlation of the repetitions, about
    snr / (1 + snr)."""

    signal_power: float
    noise_variance: float
    snr_std: float
    phase_rad: float
    phase_std_rad: float
    quality: float

    @property
    def snr(self) -> float:
        """Linear ratio per sample; infinite without noise, 0 without signal."""
        if self.signal_power <= 0.0:
            return 0.0
        return self.signal_power / self.noise_variance if self.noise_variance > 0.0 else math.inf


def estimate_noise(silence: Samples) -> NoiseEstimate:
    """Mean power of (num_samples,) in which nobody transmits; white noise, so its std is variance / sqrt(n)."""
    if len(silence) == 0:
        raise ValueError("no samples to measure noise with; receive at least one")
    variance = float(np.mean(np.abs(silence.astype(np.complex128)) ** 2))
    return NoiseEstimate(variance, variance / math.sqrt(len(silence)))


def estimate_noise_beside(
    received: NDArray[np.complexfloating], fitted: NDArray[np.complexfloating], num_parameters: int
) -> NoiseEstimate:
    """Noise from what a least-squares fit leaves over.

    received, fitted: of one shape. num_parameters: complex ones that the fit had free; each takes one value's worth
    of noise with it.
    """
    free = received.size - num_parameters
    if free <= 0:
        raise ValueError(f"{num_parameters} parameters explain any {received.size} values; observe more")
    variance = float(np.sum(np.abs(received - fitted) ** 2)) / free
    return NoiseEstimate(variance, variance / math.sqrt(free))


def estimate_repeated_power(samples: Samples, period: int) -> RepeatedPower:
    """Signal and noise from a signal that repeats after `period` samples, whatever it is, whatever the channel.

    samples: (num_samples,), num_samples > period. A carrier offset turns the repetition and changes nothing else.
    Predicted deviations are to second order in the noise: in pairs that share a sample its noise cancels.
    """
    num_pairs = len(samples) - period
    if not (period > 0 and num_pairs > 1):
        raise ValueError(
            f"period must be in [1, {len(samples) - 2}] for {len(samples)} samples, got {period}"
        )
    early, late = samples[:num_pairs].astype(np.complex128), samples[period:].astype(np.complex128)
    correlation = complex(np.vdot(early, late))
    power = float(np.linalg.norm(early) ** 2 + np.linalg.norm(late) ** 2) / (2 * num_pairs)
    if power <= 0.0:
        return RepeatedPower(0.0, 0.0, 0.0, 0.0, math.inf, 0.0)
    signal = abs(correlation) / num_pairs
    noise = max(power - signal, 0.0)
    snr = signal / noise if noise > 0.0 else math.inf
    apart = min(num_pairs, period)
    phase_variance = (
        apart / (num_pairs**2 * snr) + 1.0 / (2.0 * num_pairs * snr**2) if snr > 0.0 else math.inf
    )
    shared = (num_pairs - apart) / num_pairs  # samples that are late in one pair and early in another
    snr_variance = (snr**2 * (1.0 + shared / 2.0) + snr * (2.0 + 1.5 * shared) + 0.5) / num_pairs
    snr_std = math.sqrt(snr_variance) if math.isfinite(snr) else 0.0
    phase = float(np.angle(correlation))
    return RepeatedPower(signal, noise, snr_std, phase, math.sqrt(phase_variance), min(signal / power, 1.0))
