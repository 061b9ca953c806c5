import numpy as np
import pytest
from drawn_soundings import assert_covered, assert_unbiased, plus_minus

from calibration.clock_filter import filter_clock


def walks(rng, instants_s, walk, count):
    """(num_instants, count) cycles and frequencies of random walks of the frequency, step by step exactly."""
    cycles, frequencies = np.zeros((2, len(instants_s), count))
    for step, gap_s in enumerate(np.diff(instants_s)):
        moved, beside = rng.normal(size=(2, count)) * walk
        frequencies[step + 1] = frequencies[step] + np.sqrt(gap_s) * moved
        middle = frequencies[step] + np.sqrt(gap_s) * moved / 2
        cycles[step + 1] = cycles[step] + middle * gap_s + np.sqrt(gap_s**3 / 12) * beside
    return cycles, frequencies


def run(seen, instants_s, variance, guess_std_hz, wrapped):
    count = seen.shape[1]
    return filter_clock(
        seen,
        instants_s,
        np.full(count, variance),
        np.zeros(count),
        np.full(count, guess_std_hz),
        wrapped=wrapped,
    )


def test_a_steady_clock_is_a_line_through_its_phases(rng):
    instants = np.sort(rng.uniform(0, 2, 150))
    seen = 0.3 + 1.7 * instants[:, None] + 1e-3 * rng.normal(size=(150, 40))
    found = run(seen, instants, 1e-6, 10.0, wrapped=False)
    slopes, _ = np.polyfit(instants, seen, 1)
    stated = 1e-3 / np.sqrt(np.sum((instants - instants.mean()) ** 2))
    assert np.sqrt(np.mean((found.mean_hz - slopes) ** 2)) < 0.5 * stated
    # what cannot be excluded of a walk adds a little
    assert np.median(found.mean_std_hz) == pytest.approx(stated, rel=0.25)


def test_a_walk_is_found_and_so_is_what_it_leaves_unknown(rng):
    instants = np.concatenate([[0.0], np.sort(rng.uniform(0, 2, 80))])
    cycles, frequencies = walks(rng, instants, 0.5, 200)
    seen = cycles + 1e-3 * rng.normal(size=cycles.shape)
    found = run(seen % 1.0, instants, 1e-6, 1.0, wrapped=True)
    assert_covered(plus_minus(found.mean_hz, found.mean_std_hz), cycles[-1] / (instants[-1] - instants[0]))
    assert_covered(plus_minus(found.last_hz, found.last_std_hz), frequencies[-1])
    assert_unbiased(found.last_hz - frequencies[-1])
    assert np.mean(found.walk) == pytest.approx(0.5, rel=0.1)
    assert np.mean((found.walk_interval[:, 0] <= 0.5) & (found.walk_interval[:, 1] >= 0.5)) > 0.9
    assert np.min(found.quality) > 0.99


def test_more_noise_than_predicted_shows(rng):
    instants = np.arange(100) * 1e-2
    seen = 5e-3 * rng.normal(size=(100, 200))
    found = run(seen, instants, 1e-6, 1.0, wrapped=False)
    assert_covered(plus_minus(found.mean_hz, found.mean_std_hz), 0.0)


def test_over_a_gap_that_is_too_long_turns_are_not_counted(rng):
    """Two bursts 30 s apart: the frequency is that of the bursts, not of a turn in 30 s."""
    burst = np.arange(30) * 1e-3
    instants = np.concatenate([burst, 30.0 + burst])
    seen = (0.4 * instants[:, None] + 1e-3 * rng.normal(size=(60, 200))) % 1.0
    found = run(seen, instants, 1e-6, 5.0, wrapped=True)
    alone = 1e-3 / np.sqrt(np.sum((burst - burst.mean()) ** 2))
    assert np.median(found.last_std_hz) > 0.6 * alone
    assert np.mean(np.abs(found.last_hz - 0.4) < 1.96 * found.last_std_hz) > 0.9
