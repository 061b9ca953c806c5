"""Descents of a convex problem through truncated inversion; the long proof is benchmarks/prove_memory.py."""

import numpy as np
import pytest

from benchmarks.prove_memory import VARIANTS, descend, draw_problem, floor_of

NUM_ROUNDS = 400
NOISE_VARIANCE = 0.01
PROBLEM = draw_problem(10, 100, 10.0, 0)


def test_the_optimum_is_where_the_gradients_cancel():
    gradients = PROBLEM.curvatures * (PROBLEM.optimum() - PROBLEM.targets)
    np.testing.assert_allclose(gradients.sum(axis=0), 0.0, atol=1e-12)
    assert PROBLEM.distance(PROBLEM.optimum()) == 0.0
    assert PROBLEM.floor("long") < 1e-25 < 1e-3 < PROBLEM.floor("short") < PROBLEM.floor("none")


@pytest.mark.parametrize("name", ["short memory", "no memory"])
def test_without_long_memory_descent_stops_at_the_floor_of_devices_that_are_heard_less(name):
    found = floor_of(descend(PROBLEM, VARIANTS[name], NUM_ROUNDS, NOISE_VARIANCE, 1))
    # masks still move the descent by its step, 0.025 at the end; the two floors are a factor of 1.7 apart
    assert found == pytest.approx(PROBLEM.floor(VARIANTS[name].memory), rel=0.3)


def test_with_long_memory_descent_goes_on_below_every_floor():
    distances = descend(PROBLEM, VARIANTS["long memory"], NUM_ROUNDS, NOISE_VARIANCE, 1)
    assert floor_of(distances) < 0.1 * PROBLEM.floor("short")
    early, late = distances[90:110].mean(), distances[-20:].mean()
    assert late < 0.5 * early  # four times the rounds: the distance falls with the squared step, to a quarter


def test_long_memory_is_exact_only_where_a_sum_is_divided_by_all_devices():
    exact, weighted = (
        floor_of(descend(PROBLEM, VARIANTS[name], NUM_ROUNDS, NOISE_VARIANCE, 1))
        for name in ("long memory", "long, by transmitters")
    )
    assert exact < 0.3 * weighted
