"""Who else sends, as bands of frequency: where, how wide, how strong.

Bins over the noise floor (`calibration/welch.py`) in runs; of each the power above the floor, its centre and its
second moment, of which the window's own is taken away. A band that is evenly filled has a variance of width^2 / 12.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.signal
import scipy.stats
from numpy.typing import NDArray

from calibration.welch import REACH, average_periodograms, estimate_floor, runs_of
from radio.decibel import from_db
from radio.interface import Samples

NUM_BINS = 1024
FALSE_ALARM = 1e-6  # of white noise alone, in all bins together
RIPPLE_DB = 1.0  # by which a receiver's own response may lift a bin
SKIRT = 3  # bins beside a run over the threshold, which hold a little of it
FINE = 16  # places a bin at which the window's spectrum is looked at


@dataclass(frozen=True)
class InterfererEstimate:
    """offset_hz: of the centre from the carrier. width_hz: 0 below a bin, as a carrier's is. power: mean, full
    scale = 1, without the noise under it."""

    offset_hz: float
    width_hz: float
    power: float


def estimate_interferers(samples: Samples, sample_rate_hz: float) -> tuple[InterfererEstimate, ...]:
    """In order of frequency, none if there is but noise.

    samples: (num_samples,), full scale = 1, of a band in which none of our own sends. What stands at the carrier is
    the receiver's own offset, and counts only as far as its neighbours do. Raises ValueError for too few samples.
    """
    centred = (samples - samples.mean(dtype=np.complex128)).astype(np.complex64)
    spectrum = average_periodograms(centred, NUM_BINS)
    carrier = NUM_BINS // 2
    powers, places = spectrum.powers.copy(), np.arange(NUM_BINS) - carrier
    outside = np.abs(places) >= REACH
    powers[~outside] = np.interp(places[~outside], places[outside], powers[outside])
    floor = estimate_floor(powers[outside], spectrum, from_db(RIPPLE_DB)).variance / NUM_BINS
    law = scipy.stats.gamma(spectrum.num_segments, scale=1.0 / spectrum.num_segments)
    over = powers > floor * max(float(law.isf(FALSE_ALARM / NUM_BINS)), from_db(RIPPLE_DB))
    bin_hz = sample_rate_hz / NUM_BINS
    return tuple(_measure(powers - floor, places, run, bin_hz) for run in _runs(over))


def _runs(over: NDArray[np.bool_]) -> list[slice]:
    """Of bins over the threshold with their skirts; those that touch are one."""
    wide = np.convolve(over, np.ones(2 * SKIRT + 1), mode="same") > 0.0
    return [slice(first, end) for first, end in runs_of(wide)]


def _measure(
    excess: NDArray[np.float64], places: NDArray[np.intp], run: slice, bin_hz: float
) -> InterfererEstimate:
    weights = np.maximum(excess[run], 0.0)
    power = float(weights.sum())
    centre = float(weights @ places[run]) / power
    variance = float(weights @ (places[run] - centre) ** 2) / power - _window_variance()
    width = math.sqrt(12.0 * max(variance, 0.0))
    return InterfererEstimate(centre * bin_hz, width * bin_hz if width >= 1.0 else 0.0, power)


def _window_variance() -> float:
    """Of the power that a tone spreads over the bins of `average_periodograms`, bins^2."""
    window = scipy.signal.get_window("blackmanharris", NUM_BINS)
    lobe = np.abs(np.fft.fftshift(np.fft.fft(window, FINE * NUM_BINS))) ** 2
    bins = (np.arange(FINE * NUM_BINS) - FINE * NUM_BINS // 2) / FINE
    return float(lobe @ bins**2 / lobe.sum())
