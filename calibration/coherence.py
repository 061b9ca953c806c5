"""For how long a channel stays what it was: correlation of its gains over time, coherence time, longest burst.

Coherence time is the lag at which the magnitude of the correlation has fallen to 0.9 (LEVEL). A lower level would
need longer captures and is known worse: of Jakes' fading seen for 50 coherence times on a single path, the lag of 0.9
scatters by 12 %, of 0.7 by 14 %, of 0.5 by 16 % and is not reached in 3 % of captures, of 0.3 by 21 % and is not in
15 %. A higher one is no better known (0.99: 12 %), and there noise and phase noise hide the change.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.stats
from numpy.typing import NDArray

from calibration.lag_pairs import LagPairs, lag_pairs
from calibration.soundings import Soundings

LEVEL = 0.9
NEEDED_TIMES = 50  # coherence times that a capture holds if it states one
LONGEST_SHARE = 0.25  # of the capture: lags beyond have no two independent pairs
CELLS = 200  # pairs are weighed so that equal times count alike, whatever the density of soundings
NUM_BLOCKS = 6  # of the jackknife: each holds five coherence times or more where one is stated
NEIGHBOURS = 1.4  # blocks are not independent: beats of scatterers that are nearly as fast outlast them
# A magnitude is too large by what the correlation's phase scatters, which is slow: the jackknife sees half of that.
BIAS_SEEN = 0.5
MIN_OCCUPIED = 3  # of them, in which a lag has to be seen
MIN_LOOKS = 8  # pairs that do not overlap: of fewer the common phase is no phase of a mean
LOOKS_SHARE = 0.5  # of the coherence times that fit into a capture: so many looks are as good
FAR = 4.0  # times the fall to the level, after which lags do not count any more
GAP = 2.0  # between lags, within which a level is not placed where values fall far
MOST_PAIRS = 400
MIN_INSTANTS = 4
TINY = 1e-300
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class CoherenceEstimate:
    """lags_s: (num_lags,). correlation: (num_devices, num_lags) complex, E h(t + lag) conj h(t) / E|h|^2 over time and
    subcarriers, noise removed; correlation_std of its magnitude. All else (num_devices,).

    coherence_s with its 95 % interval (num_devices, 2) and coherence_std of its logarithm. Where fewer than 50
    coherence times fit into the capture, coherence_s and the deviation are nan, and the interval runs from the stated
    lower bound, at 95 %, to infinity. longest_burst_s, burst_interval_s: time after a sounding until which a coherent
    sum loses less than the stated power through phase; the longest lag and up to infinity if it never did.
    quality: independent looks at the coherence time, capture over coherence time, at most 1 at 50 of them.
    """

    lags_s: FloatArray
    correlation: NDArray[np.complex128]
    correlation_std: FloatArray
    coherence_s: FloatArray
    coherence_std: FloatArray
    coherence_interval_s: FloatArray
    longest_burst_s: FloatArray
    burst_interval_s: FloatArray
    quality: FloatArray


def estimate_coherence(soundings: Soundings, max_loss_db: float = 0.1) -> CoherenceEstimate:
    """How fast gains change, of devices whose mean frequency and drift have been removed (`remove_drift`).

    max_loss_db: of a coherent sum's power, at the end of the longest burst, through phases that have turned since the
    sounding: with c the mean cosine of the turn, weighed by |h|^2, the loss is -20 log10 c, and the error relative
    to the perfect superposition is 2 (1 - c).
    """
    if not max_loss_db > 0.0:
        raise ValueError(f"max_loss_db must be above 0, got {max_loss_db:g}")
    if len(soundings.instants_s) < MIN_INSTANTS:
        raise ValueError(
            f"coherence needs at least {MIN_INSTANTS} soundings, got {len(soundings.instants_s)}; sound longer"
        )
    shortest_s = float(np.min(np.diff(soundings.instants_s)))
    span_s = soundings.span_s
    bins = lag_pairs(
        soundings.instants_s, shortest_s, max(LONGEST_SHARE * span_s, 2.0 * shortest_s), MOST_PAIRS
    )
    least_mean_cosine = 10.0 ** (-max_loss_db / 20.0)
    seen = [pairs for pairs in bins if _is_seen(soundings, pairs)]
    if not seen:
        raise ValueError(
            f"no distance between {len(soundings.instants_s)} soundings occurs {MIN_LOOKS} times without overlap and "
            f"in {MIN_OCCUPIED} of {NUM_BLOCKS} parts of the capture; repeat bursts evenly over it"
        )
    lags_s = np.array([pairs.lag_s for pairs in seen])
    looks = np.array([_looks(soundings, pairs) for pairs in seen])
    rows = []
    for device in range(soundings.gains.shape[1]):
        cells = np.array([_cells(soundings, device, pairs) for pairs in seen])
        rows.append(_estimate(cells, lags_s, looks, span_s, least_mean_cosine))
    names = [field.name for field in dataclasses.fields(CoherenceEstimate)][1:]
    columns = {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    return CoherenceEstimate(lags_s=lags_s, **columns)


def _places(soundings: Soundings, pairs: LagPairs) -> NDArray[np.intp]:
    """(num_pairs,) cell of each pair's middle."""
    middles_s = (soundings.instants_s[pairs.early] + soundings.instants_s[pairs.late]) / 2.0
    places = (middles_s - soundings.instants_s[0]) / soundings.span_s * CELLS
    return np.minimum(places.astype(np.intp), CELLS - 1)


