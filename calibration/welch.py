"""Averaged periodograms of a band and the floor under them.

Welch, IEEE Trans. Audio Electroacoust. 15(2), 1967, with a window whose side lobes lie at -92 dB (four-term
Blackman-Harris): at an overlap of one half its segments are alike by 0.1 % of their power, so that the mean of K
periodograms of white noise has nearly the Gamma law of shape K.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal
import scipy.stats
from numpy.typing import NDArray

from calibration.power import NoiseEstimate
from radio.interface import Samples

REACH = 4  # bins that a tone spreads over, on either side
NUM_BATCHES = 16  # whose scatter says how certain a mean is, whatever the signal's law
CUT_TAIL = 1e-3  # share of noise bins that the floor's threshold leaves out
FREE_SHARE = 0.1  # of the bins, the weakest, that the first guess takes for noise
FLOOR_STEPS = 50


@dataclass(frozen=True, eq=False)
class Periodogram:
    """batches: (NUM_BATCHES, num_bins) mean powers, full scale = 1, frequencies rising; a batch's sum over bins is its
    mean power. num_segments: averaged in all of them together. num_samples: that they cover."""

    batches: NDArray[np.float64]
    num_segments: int
    num_samples: int

    @property
    def powers(self) -> NDArray[np.float64]:
        """(num_bins,) mean over all segments."""
        return np.asarray(self.batches.mean(axis=0))


def average_periodograms(samples: Samples, num_bins: int) -> Periodogram:
    """samples: (num_samples,), at least (2 NUM_BATCHES + 1) num_bins / 2; what is left at the end is not used."""
    hop = num_bins // 2
    per_batch = (len(samples) // hop - 1) // NUM_BATCHES
    if num_bins < 8 * REACH or num_bins % 2 or per_batch < 2:
        raise ValueError(
            f"num_bins must be even and in [{8 * REACH}, {2 * len(samples) // (2 * NUM_BATCHES + 1)}] for "
            f"{len(samples)} samples, got {num_bins}"
        )
    window = scipy.signal.get_window("blackmanharris", num_bins)
    window /= np.sqrt(num_bins * np.sum(window**2))
    batches = np.empty((NUM_BATCHES, num_bins))
    for batch in range(NUM_BATCHES):
        first = batch * per_batch * hop
        stretch = samples[first : first + (per_batch + 1) * hop].astype(np.complex128)
        segments = np.lib.stride_tricks.sliding_window_view(stretch, num_bins)[::hop]
        batches[batch] = np.mean(np.abs(scipy.fft.fft(segments * window, axis=1)) ** 2, axis=0)
    num_segments = NUM_BATCHES * per_batch
    return Periodogram(np.fft.fftshift(batches, axes=1), num_segments, (num_segments + 1) * hop)


def estimate_floor(
    powers: NDArray[np.float64], periodogram: Periodogram, tolerance: float = 1.0
) -> NoiseEstimate:
    """Noise of a sample from the bins that nobody occupies.

    powers: (any,) of the bins to look at, of which a tenth or more must be free. The mean below a threshold, corrected
    for what noise the threshold cuts away, repeated until it is still. tolerance: factor by which the receiver's own
    response may raise a bin. std: from the window's law.
    """
    shape = periodogram.num_segments
    law = scipy.stats.gamma(shape, scale=1.0 / shape)
    cut = max(float(law.isf(CUT_TAIL)), tolerance)
    kept_mean = float(scipy.stats.gamma.cdf(cut, shape + 1, scale=1.0 / shape) / law.cdf(cut))
    floor = float(np.quantile(powers, FREE_SHARE) / law.ppf(FREE_SHARE))
    for _ in range(FLOOR_STEPS):
        free = powers[powers <= cut * floor]
        last, floor = floor, float(free.mean()) / kept_mean
        if floor == last:
            break
    num_bins = periodogram.batches.shape[1]
    variance = floor * num_bins
    relative = np.sqrt(_spread(num_bins) / periodogram.num_samples * num_bins / len(free))
    return NoiseEstimate(variance, float(variance * relative))


def _spread(num_bins: int) -> float:
    """Variance of the mean power of white noise so weighted, over that of its plain mean."""
    squares = scipy.signal.get_window("blackmanharris", num_bins) ** 2
    each = (
        squares[: num_bins // 2] + squares[num_bins // 2 :]
    )  # of a sample, in both segments that it lies in
    return float(np.mean(each**2) / np.mean(each) ** 2)


def runs_of(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, end) of every stretch of neighbours that are marked, in order; `end` is no longer in it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(int), [0]])))
    return [(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2], strict=True)]
