"""The shared support that aggregates foretell, against the law of the queues that it serves."""

import math

import numpy as np
import pytest

from server.support_rule import support_rule
from server.support_vote import VotedSupport

FILTER_LEN, BLOCK_LEN = 64, 16
DIMENSION, KEEP = 40 * FILTER_LEN, 0.1


def serve(rule, rates, num_rounds, seed=3):
    """(num_rounds, dimension) rounds that each entry has waited, of random walks with these variances a round."""
    rng = np.random.default_rng(seed)
    memory, age, ages = np.zeros(len(rates)), np.zeros(len(rates)), []
    for index in range(num_rounds):
        memory += np.sqrt(rates) * rng.normal(size=len(rates))
        support = rule.choose(index, len(rates))
        estimate = np.zeros(len(rates))
        estimate[support] = memory[support]
        rule.learn(support, estimate)
        memory[support] = 0.0
        age += 1.0
        age[support] = 0.0
        ages.append(age.copy())
    return np.array(ages)


@pytest.fixture(scope="module")
def rates():
    """Filters whose weights change by amounts that are two decades apart, weights of one within a few decibels."""
    rng = np.random.default_rng(5)
    of_blocks = 10.0 ** np.repeat(rng.uniform(-2, 0, DIMENSION // FILTER_LEN), FILTER_LEN)
    return of_blocks * rng.uniform(0.5, 1.5, DIMENSION)


def test_what_waits_comes_near_the_least_that_any_schedule_leaves(rates):
    """Served every tau_j rounds, an entry leaves v_j (tau_j - 1) / 2 waiting in the mean; sum_j 1 / tau_j = k is what a
    round serves. Least at tau_j in proportion to 1 / sqrt(v_j): ((sum_j sqrt(v_j))^2 / k - sum_j v_j) / 2."""
    num_kept = round(KEEP * DIMENSION)
    least = (np.sqrt(rates).sum() ** 2 / num_kept - rates.sum()) / 2.0
    waiting = {
        support: float((serve(support_rule(support, KEEP, BLOCK_LEN, 1), rates, 400)[100:] @ rates).mean())
        for support in ("shared-random", "shared-vote")
    }
    # drawn at random, an entry waits d / k - 1 rounds in the mean, geometrically distributed
    assert waiting["shared-random"] == pytest.approx(rates.sum() * (1.0 / KEEP - 1.0), rel=0.05)
    assert least < waiting["shared-vote"] < 1.25 * least < 0.5 * waiting["shared-random"]


def test_every_entry_has_its_turn(rates):
    ages = serve(VotedSupport(KEEP, BLOCK_LEN, 1), rates, 400)
    # of the slowest the ideal period is sum_j sqrt(v_j) / (k sqrt(v)); rates that are guessed double it at most
    longest = np.sqrt(rates).sum() / (round(KEEP * DIMENSION) * np.sqrt(rates.min()))
    assert ages.max() < 2.0 * longest


def test_an_entry_that_was_small_by_chance_is_not_forgotten():
    rule, rates = VotedSupport(KEEP, BLOCK_LEN, 1), np.ones(DIMENSION)
    first = rule.choose(0, DIMENSION)
    estimate = np.zeros(DIMENSION)
    estimate[first[1:]] = 1.0  # the first one's aggregate happens to be 0
    rule.learn(first, estimate)
    ages = serve(rule, rates, 100)
    assert ages[:, first[0]].max() < 4.0 / KEEP


def test_choices_are_rising_repeatable_and_survive_a_checkpoint(rates):
    whole, begun, resumed = (VotedSupport(KEEP, BLOCK_LEN, 7) for _ in range(3))
    serve(whole, rates, 20)
    serve(begun, rates, 20)
    resumed.restore(begun.save())
    for rule in (begun, resumed):
        support = rule.choose(20, DIMENSION)
        np.testing.assert_array_equal(support, whole.choose(20, DIMENSION))
        assert np.all(np.diff(support) > 0)
        assert len(support) == round(KEEP * DIMENSION)


@pytest.mark.parametrize("dimension", [64, 70, 95, 97])
def test_announced_blocks_always_suffice(dimension):
    """Count the blocks of supports that were chosen, the short last block among them or not."""
    rule = VotedSupport(0.3, 8, seed=3)
    rng = np.random.default_rng(2)
    most = 0
    for index in range(40):
        support = rule.choose(index, dimension)
        blocks = np.unique(support // 8)
        most = max(most, len(blocks))
        rule.learn(support, rng.normal(size=dimension))
    num_blocks = -(-dimension // 8)
    needed = np.log2(math.comb(num_blocks, most)) + np.log2(most)
    assert rule.announced_bits(dimension) >= needed
    assert rule.announced_bits(dimension) <= needed + 10
