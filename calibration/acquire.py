"""First contact with one device: its preamble found with start and carrier offset both unknown."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.stats
from numpy.typing import NDArray

from calibration.timing import correlation_energy
from radio.interface import Samples

ZERO_PADDING = 8  # of the fine search's transform; what is left between its bins is interpolated


@dataclass(frozen=True)
class Acquisition:
    """start: sample at which the preamble begins, to a fraction. cfo_hz: carrier as received minus the receiver's.
    quality in [0, 1]: share of the local energy explained. detected: whether noise alone would reach this with the
    stated probability only."""

    start: float
    cfo_hz: float
    quality: float
    detected: bool


def acquire(
    samples: Samples, reference: Samples, sample_rate_hz: float, max_cfo_hz: float, false_alarm: float = 1e-9
) -> Acquisition:
    """Search over starts and carrier offsets within +-max_cfo_hz, then refine both.

    samples: (num_samples,), reference: (reference_len,), shorter. Offsets are tried so closely that the worst loses
    a tenth of the correlation's energy; the maximum of |sum conj(reference) y exp(-2 pi j f t)|^2 over f is the
    maximum-likelihood offset of a known sequence in white noise (Rife and Boorstyn, IEEE Trans. Inf. Theory 1974).
    false_alarm: of noise alone, over all starts and offsets tried together (union bound).
    """
    if len(samples) < len(reference):
        raise ValueError(f"{len(samples)} samples are fewer than the preamble's {len(reference)}")
    times_s = np.arange(len(reference)) / sample_rate_hz
    spacing_hz = 0.35 * sample_rate_hz / len(reference)
    num_steps = int(np.ceil(max_cfo_hz / spacing_hz))
    offsets_hz = spacing_hz * np.arange(-num_steps, num_steps + 1)
    energies = np.stack(
        [
            correlation_energy(samples, [(reference * np.exp(2j * np.pi * f * times_s)).astype(np.complex64)])
            for f in offsets_hz
        ]
    )
    best, start = np.unravel_index(int(np.argmax(energies)), energies.shape)
    peak = float(energies[best, start])
    threshold = float(scipy.stats.gamma.isf(false_alarm / energies.size, 1))
    product = samples[start : start + len(reference)] * reference.conj()
    cfo_hz = _peak_frequency(product, sample_rate_hz, float(offsets_hz[best]), 2.0 * spacing_hz)
    fraction = _vertex(np.sqrt(energies[best, max(start - 1, 0) : start + 2]))
    return Acquisition(float(start + fraction), cfo_hz, min(peak / len(reference), 1.0), peak > threshold)


def _peak_frequency(
    product: NDArray[np.complexfloating], sample_rate_hz: float, near_hz: float, within_hz: float
) -> float:
    """Frequency in near +- within at which the product's spectrum peaks."""
    length = scipy.fft.next_fast_len(ZERO_PADDING * len(product))
    spectrum = np.abs(scipy.fft.fft(product, length))
    frequencies = scipy.fft.fftfreq(length, 1.0 / sample_rate_hz)
    bins = np.flatnonzero(np.abs(frequencies - near_hz) <= within_hz)
    best = bins[np.argmax(spectrum[bins])]
    around = spectrum[[best - 1, best, (best + 1) % length]]
    return float(frequencies[best] + _vertex(around) * sample_rate_hz / length)


def _vertex(values: NDArray[np.floating]) -> float:
    """Where a parabola through three equally spaced values has its top, relative to the middle one."""
    if len(values) < 3:
        return 0.0
    left, middle, right = values
    curvature = left - 2.0 * middle + right
    return float(np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)) if curvature < 0.0 else 0.0
