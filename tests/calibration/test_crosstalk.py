import numpy as np
import pytest
from drawn_soundings import assert_covered, assert_unbiased, plus_minus, white

from calibration.crosstalk import estimate_crosstalk

ACTIVE = 64


def channels(rng, *shape):
    """Unit mean power over the band."""
    drawn = white(rng, *shape, ACTIVE)
    return drawn / np.sqrt(np.mean(np.abs(drawn) ** 2, axis=-1, keepdims=True))


def sounded(rng, leak_db, factors, variance):
    """alone, together: device i leaks at leak_db[i, j] into the place of j; together its gain has a factor."""
    count = len(factors)
    alone = channels(rng, count, count) * 10 ** (leak_db / 20)[:, :, None]
    own = alone[np.arange(count), np.arange(count)]
    errors = np.sqrt(variance) * white(rng, count + 1, count, ACTIVE)
    return alone + errors[:-1], own * factors[:, None] + errors[-1]


def estimate(rng, leak_db, factors, variance, **options):
    alone, together = sounded(rng, leak_db, factors, variance)
    count = len(factors)
    return estimate_crosstalk(
        alone, together, np.full((count, count), variance), np.full(count, variance), **options
    )


def leaks(rng, count):
    leak_db = rng.uniform(-45, -15, (count, count))
    leak_db[np.diag_indices(count)] = 0.0
    return leak_db


def test_200_devices_change_as_stated(rng):
    gains, phases = [], []
    for _ in range(50):
        change_db, turn = rng.uniform(-1, 1, 4), rng.uniform(-0.3, 0.3, 4)
        found = estimate(
            rng, leaks(rng, 4), 10 ** (change_db / 20) * np.exp(1j * turn), 10 ** rng.uniform(-3, -1)
        )
        gains.extend(zip(found.gain_change_db - change_db, found.gain_change_std_db, strict=True))
        phases.extend(zip(found.phase_change_rad - turn, found.phase_change_std_rad, strict=True))
    for errors, stds in (np.array(gains).T, np.array(phases).T):
        assert_unbiased(errors / stds)
        assert_covered(plus_minus(errors, stds), 0.0)


def test_leakage_is_within_its_interval_and_below_its_bound(rng):
    intervals, truths, below, seen = [], [], [], []
    for _ in range(100):
        leak_db = leaks(rng, 2)
        found = estimate(rng, leak_db, np.ones(2), 10 ** rng.uniform(-4, -2))
        for place in ((0, 1), (1, 0)):
            intervals.append(found.leakage_interval_db[place])
            truths.append(leak_db[place])
            below.append(found.leakage_bound_db[place] >= leak_db[place])
            seen.append(np.isfinite(found.leakage_db[place]))
            assert seen[-1] == np.isfinite(found.leakage_interval_db[place][0])
    assert_covered(intervals, np.array(truths))
    assert np.mean(below) > 0.9
    assert 0.3 < np.mean(seen) < 1.0


def test_without_leakage_none_is_seen(rng):
    leak_db = np.array([[0.0, -200.0], [-200.0, 0.0]])
    found = [estimate(rng, leak_db, np.ones(2), 1e-2) for _ in range(100)]
    unseen = np.mean([np.isnan(one.leakage_db[0, 1]) for one in found])
    assert unseen > 0.92  # 97.5 % within 3.5 standard errors
    # noise of -20 dB over 64 gains: its mean is known to an eighth
    assert np.median([one.leakage_bound_db[0, 1] for one in found]) < -20.0 + 10 * np.log10(4 / 8)
    assert found[0].leakage_db[0, 0] == 0.0


def test_of_many_that_do_not_leak_none_is_picked(rng):
    """Of each device the largest of seven: none of them is seen in 97.5 % of the cases."""
    leak_db = np.where(np.eye(8, dtype=bool), 0.0, -200.0)
    found = [estimate(rng, leak_db, np.ones(8), 1e-2, comparisons=7) for _ in range(60)]
    others = ~np.eye(8, dtype=bool)
    seen = [np.isfinite(one.leakage_db[place][others[place]]).any() for one in found for place in range(8)]
    assert np.mean(seen) < 0.05  # within 3.5 standard errors of 480


def test_a_response_that_changes_shape_lowers_the_quality(rng):
    alone, together = sounded(rng, leaks(rng, 2), np.ones(2), 1e-4)
    together[1] = channels(rng)
    found = estimate_crosstalk(alone, together, np.full((2, 2), 1e-4), np.full(2, 1e-4))
    assert found.quality[0] > 0.999
    assert found.quality[1] < 0.5


def test_what_a_clock_turned_meanwhile_is_in_the_phases_deviation(rng):
    found = estimate(rng, leaks(rng, 2), np.ones(2), 1e-4, wander_rad=0.2)
    np.testing.assert_allclose(found.phase_change_std_rad, 0.2, rtol=0.01)


def test_bad_input_is_refused(rng):
    alone, together = sounded(rng, leaks(rng, 2), np.ones(2), 1e-4)
    variances = np.full((2, 2), 1e-4), np.full(2, 1e-4)
    with pytest.raises(ValueError, match=r"alone must have shape \(2, 2, 64\)"):
        estimate_crosstalk(alone[0], together, *variances)
    with pytest.raises(ValueError, match=r"together_variance must be \(2,\) numbers of at least 0"):
        estimate_crosstalk(alone, together, variances[0], -variances[1])
    with pytest.raises(ValueError, match=r"num_taps must be in \[1, 64\]"):
        estimate_crosstalk(alone, together, *variances, num_taps=65)
    with pytest.raises(ValueError, match="device 1 was not heard when it sent alone"):
        estimate_crosstalk(alone * np.array([1.0, 1e-3])[:, None, None], together, *variances)
