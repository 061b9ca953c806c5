"""By how much the instants of repeated bursts scatter: jitter, and slips by whole samples apart from it."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

MIN_BURSTS = 5
TELLABLE_SAMPLES = 0.15  # jitter up to which a slip by one sample is one: it stays within half a sample
RESISTANT = 1.4826  # a Gaussian's standard deviation over the median of its magnitude
ROUNDS = 10
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class JitterEstimate:
    """jitter_samples: standard deviation of the delays, the part of their measurement taken out, 0 at least; its own
    standard deviation, and a 95 % interval (chi-square; from 0 where measurement noise may explain all). slips:
    (num_bursts,) whole samples by which each burst is later than most; not in the jitter. delay_samples: mean delay at
    the mean instant of those that did not slip, its std; drift: samples a second, 0 unless instants were given.
    quality: probability that slips and jitter were told apart; below 0.5 no slips are counted and all is jitter."""

    jitter_samples: float
    jitter_std_samples: float
    jitter_interval_samples: tuple[float, float]
    slips: NDArray[np.intp]
    delay_samples: float
    delay_std_samples: float
    drift: float
    quality: float

    @property
    def num_slips(self) -> int:
        """Bursts that slipped."""
        return int(np.count_nonzero(self.slips))


def estimate_jitter(
    delays_samples: FloatArray, delay_stds_samples: FloatArray, instants_s: FloatArray | None = None
) -> JitterEstimate:
    """Jitter of the delays (num_bursts,) of repeated bursts, each known to its standard deviation (num_bursts,).

    instants_s: (num_bursts,) when they were sent, where clocks drift apart: a straight line is taken out. The
    measurement's part is known in the mean only as well as its stated deviations are.
    """
    count = len(delays_samples)
    if count < MIN_BURSTS:
        raise ValueError(f"jitter needs at least {MIN_BURSTS} bursts, got {count}; repeat the burst")
    if delay_stds_samples.shape != delays_samples.shape:
        raise ValueError(
            f"delay_stds_samples must have shape {delays_samples.shape} as the delays, got {delay_stds_samples.shape}"
        )
    if not (np.all(np.isfinite(delays_samples)) and np.all(np.isfinite(delay_stds_samples))):
        raise ValueError("delays and their deviations must be finite; leave out bursts that were not heard")
    if instants_s is not None and (instants_s.shape != delays_samples.shape or np.ptp(instants_s) <= 0.0):
        raise ValueError(
            f"instants_s must be {count} instants that differ, got shape {instants_s.shape}; leave them out if clocks "
            "are shared"
        )
    times = np.zeros(count) if instants_s is None else instants_s - instants_s.mean()
    drift = 0.0 if instants_s is None else _drift(delays_samples, times)
    slips = _slips(delays_samples - drift * times)
    left, line = _line(delays_samples - slips, times, instants_s is not None)
    scatter = RESISTANT * float(np.median(np.abs(left)))
    quality = float(1.0 - 2.0 * scipy.stats.norm.sf(0.5, scale=max(scatter, 1e-12))) ** count
    if scatter > TELLABLE_SAMPLES:
        slips, quality = np.zeros(count, dtype=np.intp), min(quality, 0.0)
        left, line = _line(delays_samples, times, instants_s is not None)
    freedom = count - len(line)
    total = float(np.sum(left**2)) / freedom
    measured = float(np.mean(delay_stds_samples**2))
    jitter, least, most = spread_beyond(total, measured, freedom)
    std = total * np.sqrt(2.0 / freedom)
    return JitterEstimate(
        jitter_samples=jitter,
        jitter_std_samples=float(std / (2.0 * np.sqrt(max(total - measured, std, 1e-300)))),
        jitter_interval_samples=(least, most),
        slips=slips,
        delay_samples=float(line[-1]),
        delay_std_samples=float(np.sqrt(total / count)),
        drift=float(line[0]) if len(line) > 1 else 0.0,
        quality=quality,
    )


def spread_beyond(total: float, measured: float, freedom: int) -> tuple[float, float, float]:
    """Standard deviation, and its 95 % interval by chi-square, of what scatters with a variance `total`, of which the
    measurement's part is `measured`; 0 where that may be all."""
    unlucky = np.array(
        [total, max(total, measured)]
    )  # less than the measurement's part is luck: it bounds nothing
    low, high = unlucky * freedom / scipy.stats.chi2.ppf([0.975, 0.025], freedom)
    value, least, most = np.sqrt(
        np.maximum([total - measured, low - measured, high - measured], 0.0)
    ).tolist()
    return value, least, most


def _drift(delays: FloatArray, times: FloatArray) -> float:
    """Median of the slopes between all bursts (Theil and Sen): slips, as long as they are few, do not tilt it."""
    early, late = np.triu_indices(len(times), 1)
    apart = times[late] - times[early]
    return float(np.median((delays[late] - delays[early])[apart != 0.0] / apart[apart != 0.0]))


def _slips(delays: FloatArray) -> NDArray[np.intp]:
    """(num_bursts,) whole samples that bring each delay nearest to where most are."""
    turns = np.exp(2j * np.pi * delays)
    fraction = float(np.angle(turns.sum())) / (2.0 * np.pi)
    whole = np.round(delays - fraction).astype(np.intp)
    values, counts = np.unique(whole, return_counts=True)
    return np.asarray(whole - values[np.argmax(counts)])


def _line(delays: FloatArray, times: FloatArray, drifting: bool) -> tuple[FloatArray, FloatArray]:
    """(num_bursts,) what is left beside the mean, or a line; and (slope and) mean."""
    fit = np.polyfit(times, delays, 1) if drifting else np.array([delays.mean()])
    return delays - np.polyval(fit, times), fit
