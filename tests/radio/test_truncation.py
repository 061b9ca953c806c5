import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from radio.truncation import inverse_power, is_used, optimal_threshold, truncation_cost, used_share

weights = st.floats(1e-4, 1e4)


@settings(deadline=None, max_examples=25)
@given(weights, weights)
def test_the_optimal_threshold_is_that_of_brute_force(memory_weight, noise_weight):
    grid = np.geomspace(1e-10, 20.0, 4001)  # 0.65 % apart
    costs = [truncation_cost(g, memory_weight, noise_weight) for g in grid]
    best = grid[int(np.argmin(costs))]
    assert optimal_threshold(memory_weight, noise_weight) == pytest.approx(best, rel=0.01)


@given(weights, weights, st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.1, 0.9))
def test_the_cost_is_convex_in_the_share_that_is_used(memory_weight, noise_weight, low, high, mix):
    low, middle, high = (
        truncation_cost(-math.log(share), memory_weight, noise_weight)
        for share in (low, mix * low + (1.0 - mix) * high, high)
    )
    assert middle <= (mix * low + (1.0 - mix) * high) * (1.0 + 1e-9)


def test_without_noise_nothing_is_truncated():
    assert optimal_threshold(1.0, 0.0) == 0.0


@pytest.mark.parametrize("threshold", [1e-3, 0.1, 1.0, 3.0])
def test_share_and_power_are_those_of_an_exponential_law(threshold):
    assert used_share(threshold) == pytest.approx(quad(lambda p: math.exp(-p), threshold, np.inf)[0])
    expected = (
        quad(lambda p: math.exp(-p) / p, threshold, 1)[0] + quad(lambda p: math.exp(-p) / p, 1, np.inf)[0]
    )
    assert inverse_power(threshold) == pytest.approx(expected)


def test_an_element_is_used_from_the_threshold_on():
    gains = np.array([0.3j, 0.5, -0.5, 0.4 + 0.4j])
    np.testing.assert_array_equal(is_used(gains, 0.25), [False, True, True, True])
