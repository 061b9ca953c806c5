"""A majority vote by energies against its formula; each parameter of a payload is a draw."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radio.channel_state import ChannelState
from radio.schemes.fsk_mv import FskMv
from radio.uplink import Plan, Reception
from tests.radio.monte_carlo import complex_normal

NUM_DRAWS = 20_000
SCALE = 0.8


def plan_for(num_devices, dimension, **changes):
    values = {
        "round": 3,
        "seed": 5,
        "devices": tuple(range(num_devices)),
        "dimension": dimension,
        "num_elements": FskMv().num_elements(dimension, 0.4),
        "num_kept": 1,
        "scale": SCALE,
        "vote_step": 0.01,
    }
    return Plan(**values | changes)


def told(device, mean_power=1.0):
    return ChannelState(np.ones(1, complex), device=device, mean_power=mean_power)


@settings(deadline=None)
@given(arrays(np.float32, 9, elements=st.floats(-8, 8, width=16)), st.floats(0, 2), st.integers(0, 1000))
def test_who_abstains_leaves_both_elements_empty_and_keeps_the_value(update, abstain, seed):
    plan = plan_for(1, 9, seed=seed)
    scheme = FskMv(abstain)
    amplitudes, sent = scheme.encode(update, told(0), plan)
    votes = np.abs(update) > abstain * np.sqrt(np.mean(update.astype(float) ** 2))
    np.testing.assert_array_equal(sent, np.where(votes, update, 0.0))
    assert sent.dtype == np.float32
    levels = [0.0] * (18 - votes.sum()) + [SCALE] * votes.sum()
    np.testing.assert_allclose(np.sort(np.abs(amplitudes)), levels, rtol=1e-6)
    decided = scheme.decode(Reception(amplitudes, 0.0), plan)
    np.testing.assert_array_equal(decided, 0.01 * np.sign(sent, dtype=float))


@pytest.mark.parametrize("num_plus", [1, 2, 3, 4])
def test_without_disturbance_a_unanimous_vote_is_carried(num_plus):
    # phases can cancel no more than all of the energy on one element, and there is none on the other
    update = np.ones(500)
    plan = plan_for(num_plus, 500)
    received = sum(FskMv().encode(update, told(d), plan)[0] * np.exp(1j * d) for d in range(num_plus))
    np.testing.assert_array_equal(FskMv().decode(Reception(received, 0.0), plan), 0.01)


def wrong_share(signs, weights, noise_variance, is_block, rng):
    """Share of payload draws in which the vote goes to minus; signs: (num_devices,)."""
    count = len(signs)
    plans = (
        [plan_for(count, 1, round=r) for r in range(NUM_DRAWS // 4)]
        if is_block
        else [plan_for(count, NUM_DRAWS)]
    )
    minus, total = 0, 0
    for plan in plans:
        gains = complex_normal(rng, count, 1 if is_block else plan.num_elements)
        received = math.sqrt(noise_variance) * complex_normal(rng, plan.num_elements)
        for device, (sign, weight) in enumerate(zip(signs, weights, strict=True)):
            update = np.full(plan.dimension, 0.3 * sign)
            amplitudes, _ = FskMv().encode(update, told(device, 2.0), plan)
            received = received + math.sqrt(2.0 * weight) * gains[device] * amplitudes
        decided = FskMv().decode(Reception(received, noise_variance), plan)
        minus, total = minus + np.count_nonzero(decided < 0), total + plan.dimension
    return minus / total, total


@pytest.mark.parametrize(
    ("signs", "weights", "noise_variance", "is_block"),
    [
        ((1, 1, 1, -1), (1.0,) * 4, 0.0, False),
        ((1, 1, 1, -1), (1.0,) * 4, 0.5, False),
        ((1, 1, 1, -1), (1.0,) * 4, 0.5, True),
        ((1, 1, 1, 1, 1), (1.0,) * 5, 2.0, False),
        ((1, 1, 1, -1, -1), (0.3, 0.5, 1.0, 2.0, 1.2), 0.2, False),  # wrong calibration
        ((0, 0, 0), (1.0,) * 3, 0.2, False),
    ],
)  # fmt: skip
def test_the_chance_of_a_wrong_vote_is_that_of_the_formula(signs, weights, noise_variance, is_block, rng):
    energies = [
        SCALE**2 * sum(w for s, w in zip(signs, weights, strict=True) if s == sign) + noise_variance
        for sign in (1, -1)
    ]
    expected = energies[1] / sum(energies)
    share, total = wrong_share(signs, weights, noise_variance, is_block, rng)
    assert abs(share - expected) < 3.0 * math.sqrt(expected * (1 - expected) / total)
    if set(weights) == {1.0}:  # the shorter form of the docstring
        g = noise_variance / SCALE**2
        assert expected == pytest.approx((signs.count(-1) + g) / (len(signs) - signs.count(0) + 2 * g))
