"""Samples between samples: a windowed sinc, good to -80 dB over +-0.45 of the sample rate.

GNU Radio's own interpolator is good over +-0.25 only, so clocks and delays are ours and its `epsilon` stays at 1.
"""

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from radio.interface import Samples
from sim_backend import chebyshev

HALF = 32  # samples of the kernel on either side
KAISER_BETA = (
    8.96  # -90 dB by Kaiser's rule 0.1102 (A - 8.7); the transition is then 0.09 of the sample rate wide
)
EDGE = 0.55  # cycles a sample at which the kernel has died away


def kernel(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of a sample at a distance, in samples; at whole distances exactly 0, or 1 at 0."""
    whole = distances == np.round(distances)
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1.0 - (distances / HALF) ** 2, 0.0, None)))
    inside = np.abs(distances) < HALF
    return np.where(
        whole, distances == 0.0, inside * np.sinc(distances) * window / np.i0(KAISER_BETA)
    ).astype(np.float64)


def delay_filters(delays: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    """One FIR a delay, all over the same support.

    delays: (num_delays,), in samples.
    returns: first, the delay of the filters' first coefficient, which may be negative; (num_delays, filter_len).
    """
    if (delays == np.round(delays)).all():
        first, last = int(delays.min()), int(delays.max())
    else:
        first, last = int(np.floor(delays.min())) - HALF + 1, int(np.ceil(delays.max())) + HALF - 1
    return first, kernel(np.arange(first, last + 1) - delays[:, None])


def resample(samples: Samples, places: NDArray[np.float64], first: int) -> Samples:
    """Values of a burst between its samples, zero beyond its ends.

    places: (num_out,) output i lies at sample `first + i + places[i]`; slow, a few samples over the whole of it.
    returns: (num_out,) complex64. Filters for some places, Chebyshev polynomials between them.
    """
    low, high = float(places.min()), float(places.max())
    if high - low > 1.0 and len(places) > 1:
        half = len(places) // 2
        parts = resample(samples, places[:half], first), resample(samples, places[half:], first + half)
        return np.concatenate(parts)
    middle, reach = (high + low) / 2.0, (high - low) / 2.0
    base = int(np.floor(middle))
    if low == high == base:
        return cut(samples, first + base, len(places))
    num_terms = chebyshev.order(2.0 * np.pi * EDGE * reach)
    node_places = middle - base + reach * chebyshev.nodes(num_terms)
    steps = np.arange(-HALF, HALF + 2)
    filters = chebyshev.coefficients(kernel(node_places[:, None] - steps)).astype(np.float32)
    stretch = cut(samples, first + base - HALF, len(places) + len(steps) - 1)
    branches = scipy.signal.oaconvolve(stretch[None], filters[:, ::-1], mode="valid", axes=1)
    if num_terms == 1:
        return np.asarray(branches[0], dtype=np.complex64)
    weights = chebyshev.evaluate((places - middle) / reach, num_terms).astype(np.float32)
    return weighted_sum(weights, branches)


def weighted_sum(weights: NDArray, branches: NDArray) -> Samples:
    """(num_samples,) sum over branches, in their order; weights, branches: (num_branches, num_samples)."""
    total = weights[0] * branches[0]
    for weight, branch in zip(weights[1:], branches[1:], strict=True):
        total += weight * branch
    return np.asarray(total, dtype=np.complex64)


def cut(samples: Samples, first: int, count: int) -> Samples:
    """(count,) samples from index `first`, zero beyond the ends."""
    out = np.zeros(count, dtype=np.complex64)
    low, high = max(first, 0), min(first + count, len(samples))
    if low < high:
        out[low - first : high - first] = samples[low:high]
    return out
