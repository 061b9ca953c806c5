import math

import numpy as np
import pytest

from calibration.levels import estimate_levels
from tests.calibration.honesty import assert_honest

SETTINGS_DB = -np.arange(0.0, 40.0, 4.0)  # minus the attenuation
NUM_SETTINGS = len(SETTINGS_DB)


def measured(rng, levels_db, relative=0.01):
    powers = 10 ** (np.asarray(levels_db) / 10)
    stds = relative * powers
    return powers + stds * rng.normal(size=len(powers)), stds


def test_slope_level_and_steps_are_found_with_honest_intervals(rng):
    slopes, levels, steps = [], [], []
    for _ in range(200):
        slope, level_db, relative = rng.uniform(0.95, 1.05), rng.uniform(-30.0, 0.0), rng.uniform(0.003, 0.05)
        powers, stds = measured(rng, level_db + slope * SETTINGS_DB, relative)
        found = estimate_levels(powers, stds, SETTINGS_DB)
        slopes.append((found.slope - slope, found.slope_std))
        levels.append((found.level_db - level_db, found.level_std_db))
        steps.append((found.step_errors_db[3] - 4.0 * (slope - 1.0), found.step_stds_db[3]))
        assert found.quality == 1.0
    for seen in (slopes, levels, steps):
        assert_honest(*zip(*seen, strict=True))


def test_settings_that_scatter_about_the_line_widen_its_intervals(rng):
    slopes, scatters = [], []
    for _ in range(200):
        own_db = 0.2 * rng.normal(size=NUM_SETTINGS)
        powers, stds = measured(rng, SETTINGS_DB + own_db, 0.005)
        found = estimate_levels(powers, stds, SETTINGS_DB, limit_db=2.0)
        slopes.append((found.slope - 1.0, found.slope_std))
        scatters.append(found.scatter_db**2)
    assert_honest(*zip(*slopes, strict=True))
    assert np.mean(scatters) == pytest.approx(0.04, rel=0.1)


def test_the_worst_step_is_pointed_at(rng):
    levels_db = np.sort(SETTINGS_DB)
    levels_db[6:] += 0.4
    powers, stds = measured(rng, levels_db, 0.002)
    found = estimate_levels(powers, stds, np.sort(SETTINGS_DB), limit_db=1.0)
    assert found.worst_step == 5
    assert found.step_errors_db[5] == pytest.approx(0.4, abs=4 * found.step_stds_db[5])
    assert found.step_stds_db[5] == pytest.approx(4.343 * 0.002 * math.sqrt(2), rel=0.02)


def test_what_saturates_and_what_drowns_is_set_apart(rng):
    settings_db = np.sort(SETTINGS_DB)
    for num_saturated in range(4):
        for num_drowned in range(3):
            levels_db = settings_db.copy()
            if num_saturated:
                levels_db[-num_saturated:] = levels_db[-num_saturated] - 1.0  # none gives more than the first
            powers, stds = measured(rng, levels_db, 0.01)
            powers[:num_drowned], stds[:num_drowned] = 2e-4 * rng.random(num_drowned), 1e-4
            found = estimate_levels(powers, stds, settings_db)
            assert found.saturated.tolist() == [
                place >= NUM_SETTINGS - num_saturated for place in range(NUM_SETTINGS)
            ]
            assert found.drowned.tolist() == [place < num_drowned for place in range(NUM_SETTINGS)]
            assert found.slope == pytest.approx(1.0, abs=4 * found.slope_std)
            assert found.quality == 1.0 - (num_saturated + num_drowned) / NUM_SETTINGS
            assert np.count_nonzero(np.isnan(found.step_errors_db)) == num_saturated + num_drowned


def test_a_noise_floor_that_is_not_taken_out_drowns_the_lowest(rng):
    powers = 10 ** (SETTINGS_DB / 10) + 1e-3
    found = estimate_levels(powers * (1 + 0.005 * rng.normal(size=NUM_SETTINGS)), 0.005 * powers, SETTINGS_DB)
    # -36, -32, -28 dB are lifted by 7.0, 4.1 and 2.1 dB, -24 by 1.0, -20 by 0.4
    assert found.drowned[:4].all()
    assert not found.drowned[5:].any()
    assert found.slope == pytest.approx(1.0, abs=0.03)


def test_the_order_of_settings_does_not_matter(rng):
    powers, stds = measured(rng, SETTINGS_DB)
    order = rng.permutation(NUM_SETTINGS)
    one = estimate_levels(powers, stds, SETTINGS_DB)
    other = estimate_levels(powers[order], stds[order], SETTINGS_DB[order])
    assert one.slope == other.slope
    np.testing.assert_array_equal(one.step_errors_db, other.step_errors_db)
    np.testing.assert_array_equal(one.settings_db, np.sort(SETTINGS_DB))


def test_bad_input_is_refused(rng):
    powers, stds = measured(rng, SETTINGS_DB)
    with pytest.raises(ValueError, match="2 settings are too few, measure 3 or more"):
        estimate_levels(powers[:2], stds[:2], SETTINGS_DB[:2])
    with pytest.raises(ValueError, match="a setting comes twice; give the mean of its powers"):
        estimate_levels(powers, stds, np.minimum(SETTINGS_DB, -4.0))
    with pytest.raises(ValueError, match="stds must be above 0, got 0"):
        estimate_levels(powers, 0.0 * stds, SETTINGS_DB)
    with pytest.raises(ValueError, match="must be equally long"):
        estimate_levels(powers, stds[1:], SETTINGS_DB)
    with pytest.raises(ValueError, match="2 of 10 settings are neither drowned nor saturated, 3 are needed"):
        estimate_levels(np.where(np.arange(10) < 2, powers, 0.0), stds, SETTINGS_DB)
