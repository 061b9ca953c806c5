"""Whether a band is free: who is in it while none of our own sends, how strong, and where.

A carrier or a channel in use shows as bins over the noise floor (`calibration/welch.py`), a burst as stretches of time
over it, in the median of their power, which impulses hardly touch.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from calibration.power import NoiseEstimate, estimate_noise
from calibration.welch import (
    NUM_BATCHES,
    REACH,
    Periodogram,
    average_periodograms,
    estimate_floor,
    runs_of,
)
from radio.decibel import from_db, to_db
from radio.interface import Samples

SKIRT = 2  # bins beside an occupied run, which hold a little of it
STEP_SAMPLES = 10_000  # enough to find the step with
EVEN = (0.6180339887498949, 0.7548776662466927)  # multiples of these, modulo 1, fill [0, 1) evenly
NORMAL_95 = 1.96
DB = 10.0 / math.log(10.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class OccupancyEstimate:
    """A silent band; 0 dBFS is power 1, a carrier of amplitude 1. `..._std`: predicted.

    busy: somebody is in it, in frequency or in time. occupied_share: of the bins, over the threshold.
    active_share: of the time, in blocks of num_bins samples. noise: of a sample, from the bins that are free.
    strongest_...: the occupied run of bins with most power: that power without the floor under it, its highest bin
    over the floor, its centre from the carrier. If no bin is occupied, the highest bin, which is noise.
    dc: the receiver's own; std of each part. peak_to_mean_db: strongest sample; impulsive_share: of the samples, so
    strong as noise makes none. quality in [0, 1]: share of the bins that show the floor. frequencies_hz, powers:
    (num_bins,) from the carrier, linear, DC removed.
    """

    busy: bool
    occupied_share: float
    active_share: float
    noise: NoiseEstimate
    strongest_dbfs: float
    strongest_std_db: float
    strongest_over_floor_db: float
    strongest_offset_hz: float
    strongest_offset_std_hz: float
    dc: complex
    dc_std: float
    peak_to_mean_db: float
    impulsive_share: float
    quality: float
    frequencies_hz: NDArray[np.float64]
    powers: NDArray[np.float64]

    @property
    def floor_dbfs(self) -> float:
        """Noise in all of the sampled bandwidth."""
        return to_db(self.noise.variance)

    @property
    def floor_std_db(self) -> float:
        """Of `floor_dbfs`."""
        return DB * self.noise.std / self.noise.variance


def estimate_occupancy(
    samples: Samples,
    sample_rate_hz: float,
    false_alarm: float = 1e-6,
    *,
    band_hz: float | None = None,
    ripple_db: float = 1.0,
    num_bins: int = 256,
) -> OccupancyEstimate:
    """Who is in a band in which none of our own sends.

    samples: (num_samples,), full scale = 1. false_alarm: probability that white noise alone makes the band busy, half
    of it shared by the bins and half by the stretches of time (union bounds). band_hz: width around the carrier to look
    at, all by default. ripple_db: by how much a receiver's own response may lift a bin: nothing below counts.
    Raises ValueError for too few samples, or nothing but zeros.
    """
    if not 0.0 < false_alarm < 1.0:
        raise ValueError(f"false_alarm must be in (0, 1), got {false_alarm:g}")
    if not np.any(samples):
        raise ValueError(f"all {len(samples)} samples are zero; raise the receive gain")
    mean = complex(samples.mean(dtype=np.complex128))
    centred = (samples - mean).astype(np.complex64)
    spectrum = average_periodograms(centred, num_bins)
    frequencies_hz = np.fft.fftshift(np.fft.fftfreq(num_bins, 1.0 / sample_rate_hz))
    places = np.abs(np.arange(num_bins) - num_bins // 2)
    looked_at = (places >= REACH) & (np.abs(frequencies_hz) <= (band_hz or sample_rate_hz) / 2.0)
    if np.count_nonzero(looked_at) < 4 * REACH:
        raise ValueError(
            f"band_hz = {band_hz:g} holds {np.count_nonzero(looked_at)} bins besides DC; raise it, or num_bins"
        )
    tolerance = from_db(ripple_db)
    noise = estimate_floor(spectrum.powers[looked_at], spectrum, tolerance)
    floor = noise.variance / num_bins
    each = false_alarm / 2.0 / np.count_nonzero(looked_at)
    law = scipy.stats.gamma(spectrum.num_segments, scale=1.0 / spectrum.num_segments)
    over = looked_at & (spectrum.powers > floor * max(float(law.isf(each)), tolerance))
    active_share = _active_share(centred, noise.variance, num_bins, false_alarm / 2.0, tolerance)
    run = _strongest_run(spectrum.powers - floor, over, looked_at)
    level, level_std, offset_hz, offset_std_hz = _measure(spectrum, run, floor, noise, frequencies_hz)
    power = np.abs(centred.astype(np.complex128)) ** 2
    beside_dc = (places >= REACH) & (places < 2 * REACH)
    near_dc = float(spectrum.powers[beside_dc].mean()) * num_bins
    occupied_share = np.count_nonzero(over) / np.count_nonzero(looked_at)
    return OccupancyEstimate(
        busy=bool(over.any()) or active_share > 0.0,
        occupied_share=occupied_share,
        active_share=active_share,
        noise=noise,
        strongest_dbfs=to_db(level),
        strongest_std_db=DB * level_std / level,
        strongest_over_floor_db=to_db(float(spectrum.powers[run].max()) / floor),
        strongest_offset_hz=offset_hz,
        strongest_offset_std_hz=offset_std_hz,
        dc=mean,
        dc_std=math.sqrt(near_dc / (2.0 * len(samples))),
        peak_to_mean_db=to_db(float(power.max()) / estimate_noise(centred).variance),
        impulsive_share=float(np.mean(power > noise.variance * math.log(len(samples) / false_alarm))),
        quality=1.0 - occupied_share,
        frequencies_hz=frequencies_hz,
        powers=spectrum.powers,
    )


def _active_share(
    samples: Samples, variance: float, block_len: int, false_alarm: float, tolerance: float
) -> float:
    """Share of blocks whose upper median power noise would not reach.

    exp(-power) of noise is uniform, so that the (b / 2 + 1)-th smallest power of b has, as exp(-power), the law of
    the (b / 2)-th smallest of b uniform numbers, Beta(b / 2, b / 2 + 1). A converter's steps, which may be as coarse as
    the noise, are filled evenly first.
    """
    step = _converter_step(samples)
    count = np.arange(len(samples))
    filling = step * ((count * EVEN[0]) % 1.0 - 0.5 + 1j * ((count * EVEN[1]) % 1.0 - 0.5))
    num_blocks, rank = len(samples) // block_len, block_len // 2
    filled = (samples + filling)[: num_blocks * block_len].reshape(num_blocks, block_len)
    medians = np.partition(np.abs(filled) ** 2, rank, axis=1)[:, rank]
    tail = float(scipy.stats.beta.ppf(false_alarm / num_blocks, block_len - rank, rank + 1))
    limit = max(-math.log(tail), tolerance * math.log(2.0))
    return float(np.mean(medians > limit * (variance + step**2 / 6.0)))


def _converter_step(samples: Samples) -> float:
    """Least distance of two values of I; of samples that were never quantised it is next to nothing."""
    levels = np.unique(samples[:STEP_SAMPLES].real.astype(np.float64))
    return float(np.diff(levels).min()) if len(levels) > 1 else 0.0


def _strongest_run(
    excess: NDArray[np.float64], over: NDArray[np.bool_], looked_at: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Bins of the occupied run with most power and its skirts, or the highest bin if none is occupied."""
    if not over.any():
        return np.array([np.argmax(np.where(looked_at, excess, -math.inf))])
    carrier, bridged = len(over) // 2, over.copy()
    if over[carrier - REACH] and over[carrier + REACH]:
        bridged[carrier - REACH : carrier + REACH] = True  # one signal around the carrier, not two beside it
    first, end = max(runs_of(bridged), key=lambda run: float(excess[run[0] : run[1]].sum()))
    return np.arange(max(first - SKIRT, 0), min(end + SKIRT, len(over)))


def _measure(
    spectrum: Periodogram,
    run: NDArray[np.intp],
    floor: float,
    noise: NoiseEstimate,
    frequencies_hz: NDArray[np.float64],
) -> tuple[float, float, float, float]:
    """Power over the floor and centre of a run with stds, from the scatter of the batches: it may be no noise."""
    widen = float(scipy.stats.t.ppf(0.975, NUM_BATCHES - 1)) / NORMAL_95 / math.sqrt(NUM_BATCHES)
    above = spectrum.batches[:, run] - floor
    powers = above.sum(axis=1)
    level = float(powers.mean())
    level_std = math.hypot(widen * float(powers.std(ddof=1)), len(run) * floor * noise.std / noise.variance)
    centre_hz = float(above.mean(axis=0) @ frequencies_hz[run]) / level
    moments = above @ (frequencies_hz[run] - centre_hz) / level
    return level, level_std, centre_hz, widen * float(moments.std(ddof=1))
