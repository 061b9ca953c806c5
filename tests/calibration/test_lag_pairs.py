import numpy as np
import pytest

from calibration.lag_pairs import lag_pairs


def test_every_pair_is_in_the_bin_of_its_lag(rng):
    instants = np.sort(rng.uniform(0, 1, 60))
    found = lag_pairs(instants, 1e-3, 1.0, most=10**6)
    early, late = np.triu_indices(60, 1)
    expected = {(a, b) for a, b in zip(early, late, strict=True) if 1e-3 <= instants[b] - instants[a] <= 1.0}
    pairs = [pair for bin in found for pair in zip(bin.early, bin.late, strict=True)]
    assert len(pairs) == len(expected)
    assert set(pairs) == expected
    edges = np.geomspace(1e-3, 1.0, 31)  # ten a decade
    for bin in found:
        np.testing.assert_array_equal(bin.lags_s, instants[bin.late] - instants[bin.early])
        assert len(np.unique(np.searchsorted(edges, bin.lags_s))) == 1
        assert bin.lag_s == pytest.approx(np.sqrt(np.mean(bin.lags_s**2)))


def test_of_too_many_an_even_choice_is_taken():
    instants = 1e-3 * np.arange(1000)
    (only,) = [pairs for pairs in lag_pairs(instants, 1e-3, 2e-3, most=50) if pairs.lag_s < 1.1e-3]
    assert len(only.early) == 50
    assert only.early[0] == 0
    assert only.early[-1] == 998
    assert np.ptp(np.diff(only.early)) <= 1


def test_lags_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="shortest_s = 2 and longest_s = 1"):
        lag_pairs(np.arange(5.0), 2.0, 1.0)