def _is_seen(soundings: Soundings, pairs: LagPairs) -> bool:
    occupied = np.unique(_places(soundings, pairs) * NUM_BLOCKS // CELLS)
    return len(occupied) >= MIN_OCCUPIED and _looks(soundings, pairs) >= MIN_LOOKS


def _looks(soundings: Soundings, pairs: LagPairs) -> int:
    """Pairs of one lag that do not overlap in time."""
    count, free_s = 0, -np.inf
    for begin_s in np.sort(soundings.instants_s[pairs.early]):
        if begin_s >= free_s:
            count, free_s = count + 1, begin_s + pairs.lag_s
    return count


def _cells(soundings: Soundings, device: int, pairs: LagPairs) -> NDArray[np.complex128]:
    """(4, CELLS) means over the pairs of each stretch of the capture; 0 where there are none.

    late conj early; mean power of both; |late|^2 cos of the turn between them; power of the late one.
    """
    error = float(soundings.error_variances[device])
    early, late = soundings.gains[pairs.early, device], soundings.gains[pairs.late, device]
    product = late * early.conj()
    late_power = np.abs(late) ** 2
    power = (np.abs(early) ** 2 + late_power) / 2.0 - error
    aligned = np.abs(late) * product.real / np.maximum(np.abs(early), TINY)
    cells = _places(soundings, pairs)
    count = np.maximum(np.bincount(cells, minlength=CELLS), 1)
    means = [values.mean(axis=1) for values in (product, power, aligned, late_power)]
    return np.array(
        [
            (np.bincount(cells, mean.real, CELLS) + 1j * np.bincount(cells, mean.imag, CELLS)) / count
            for mean in means
        ]
    )


def _estimate(
    cells: NDArray[np.complex128],
    lags_s: FloatArray,
    looks: NDArray[np.intp],
    span_s: float,
    least_cosine: float,
) -> tuple[NDArray[np.complex128], FloatArray, float, float, FloatArray, float, FloatArray, float]:
    """One device's entries of the result, in their order. cells: (num_lags, 4, CELLS); looks: (num_lags,)."""
    correlation, cosine = _ratios(cells.sum(axis=2))
    blocks = np.add.reduceat(cells, np.arange(NUM_BLOCKS) * CELLS // NUM_BLOCKS, axis=2)
    left = [_ratios(cells.sum(axis=2) - blocks[:, :, block]) for block in range(NUM_BLOCKS)]
    without = np.abs([values for values, _ in left])
    coherence = _jackknife(np.abs(correlation), without, lags_s, LEVEL, BIAS_SEEN)
    # Coherence times that the capture holds, or that there are pairs so far apart to see.
    seen = float(np.interp(np.log(coherence.lag_s), np.log(lags_s), looks))
    times = min(span_s / coherence.lag_s, seen / LOOKS_SHARE)
    stated = coherence.reached and times >= NEEDED_TIMES
    interval_s = coherence.interval_s
    if not stated:
        bound_s = coherence.sure_s / (1.2 + 5.8 / times)
        interval_s = np.array([min(bound_s, interval_s[0]) if coherence.reached else bound_s, np.inf])
    burst = _jackknife(cosine, np.array([values for _, values in left]), lags_s, least_cosine, 1.0)
    burst_interval_s = np.array([burst.interval_s[0], burst.interval_s[1] if burst.reached else np.inf])
    return (
        correlation,
        _spread(without),
        coherence.lag_s if stated else np.nan,
        coherence.std if stated else np.nan,
        interval_s,
        burst.lag_s,
        burst_interval_s,
        min(times / NEEDED_TIMES, 1.0),
    )


def _ratios(sums: NDArray[np.complex128]) -> tuple[NDArray[np.complex128], FloatArray]:
    """(num_lags,) correlation, and weighed mean cosine of the turn, from sums (num_lags, 4).

    Noise turns gains too, those of deep fades altogether, but as much at every lag: so cosines are relative to that of
    the shortest lag, for which the magnitude of the correlation stands, which noise does not lower. Fades that deepen
    between make it cost a little more at longer lags: at 12 dB a gain bursts come out 6 % too short.
    """
    product, power, aligned, late_power = sums.T
    correlation = product / np.maximum(power.real, TINY)
    cosine = aligned.real / np.maximum(late_power.real, TINY)
    return correlation, cosine / max(float(cosine[0]), TINY) * float(np.abs(correlation[0]))


@dataclass(frozen=True, eq=False)
class _Crossing:
    """lag_s at which a level is crossed, without the jackknife's bias; std of its logarithm; interval_s of 95 %.
    reached: whether values fall that far, and not in a gap between lags; sure_s: up to where they are above."""

    lag_s: float
    std: float
    interval_s: FloatArray
    reached: bool
    sure_s: float


def _cross(
    values: FloatArray, stds: FloatArray, lags_s: FloatArray, level: float
) -> tuple[float, bool, float]:
    """lag_s, reached and sure_s of a _Crossing.

    Noise makes values dip early: what is not falling is averaged with its neighbours (isotonic regression), as far as
    values have not fallen far; beyond, correlations may rise again. Between lags 1 - value is a power of the lag, the
    square (any smooth fading) where the shorter one shows no fall beyond its deviation.
    """
    far = np.flatnonzero(1.0 - values > FAR * (1.0 - level))
    near = slice(0, far[0] + 1 if len(far) else len(values))
    fallen = 1.0 - scipy.optimize.isotonic_regression(values[near], increasing=False).x
    below = np.flatnonzero(fallen > 1.0 - level)
    if len(below) == 0:
        return float(lags_s[-1]), False, float(lags_s[-1])
    last = int(below[0])
    before = max(last - 1, 0)
    power = 2.0
    if last > 0 and fallen[before] > 2.0 * stds[before]:
        power = np.log(fallen[last] / fallen[before]) / np.log(lags_s[last] / lags_s[before])
    lag_s = float(lags_s[last] * ((1.0 - level) / fallen[last]) ** (1.0 / power))
    if last > 0:  # before the shortest lag it may lie anywhere
        lag_s = max(lag_s, float(lags_s[before]))
    leapt = fallen[last] > FAR * (1.0 - level) and lags_s[last] > GAP * lags_s[before]
    return lag_s, not leapt, float(lags_s[before]) if leapt else lag_s


def _jackknife(
    values: FloatArray, without: FloatArray, lags_s: FloatArray, level: float, bias_seen: float
) -> _Crossing:
    """values: (num_lags,); without: (NUM_BLOCKS, num_lags) the same with a block of time left out. bias_seen: share of
    the bias that shows when a block is left out."""
    stds = _spread(without)
    lag_s, reached, sure_s = _cross(values, stds, lags_s, level)
    logs = np.log([_cross(left, stds, lags_s, level)[0] for left in without])
    std = NEIGHBOURS * float(_spread(logs))
    unbiased = np.log(lag_s) - (NUM_BLOCKS - 1) * (float(logs.mean()) - np.log(lag_s)) / bias_seen
    reach = float(scipy.stats.t.ppf(0.975, NUM_BLOCKS - 1)) * std
    interval_s = np.exp(unbiased + np.array([-reach, reach]))
    return _Crossing(float(np.exp(unbiased)), std, interval_s, reached, sure_s)


def _spread(without: FloatArray) -> FloatArray:
    """Jackknife's standard deviation of what was estimated NUM_BLOCKS times, each time without a block."""
    squares = np.sum((without - without.mean(axis=0)) ** 2, axis=0)
    return np.asarray(np.sqrt((NUM_BLOCKS - 1) / NUM_BLOCKS * squares))
