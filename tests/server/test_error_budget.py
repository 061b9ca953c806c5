import numpy as np
import pytest

from server.error_budget import AIR, CHAIN, PARTS, Estimates, error_budget


def test_steps_at_right_angles_are_worth_their_energies():
    update = np.array([2.0, 0.0, 0.0, 0.0, 0.0])
    steps = np.diag([0.0, 0.1, 0.2, 0.3, 0.4])[1:]  # sent, even, perfect, received
    sent, even, perfect, received = update + np.cumsum(steps, axis=0)
    budget = error_budget(Estimates(update, sent, even, perfect, received), {"noise": 3.0, "ageing": 1.0})
    assert tuple(budget) == PARTS
    assert [budget[part] for part in CHAIN] == pytest.approx([0.01 / 4, 0.04 / 4, 0.09 / 4])
    assert budget["noise"] == pytest.approx(0.75 * 0.16 / 4)
    assert budget["ageing"] == pytest.approx(0.25 * 0.16 / 4)
    assert budget["hardware"] == 0.0


def test_parts_add_up_whatever_they_have_in_common(rng):
    common = rng.normal(size=50)
    vectors = [common + rng.normal(size=50) for _ in range(5)]
    disturbances = dict.fromkeys(AIR, 0.2)
    budget = error_budget(Estimates(*vectors), disturbances)
    whole = np.sum((vectors[4] - vectors[0]) ** 2) / np.sum(vectors[0] ** 2)
    assert sum(budget.values()) == pytest.approx(whole)


def test_an_error_that_cancels_another_counts_against_it():
    update, there, back = np.array([1.0, 0.0]), np.array([1.0, 0.5]), np.array([1.0, 0.1])
    budget = error_budget(Estimates(update, there, there, there, back), {"noise": 1.0})
    assert budget["sparsification"] == pytest.approx(0.05)  # <0.5, 0.1>
    assert budget["noise"] == pytest.approx(-0.04)


def test_without_an_update_there_is_nothing_to_relate_to():
    assert error_budget(Estimates(*np.zeros((5, 3))), {"noise": 1.0}) is None
