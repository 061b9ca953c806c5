"""Power control against closed forms, a root finder and generic optimisers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import brentq, minimize

from radio.power_control import best_aim, least_multiplier, weights

NUM_ELEMENTS = 12
GAIN_POWERS = arrays(np.float64, NUM_ELEMENTS, elements=st.floats(1e-4, 50.0))
ENERGIES = arrays(np.float64, NUM_ELEMENTS, elements=st.floats(0.0, 100.0))


def spent(gain_powers, energies, aim, multiplier):
    """Mean of |c w z / h|^2 over the elements with a channel."""
    w = weights(gain_powers, multiplier)
    present = gain_powers > 0.0
    return aim**2 * np.sum(w[present] ** 2 * energies[present] / gain_powers[present]) / len(gain_powers)


@settings(deadline=None, max_examples=300)
@given(GAIN_POWERS, ENERGIES, st.floats(1e-3, 1e3), st.floats(1e-4, 1e4))
def test_the_budget_is_met_or_the_channel_undone_below_it(gain_powers, energies, aim, budget):
    multiplier = least_multiplier(gain_powers, energies, aim, budget)
    power = spent(gain_powers, energies, aim, multiplier)
    assert power <= budget * (1.0 + 1e-9)
    assert multiplier == 0.0 or power == pytest.approx(budget, rel=1e-9)


@pytest.mark.parametrize("aim", [0.5, 3.0, 200.0])
def test_the_multiplier_is_the_root_that_a_bracketing_solver_finds(aim, rng):
    gain_powers, energies = rng.exponential(size=500), rng.normal(size=500) ** 6
    found = least_multiplier(gain_powers, energies, aim, 0.3)
    root = brentq(lambda x: spent(gain_powers, energies, aim, x) - 0.3, 0.0, 1e6, xtol=1e-14, rtol=1e-14)
    assert found == pytest.approx(root, rel=1e-9)


@pytest.mark.parametrize("gain", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("aim", [0.2, 1.0, 5.0])
def test_over_one_gain_a_device_is_at_full_power_or_undoes_it(gain, aim, rng):
    energies, budget = rng.exponential(size=40), 0.7
    flat = np.full(40, gain**2)
    w = weights(flat, least_multiplier(flat, energies, aim, budget))
    expected = min(1.0, gain * math.sqrt(budget) / (aim * math.sqrt(energies.mean())))
    np.testing.assert_allclose(w, expected, rtol=1e-9)


def test_elements_without_a_channel_or_a_value_neither_send_nor_count(rng):
    gain_powers, energies = rng.exponential(size=50), rng.exponential(size=50)
    with_holes = np.concatenate([gain_powers, np.zeros(30), np.ones(20)])
    with_nothing = np.concatenate([energies, np.ones(30), np.zeros(20)])
    expected = least_multiplier(gain_powers, energies, 2.0, 0.8)  # half the elements, twice the power on each
    assert least_multiplier(with_holes, with_nothing, 2.0, 0.4) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(weights(with_holes, 0.0)[50:80], 0.0)
    np.testing.assert_array_equal(weights(with_holes, 1.0)[50:80], 0.0)
    assert least_multiplier(np.zeros(3), np.ones(3), 1.0, 1.0) == 0.0


def test_weights_leave_less_missing_than_any_others_of_the_same_power(rng):
    gain_powers, energies, aim, budget = rng.exponential(size=8), rng.exponential(size=8), 1.5, 0.4
    w = weights(gain_powers, least_multiplier(gain_powers, energies, aim, budget))
    generic = minimize(
        lambda x: energies @ (1.0 - x) ** 2,
        np.full(8, 0.1),
        jac=lambda x: -2.0 * energies * (1.0 - x),
        constraints={
            "type": "ineq",
            "fun": lambda x: budget - aim**2 * np.mean(x**2 * energies / gain_powers),
            "jac": lambda x: -2.0 * aim**2 * x * energies / gain_powers / 8,
        },
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(w, generic.x, atol=1e-5)
    assert energies @ (1.0 - w) ** 2 <= generic.fun * (1.0 + 1e-9)


def error_of(aim, gain_powers, value_powers, budgets, noise_variance):
    """sum_i E|(1 - w_i) z_i|^2 + sigma^2 / c^2, with multipliers of a bracketing solver."""
    total = noise_variance / aim**2
    for gains, power, budget in zip(gain_powers, value_powers, budgets, strict=True):
        energies = np.full(len(gains), power)
        excess = lambda x, g=gains, e=energies, b=budget: spent(g, e, aim, x) - b  # noqa: E731
        multiplier = 0.0 if excess(0.0) <= 0.0 else brentq(excess, 0.0, 1e9, xtol=1e-13, rtol=1e-12)
        total += power * np.mean((1.0 - weights(gains, multiplier)) ** 2)
    return total


@pytest.mark.parametrize("num_gains", [1, 30])
@pytest.mark.parametrize("noise_variance", [1e-6, 0.01, 1.0, 100.0])
def test_the_aim_is_within_a_percent_of_the_best_on_a_fine_grid(num_gains, noise_variance, rng):
    gain_powers = [rng.exponential(size=num_gains) for _ in range(4)]
    value_powers, budgets = rng.exponential(size=4), rng.exponential(size=4)
    problem = gain_powers, value_powers, budgets, noise_variance
    found = best_aim(*problem)
    grid = found * np.geomspace(1e-3, 1e3, 401)  # steps of 3.5 %: at its least an error is flat
    errors = [error_of(aim, *problem) for aim in grid]
    assert error_of(found, *problem) <= 1.01 * min(errors)
    assert 0 < np.argmin(errors) < len(grid) - 1


@pytest.mark.parametrize("noise_variance", [1e-9, 0.1, 30.0])
def test_for_a_single_device_and_gain_the_aim_is_that_of_the_wiener_filter(noise_variance):
    gain_power, value_power, budget = 0.3, 2.0, 0.5
    # y = h sqrt(P / p) z + n; the filter that errs least turns y into z with 1/c = h sqrt(P p) / (|h|^2 P + sigma^2)
    expected = (gain_power * budget + noise_variance) / math.sqrt(gain_power * budget * value_power)
    found = best_aim([np.full(5, gain_power)], [value_power], [budget], noise_variance)
    assert found == pytest.approx(expected, rel=1e-5)


def test_without_noise_the_aim_is_the_highest_at_which_nothing_is_missing(rng):
    gain_powers = [rng.exponential(size=20) + 0.01 for _ in range(3)]
    value_powers, budgets = [1.0, 2.0, 0.5], [1.0, 0.3, 2.0]
    aim = best_aim(gain_powers, value_powers, budgets, 0.0)
    powers = [
        spent(g, np.full(20, p), aim, 0.0) / b
        for g, p, b in zip(gain_powers, value_powers, budgets, strict=True)
    ]
    assert max(powers) == pytest.approx(1.0, rel=1e-12)
    with_hole = [np.append(gain_powers[0], 0.0), *gain_powers[1:]]
    assert 0.5 * aim < best_aim(with_hole, value_powers, budgets, 0.0) < 2.0 * aim


def test_a_device_without_a_channel_or_a_value_changes_no_aim(rng):
    gains = rng.exponential(size=20)
    alone = best_aim([gains], [1.5], [0.4], 0.1)
    assert best_aim([gains, np.zeros(20), gains], [1.5, 1.0, 0.0], [0.4, 1.0, 1.0], 0.1) == alone


def test_what_cannot_be_aimed_or_paid_for_is_refused():
    gains = [np.ones(3), np.zeros(3)]
    with pytest.raises(ValueError, match="no device has both values and a channel; nothing to aim at"):
        best_aim(gains, [0.0, 1.0], [1.0, 1.0], 0.1)
    with pytest.raises(ValueError, match="argument"):
        best_aim(gains, [1.0], [1.0, 1.0], 0.1)
    with pytest.raises(ValueError, match="a power budget is above 0, got 0"):
        least_multiplier(np.ones(3), np.ones(3), 1.0, 0.0)
