"""Two values an element: where they lie, and that they come back."""

import math

import numpy as np
import pytest

from radio.schemes.pairs import from_elements, per_value, to_elements
from radio.uplink import Plan


def plan_for(dimension, index=0, seed=1):
    return Plan(round=index, seed=seed, devices=(0,), dimension=dimension, num_elements=math.ceil(dimension / 2),
                num_kept=1)  # fmt: skip


@pytest.mark.parametrize("dimension", [1, 2, 3, 5, 8, 9, 400, 1001])
def test_values_come_back_and_each_element_holds_one_pair(dimension, rng):
    values, plan = rng.normal(size=dimension), plan_for(dimension)
    elements = to_elements(values, plan)
    np.testing.assert_array_equal(from_elements(elements, plan), values)
    pairs = [complex(*values[start : start + 2]) for start in range(0, dimension, 2)]
    np.testing.assert_array_equal(np.sort_complex(elements), np.sort_complex(pairs))


def test_a_factor_of_an_element_is_that_of_both_its_values(rng):
    values, plan = rng.normal(size=401), plan_for(401)
    factors = rng.normal(size=201)
    scaled = from_elements(factors * to_elements(values, plan), plan)
    np.testing.assert_allclose(per_value(factors, plan) * values, scaled, rtol=1e-15)


def places(num_pairs, index):
    """(num_pairs,) the element that each pair lies on in a round."""
    marked = to_elements(np.arange(2.0 * num_pairs), plan_for(2 * num_pairs, index))
    return np.argsort(marked.real)


def test_a_pair_lies_on_any_element_with_equal_chance_whatever_the_round_before():
    num_pairs, num_rounds = 30, 6000
    found = np.array([places(num_pairs, index) for index in range(num_rounds)])
    expected = num_rounds / num_pairs
    for pair in (0, 11, 29):
        counts = np.bincount(found[:, pair], minlength=num_pairs)
        np.testing.assert_allclose(counts, expected, atol=5 * math.sqrt(expected))
    stays = np.mean(found[1:] == found[:-1])
    assert abs(stays - 1 / num_pairs) < 5 * math.sqrt(1 / num_pairs / num_rounds)


def test_neighbours_are_spread_over_the_payload():
    apart = np.abs(np.diff(places(10_000, 0)))
    assert np.min(apart) >= 99  # 100 to a column, the last of which may be shorter
    assert np.mean(apart) > 2500  # a third of the payload for independent places
