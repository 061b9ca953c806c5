import numpy as np
import pytest
from drawn_soundings import assert_covered, assert_unbiased

from calibration.jitter import estimate_jitter


def delays(rng, count, jitter, measured, instants_s=None, drift=0.0):
    """Delays about 17.37 samples, and the deviations with which they were measured."""
    stds = measured * rng.uniform(0.5, 1.5, count)
    late = 17.37 + jitter * rng.normal(size=count) + stds * rng.normal(size=count)
    return late + (0.0 if instants_s is None else drift * instants_s), stds


def test_200_radios_are_known_as_well_as_stated(rng):
    found = []
    for _ in range(200):
        count, jitter, measured = rng.integers(8, 60), rng.uniform(0.0, 0.06), rng.uniform(0.005, 0.05)
        instants = np.sort(rng.uniform(0, 5, count))
        late, stds = delays(rng, count, jitter, measured, instants, rng.uniform(-1, 1))
        estimate = estimate_jitter(late, stds, instants)
        assert estimate.num_slips == 0
        found.append((*estimate.jitter_interval_samples, jitter))
    low, high, truth = np.array(found).T
    assert_covered(np.column_stack([low, high]), truth)


def test_measurement_noise_is_not_in_it(rng):
    squares = []
    for _ in range(200):
        late, stds = delays(rng, 40, 0.05, 0.05)
        squares.append(estimate_jitter(late, stds).jitter_samples ** 2)
    assert_unbiased(np.array(squares) - 0.05**2)


def test_scatter_below_the_measurements_own_bounds_jitter_no_lower_than_that_of_eight_bursts_can():
    """Eight delays that agree by luck: 7 degrees of freedom leave a variance of 7 / 1.69 times the measurement's."""
    found = estimate_jitter(np.full(8, 0.25), np.full(8, 0.01))
    assert found.jitter_interval_samples == (0.0, pytest.approx(0.01 * np.sqrt(7.0 / 1.690 - 1.0), rel=1e-3))


def test_slips_are_counted_apart(rng):
    late, stds = delays(rng, 50, 0.03, 0.01)
    slips = np.zeros(50, int)
    slips[[3, 17, 40]] = 1, -2, 300
    found = estimate_jitter(late + slips, stds)
    np.testing.assert_array_equal(found.slips, slips)
    assert found.num_slips == 3
    assert found.jitter_samples == pytest.approx(0.03, rel=0.4)
    assert found.delay_samples == pytest.approx(17.37, abs=4 * found.delay_std_samples)
    assert found.quality > 0.99


def test_a_drift_with_slips_is_a_drift(rng):
    instants = np.sort(rng.uniform(0, 10, 60))
    late, stds = delays(rng, 60, 0.03, 0.01, instants, 0.7)
    slips = np.zeros(60, int)
    slips[10:14] = 1
    found = estimate_jitter(late + slips, stds, instants)
    np.testing.assert_array_equal(found.slips, slips)
    assert found.drift == pytest.approx(0.7, abs=0.01)


def test_jitter_of_samples_is_not_called_slips(rng):
    late, stds = delays(rng, 100, 5.0, 0.01)
    found = estimate_jitter(late, stds)
    assert (found.num_slips, found.quality) == (0, 0.0)
    assert found.jitter_samples == pytest.approx(5.0, rel=0.25)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="at least 5 bursts, got 4; repeat the burst"):
        estimate_jitter(np.zeros(4), np.zeros(4))
    with pytest.raises(ValueError, match=r"shape \(5,\) as the delays, got \(4,\)"):
        estimate_jitter(np.zeros(5), np.zeros(4))
    with pytest.raises(ValueError, match="must be finite; leave out bursts"):
        estimate_jitter(np.array([0, 1, np.nan, 0, 0]), np.zeros(5))
    with pytest.raises(ValueError, match="5 instants that differ"):
        estimate_jitter(np.zeros(5), np.ones(5), np.zeros(5))
