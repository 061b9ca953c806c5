from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom

from calibration.starts import estimate_starts, of_starts


def test_200_intervals_hold_what_waits_were_drawn_from(rng):
    held = np.zeros(2, int)
    for _ in range(200):
        mean, spread = rng.uniform(0.02, 0.2), 10 ** rng.uniform(-6, -2)
        stds = spread * rng.uniform(0.0, 0.5, rng.integers(4, 12))
        found = estimate_starts(rng.normal(mean, np.hypot(spread, stds)), stds)
        held += [
            found.wait_interval_s[0] <= mean <= found.wait_interval_s[1],
            found.jitter_interval_s[0] <= spread <= found.jitter_interval_s[1],
        ]
        assert found.wait_interval_s[0] <= found.wait_s <= found.wait_interval_s[1]
    assert np.all(held >= binom.ppf(0.0005, 200, 0.95))
    assert np.all(held <= binom.ppf(0.9995, 200, 0.95))


def test_too_few_starts_tell_nothing():
    with pytest.raises(ValueError, match="at least 4 starts, got 3"):
        estimate_starts(np.zeros(3), np.ones(3))


def capture(*starts):
    return SimpleNamespace(facts={"starts": starts}, config=SimpleNamespace(sample_rate_hz=1e6))


def test_starts_of_all_captures_count_but_for_the_receivers_own():
    captures = {
        "alone": capture([0, 1000.0, 3.0], [1, 500.0, 3.0]),
        "aside": capture([0, 1400.0, 4.0], [1, 500.0, 4.0]),
        "ramp": capture([0, 1200.0, 5.0], [0, 1200.0, 4.0]),
        "back 0": capture([0, 9e9, 1.0]),
        "back 1": capture([1, 9e9, 1.0], [1, 9e9, 1.0]),
    }
    found = of_starts(captures, 0.0)
    assert found.keys() == {0}  # the other was met twice
    assert found[0]["start_s"].value == pytest.approx(1.2e-3)
    assert found[0]["start_jitter_s"].value == pytest.approx(
        np.sqrt(np.var([1000, 1400, 1200, 1200], ddof=1) - 16.5) * 1e-6
    )


def test_jitter_below_what_is_measured_is_a_bound():
    waits = np.array([1.0, 1.1, 0.9, 1.0, 1.05]) * 1e-9
    found = estimate_starts(waits, np.full(5, 1e-9))
    assert (found.jitter_s, found.jitter_interval_s[0]) == (0.0, 0.0)
    assert 1e-9 < found.jitter_interval_s[1] < 4e-9
