"""How channels move while they are sounded: how long they hold, how fast they scatter, how much stands still."""

import math
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from calibration.clock import ClockEstimate
from calibration.coherence import CoherenceEstimate, estimate_coherence
from calibration.delay_profile import estimate_delay_profile
from calibration.profile import VALID_S, Entry, PathsEntry, estimate, interval
from calibration.soundings import Soundings, remove_drift

FloatArray = NDArray[np.float64]
SEEN = 4.0  # standard deviations of a loss of correlation that is one
LEAST_LOSS, MOST_LOSS = 0.002, 0.1  # of the correlation, between which it goes with the square of the lag
STEADY_K_DB = 40.0
NUM_STRETCHES = 8
EARLIEST, LATEST = -16.0, 64.0  # samples from where a sounding was expected, between which paths are sought
Z95 = 1.959964


def of_motion(soundings: Soundings, clock: ClockEstimate, at_s: float) -> list[dict[str, Any]]:
    """Entries of each device: coherence time, longest coherent burst, Doppler and line of sight of what fades."""
    still = remove_drift(soundings, clock.residual_cfo_hz, clock.delay_rate)
    coherence = estimate_coherence(still)
    found = []
    for device in range(soundings.gains.shape[1]):
        line = line_of_sight_db(still, device)
        k_db = None if line is None else line[0]
        doppler = _doppler(coherence, device, k_db, at_s)
        found.append(
            {
                "coherence_time_s": _held(
                    float(coherence.coherence_s[device]), coherence.coherence_interval_s[device], at_s
                ),
                "longest_burst_s": _held(
                    float(coherence.longest_burst_s[device]), coherence.burst_interval_s[device], at_s
                ),
                "rician_k_db": None if line is None else estimate(*line, at_s, "path"),
                "doppler_hz": doppler,
                "fading_paths": None if doppler is None else _fading_paths(still, device, at_s),
            }
        )
    return found


def line_of_sight_db(still: Soundings, device: int) -> tuple[float, float] | None:
    """Power that stays over power that moves, between subcarriers' means and what is left, and its deviation, from
    leaving out a stretch of time each time; None if nothing moves.

    Over a span of few fades what moves slowly seems to stay.
    """
    gains, noise = still.gains[:, device], float(still.error_variances[device])
    k_db = _line_of_sight_db(gains, noise)
    if k_db is None:
        return None
    stretches = np.array_split(np.arange(len(gains)), NUM_STRETCHES)
    left = [_line_of_sight_db(np.delete(gains, stretch, axis=0), noise) for stretch in stretches]
    without = np.array([STEADY_K_DB if value is None else value for value in left])
    share = (NUM_STRETCHES - 1) / NUM_STRETCHES
    spread = math.sqrt(share * float(np.sum((without - without.mean()) ** 2)))
    return k_db, spread * float(scipy.stats.t.ppf(0.975, NUM_STRETCHES - 1)) / Z95


def _line_of_sight_db(gains: NDArray[np.complexfloating], noise: float) -> float | None:
    """gains: (num_instants, num_active)."""
    mean, count = gains.mean(axis=0), len(gains)
    moving = float(np.mean(np.abs(gains - mean) ** 2)) * count / (count - 1) - noise
    staying = float(np.mean(np.abs(mean) ** 2)) - (moving + noise) / count
    if moving <= 0.0 or staying <= 0.0:
        return None if moving <= 0.0 else -30.0
    k_db = 10.0 * math.log10(staying / moving)
    return k_db if k_db < STEADY_K_DB else None


def _fading_paths(still: Soundings, device: int, at_s: float) -> PathsEntry:
    """What one look shows of a channel that fades is not what it is in the mean."""
    noise = float(still.error_variances[device])
    found = estimate_delay_profile(still.gains[:, device], noise, still.ofdm, EARLIEST, LATEST)
    return PathsEntry(
        delays_s=tuple(((found.delays - found.delays[0]) / still.ofdm.sample_rate_hz).tolist()),
        powers=tuple(found.powers.tolist()),
        at_s=at_s,
        valid_s=VALID_S["path"],
    )


def _doppler(coherence: CoherenceEstimate, device: int, k_db: float | None, at_s: float) -> Entry | None:
    """Of Jakes' spectrum: the correlation (K + J_0(2 pi f lag)) / (K + 1) falls by (pi f lag)^2 / (K + 1) at first.

    From the lags at which the loss is certain and still small, each weighed by its certainty.
    """
    if k_db is None:
        return None
    losses, stds = 1.0 - np.abs(coherence.correlation[device]), coherence.correlation_std[device]
    clear = (losses > SEEN * stds) & (losses > LEAST_LOSS) & (losses < MOST_LOSS)
    if not clear.any():
        return None
    lags_s, losses, stds = coherence.lags_s[clear], losses[clear], stds[clear]
    scale = math.sqrt(1.0 + 10.0 ** (k_db / 10.0)) / math.pi
    each_hz = scale * np.sqrt(losses) / lags_s
    each_std = each_hz * stds / (2.0 * losses)
    weights = 1.0 / each_std**2
    value = float(np.sum(weights * each_hz) / weights.sum())
    std = float(each_std.min())  # neighbouring lags see the same fades
    return interval(value, max(value - Z95 * std, 0.0), value + Z95 * std, at_s, "path")


def _held(value: float, bounds: FloatArray, at_s: float) -> Entry:
    low, high = map(float, bounds)
    if math.isfinite(value) and math.isfinite(high):
        return interval(value, low, high, at_s, "path")
    return interval(low, low, low, at_s, "path", "lower")
