"""Bands of the spectrum, and what a receiver tuned to one hears of a signal sent in another."""

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
import scipy.signal
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from radio.interface import Samples
from sim_backend.chain import Heard
from sim_backend.interpolate import HALF, KAISER_BETA, cut, kernel

FILTER_HALF = 96  # samples of the selection filter on either side
MAX_PHASES = 1000  # beyond which filters are interpolated
TABLE_LEN = (
    512  # filters between two samples; in between linearly, to (pi / TABLE_LEN)^2 / 8, which is -106 dB
)
CHUNK = 1 << 12  # outputs at a time


class Band(NamedTuple):
    """What a radio with complex samples sends or hears: center_hz +- sample_rate_hz / 2."""

    sample_rate_hz: float
    center_hz: float

    def overlaps(self, other: "Band") -> bool:
        """Whether any frequency is in both."""
        apart_hz = abs(self.center_hz - other.center_hz)
        return apart_hz < (self.sample_rate_hz + other.sample_rate_hz) / 2.0


def translate(heard: Heard, sent: Band, tuned: Band) -> Heard:
    """Samples of one band as a receiver of another takes them: select, change the rate, turn.

    The filter comes first, at the sender's rate, so that what the new rate cannot carry never folds; a frequency that
    folds between changing the rate and turning folds back.
    """
    if sent == tuned:
        return heard
    samples, start = _select(heard, sent, tuned)
    samples, start = _change_rate(samples, start, _ratio(sent, tuned))
    shift = (sent.center_hz - tuned.center_hz) / tuned.sample_rate_hz
    cycles = shift * np.arange(start, start + len(samples))
    turned = samples * np.exp(2j * np.pi * (cycles - np.round(cycles)))
    return Heard(start, turned.astype(np.complex64))


def translated_span(low: int, high: int, sent: Band, tuned: Band) -> tuple[int, int]:
    """Bounds of `translate` for samples in [low, high)."""
    if sent == tuned:
        return low, high
    ratio = _ratio(sent, tuned)
    reach = FILTER_HALF + HALF + 1
    return int((low - reach) / ratio) - 1, int((high + reach) / ratio) + 2


def _ratio(sent: Band, tuned: Band) -> Fraction:
    """Samples of the sender a sample of the receiver."""
    return Fraction(sent.sample_rate_hz) / Fraction(tuned.sample_rate_hz)


def _select(heard: Heard, sent: Band, tuned: Band) -> tuple[Samples, int]:
    """Keep what lies in the receiver's band. -80 dB at its edge, flat 0.03 sample rates of the sender inside."""
    rate = sent.sample_rate_hz
    low = (tuned.center_hz - tuned.sample_rate_hz / 2.0 - sent.center_hz) / rate
    high = (tuned.center_hz + tuned.sample_rate_hz / 2.0 - sent.center_hz) / rate
    if low <= -0.5 and high >= 0.5:
        return heard.samples, heard.start
    low, high = max(low, -0.5), min(high, 0.5)
    transition = 5.0 / (2 * FILTER_HALF)  # of a Kaiser window at -80 dB
    half_width = max((high - low - transition) / 2.0, transition / 8.0)
    steps = np.arange(-FILTER_HALF, FILTER_HALF + 1)
    taps = 2.0 * half_width * np.sinc(2.0 * half_width * steps) * np.kaiser(len(steps), KAISER_BETA)
    taps = taps * np.exp(2j * np.pi * (low + high) / 2.0 * steps)
    kept = scipy.signal.oaconvolve(heard.samples, taps.astype(np.complex64))
    return np.asarray(kept, dtype=np.complex64), heard.start - FILTER_HALF


def _change_rate(samples: Samples, start: int, ratio: Fraction) -> tuple[Samples, int]:
    """Output m lies at input m * ratio. Outputs of one phase share a filter."""
    if ratio == 1:
        return samples, start
    first = int((start - HALF) / ratio) - 1
    last = int((start + len(samples) + HALF) / ratio) + 2
    if ratio.denominator > MAX_PHASES:
        return _interpolate(samples, np.arange(first, last) * float(ratio) - start), first
    out = np.empty(last - first, dtype=np.complex64)
    steps = np.arange(1 - HALF, HALF + 1)
    for phase in range(min(ratio.denominator, len(out))):
        place = (first + phase) * ratio
        whole = place.numerator // place.denominator
        taps: NDArray = kernel(float(place - whole) - steps).astype(np.float32)
        count = len(out[phase :: ratio.denominator])
        needed = (count - 1) * ratio.numerator + len(steps)
        stretch = cut(samples, whole + 1 - HALF - start, needed)
        out[phase :: ratio.denominator] = sliding_window_view(stretch, len(steps))[:: ratio.numerator] @ taps
    return out, first


def _interpolate(samples: Samples, places: NDArray[np.float64]) -> Samples:
    """(num_places,) values at any places, in samples from the first; zero beyond the ends."""
    out = np.empty(len(places), dtype=np.complex64)
    for low in range(0, len(places), CHUNK):
        whole = np.floor(places[low : low + CHUNK])
        rows = (places[low : low + CHUNK] - whole) * TABLE_LEN
        row = np.minimum(rows.astype(np.int64), TABLE_LEN - 1)
        part = (rows - row).astype(np.float32)[:, None]
        taps = (1.0 - part) * _table()[row] + part * _table()[row + 1]
        base = int(whole[0]) + 1 - HALF
        stretch = cut(samples, base, int(whole[-1]) - int(whole[0]) + 2 * HALF)
        windows = sliding_window_view(stretch, 2 * HALF)[whole.astype(np.int64) - int(whole[0])]
        out[low : low + CHUNK] = np.einsum("ij,ij->i", windows, taps.astype(np.float32))
    return out


@cache
def _table() -> NDArray[np.float32]:
    """(TABLE_LEN + 1, 2 HALF) filters for places 0 to 1 behind a sample."""
    steps = np.arange(1 - HALF, HALF + 1)
    return kernel(np.arange(TABLE_LEN + 1)[:, None] / TABLE_LEN - steps).astype(np.float32)
