"""How long a radio takes from being asked to send to being heard, and by how much that differs from time to time.

By as much bursts lie apart that hosts start at one time; what a sounding ties clocks together for.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from calibration.bench import STARTS
from calibration.jitter import spread_beyond
from calibration.profile import at_most, interval
from calibration.turns import BACK
from radio.capture import Capture

MIN_STARTS = 4


@dataclass(frozen=True, kw_only=True)
class StartEstimate:
    """wait_s: mean, jitter_s: standard deviation over starts, the measurement's part taken out; each with its 95 %
    interval, of a normal law. That of jitter begins at 0 where the measurement may explain all."""

    wait_s: float
    wait_interval_s: tuple[float, float]
    jitter_s: float
    jitter_interval_s: tuple[float, float]


def estimate_starts(waits_s: NDArray[np.float64], stds_s: NDArray[np.float64]) -> StartEstimate:
    """waits_s: (num_starts,), each measured to a standard deviation. Raises ValueError for fewer than MIN_STARTS."""
    count = len(waits_s)
    if count < MIN_STARTS:
        raise ValueError(f"start-up needs at least {MIN_STARTS} starts, got {count}; start more often")
    mean, variance = float(waits_s.mean()), float(waits_s.var(ddof=1))
    measured = float(np.mean(stds_s**2))
    reach = float(t.ppf(0.975, count - 1)) * math.sqrt(variance / count)
    jitter, low, high = spread_beyond(variance, measured, count - 1)
    return StartEstimate(
        wait_s=mean,
        wait_interval_s=(mean - reach, mean + reach),
        jitter_s=jitter,
        jitter_interval_s=(low, high),
    )


def of_starts(captures: Mapping[str, Capture], at_s: float) -> dict[int, dict[str, Any]]:
    """Entries by device, of those that were met often enough."""
    starts: dict[int, list[tuple[float, float]]] = {}
    for capture in (capture for step, capture in captures.items() if not step.startswith(BACK)):
        for device, wait, std in capture.facts.get(STARTS, ()):
            rate_hz = capture.config.sample_rate_hz
            starts.setdefault(device, []).append((wait / rate_hz, std / rate_hz))
    found = {}
    for device, each in starts.items():
        if len(each) >= MIN_STARTS:
            seen = estimate_starts(*np.array(each).T)
            found[device] = {
                "start_s": interval(seen.wait_s, *seen.wait_interval_s, at_s, "clock"),
                "start_jitter_s": at_most(seen.jitter_s, *seen.jitter_interval_s, at_s, "clock"),
            }
    return found
