"""The filters of a virtual radio, analog and programmable, as one linear-phase FIR without its delay."""

import math
from functools import lru_cache

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from radio.interface import Samples
from sim_backend.interpolate import KAISER_BETA


@lru_cache(maxsize=64)
def band_filter(bandwidth_hz: float, sample_rate_hz: float) -> NDArray[np.float32]:
    """(2 half + 1,) taps: -6 dB at +-bandwidth_hz / 2, -80 dB an eighth of the bandwidth further out, flat as far in.

    A single 1 where the samples cannot carry more than the bandwidth.
    """
    if bandwidth_hz >= sample_rate_hz:
        return np.ones(1, dtype=np.float32)
    half = math.ceil(10.0 * sample_rate_hz / bandwidth_hz)  # Kaiser: 2 half = 5 / transition, for -80 dB
    steps = np.arange(-half, half + 1)
    width = bandwidth_hz / sample_rate_hz
    return (width * np.sinc(width * steps) * np.kaiser(len(steps), KAISER_BETA)).astype(np.float32)


@lru_cache(maxsize=64)
def path_filter(
    bandwidth_hz: float, sample_rate_hz: float, fir: tuple[float, ...] = ()
) -> NDArray[np.float32]:
    """(2 half + 1,) taps of both in a row. fir: the programmable filter's at this rate, none for 1."""
    taps = band_filter(bandwidth_hz, sample_rate_hz)
    return np.convolve(taps, np.array(fir)).astype(np.float32) if fir else taps


def full(samples: Samples, taps: NDArray[np.float32]) -> Samples:
    """Every output that a sample reaches: half as many more at either end as the filter has beside its middle."""
    if len(taps) == 1:
        return samples
    return np.asarray(scipy.signal.oaconvolve(samples, taps), dtype=np.complex64)


def inner(samples: Samples, taps: NDArray[np.float32]) -> Samples:
    """Only outputs that need no sample beyond the ends."""
    if len(taps) == 1:
        return samples
    return np.asarray(scipy.signal.oaconvolve(samples, taps, mode="valid"), dtype=np.complex64)
