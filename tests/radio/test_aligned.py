"""Schemes that undo phases alone, against their formulas over Rayleigh fading: the gain of every element is a draw."""

import math

import numpy as np
import pytest

from radio.channel_state import ChannelState
from radio.schemes import aligned, phase
from radio.sketch import draw_sketch
from radio.uplink import Plan, Reception
from tests.radio.monte_carlo import PAIRS, assert_agrees, complex_normal

NUM_DRAWS = 5000
NOISE_VARIANCE, SCALE = 0.3, 0.8
MEAN_GAIN = math.sqrt(math.pi) / 2  # of |h|, complex normal with E|h|^2 = 1


def plan_for(dimension, num_elements):
    return Plan(
        round=3, seed=5, devices=(0, 1, 2, 3), dimension=dimension, num_elements=num_elements, num_kept=dimension // 25,
        scale=SCALE, mean_gain=MEAN_GAIN,
    )  # fmt: skip


def superpose(scheme, updates, plan, rng, wrong_rad=0.0):
    """Received amplitudes over independent fades of every element, with noise; believed phases err by `wrong_rad`."""
    gains = complex_normal(rng, len(updates), plan.num_elements)
    total = math.sqrt(NOISE_VARIANCE) * complex_normal(rng, plan.num_elements)
    for update, row, wrong in zip(updates, gains, np.broadcast_to(wrong_rad, gains.shape), strict=True):
        total += row * scheme.encode(update, ChannelState(row * np.exp(-1j * wrong)), plan)[0]
    return total


@pytest.mark.parametrize(("offset_rad", "spread_rad"), [(0.0, 0.0), (0.0, 0.5), (0.4, 0.3)])
def test_mean_and_variance_of_values_are_those_of_the_formula(offset_rad, spread_rad, rng):
    plan = plan_for(2 * NUM_DRAWS, NUM_DRAWS)
    updates = np.repeat(PAIRS[:, None], NUM_DRAWS, axis=1).view(float)
    wrong_rad = offset_rad + rng.normal(scale=spread_rad, size=(4, NUM_DRAWS))
    total = superpose(aligned, updates, plan, rng, wrong_rad)
    estimates = aligned.decode(Reception(total, NOISE_VARIANCE), plan)[::2]
    # of a normal phase error: E exp(j phi) and E exp(2 j phi)
    first = np.exp(1j * offset_rad - spread_rad**2 / 2)
    second = np.exp(2j * offset_rad - 2 * spread_rad**2)
    means = (first * PAIRS).real
    squares = 0.5 * (np.abs(PAIRS) ** 2 + (second * PAIRS**2).real)
    noise = NOISE_VARIANCE / (2 * SCALE**2 * 16 * MEAN_GAIN**2)
    assert_agrees(estimates, means.mean(), np.sum(squares / MEAN_GAIN**2 - means**2) / 16 + noise)
    if not offset_rad and not spread_rad:  # the shorter form of the docstring
        assert np.sum(squares / MEAN_GAIN**2 - means**2) == pytest.approx(
            (4 / math.pi - 1) * np.sum(PAIRS.real**2)
        )


def test_sketches_add_up_to_that_of_the_mean_with_the_same_error_an_element(rng):
    plan = plan_for(4 * NUM_DRAWS, NUM_DRAWS)
    updates = rng.normal(size=(4, plan.dimension)) ** 3
    received = superpose(phase, updates, plan, rng) / (SCALE * 4 * MEAN_GAIN)
    sketch = draw_sketch(plan.dimension, plan.num_elements, plan.seed, plan.round)
    kept = [phase.encode(z, ChannelState(np.ones(1, complex)), plan)[1] for z in updates]
    seen = np.array([sketch.forward(z) for z in kept])
    variances = (4 / math.pi - 1) * np.sum(np.abs(seen) ** 2, axis=0) / 16
    variances += NOISE_VARIANCE / (SCALE**2 * 16 * MEAN_GAIN**2)
    errors = (received - seen.mean(axis=0)) / np.sqrt(variances)
    powers = np.abs(errors) ** 2
    assert abs(errors.mean()) < 3.0 / math.sqrt(NUM_DRAWS)
    assert abs(powers.mean() - 1.0) < 3.0 * powers.std() / math.sqrt(NUM_DRAWS)


def test_nothing_is_withheld(rng):
    update = rng.normal(size=100)
    _, sent = aligned.encode(update, ChannelState(complex_normal(rng, 50)), plan_for(100, 50))
    np.testing.assert_array_equal(sent, update)
