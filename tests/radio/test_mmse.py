"""Shares in place of truncation: exactness, bias and variance by the docstring's formulas, power, and what it is worth
against inversion at its best threshold. A payload of like pairs over independent fades is a draw an element."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from devices.messages import Prepared
from radio.channel_state import ChannelState
from radio.power_control import best_aim
from radio.schemes import inversion, mmse
from radio.uplink import Plan, Reception
from server.planning import common_scale
from tests.radio.monte_carlo import PAIRS, assert_agrees, complex_normal

NUM_DRAWS = 5000
NOISE_VARIANCE = 0.3
SCALE, AIM = 0.8, 1.3
BUDGETS = (0.2, 1.0, 0.6, 3.0)


def plan_for(dimension, **changes):
    values = {
        "round": 3, "seed": 5, "devices": tuple(range(4)), "dimension": dimension, "num_kept": 1,
        "num_elements": mmse.num_elements(dimension, 0.4), "scale": SCALE, "aim": AIM,
    }  # fmt: skip
    return Plan(**values | changes)


def superpose(updates, told, true, plan, noise=0.0, budgets=BUDGETS):
    """(received amplitudes, what each device sent) of devices that believe in `told` gains where `true` ones hold."""
    total, sent = np.zeros(plan.num_elements, complex) + noise, []
    for update, believed, gains, budget in zip(updates, told, true, budgets, strict=True):
        amplitudes, part = mmse.encode(update, ChannelState(believed, power_budget=budget), plan)
        total += gains * amplitudes
        sent.append(part)
    return total, np.array(sent)


@settings(deadline=None)
@given(
    arrays(np.float32, (4, 9), elements=st.floats(-8, 8, width=16)),
    arrays(np.float64, (4, 5), elements=st.floats(0.01, 4)),
    st.floats(0.05, 20.0),
    st.integers(0, 1000),
)
def test_the_mean_of_what_was_sent_comes_back_and_nobody_sends_more_than_the_update(
    updates, magnitudes, aim, seed
):
    gains = magnitudes * np.exp(2j * np.pi * np.random.default_rng(seed).random(magnitudes.shape))
    plan = plan_for(9, seed=seed, aim=aim)
    total, sent = superpose(updates, gains, gains, plan)
    estimate = mmse.decode(Reception(total, 0.0), plan)
    np.testing.assert_allclose(estimate, sent.mean(axis=0, dtype=float), atol=1e-6)  # `sent` is float32
    assert sent.dtype == np.float32
    assert np.all(sent * updates >= 0.0)
    assert np.all(np.abs(sent) <= np.abs(updates))
    np.testing.assert_allclose(sent + (updates - sent), updates, rtol=1e-6)


def test_where_power_suffices_everything_is_sent(rng):
    updates, gains = rng.normal(size=(4, 100)), complex_normal(rng, 4, 50)
    budgets = [
        100.0 * np.mean(1.0 / np.abs(h) ** 2) * np.mean(z**2) for z, h in zip(updates, gains, strict=True)
    ]
    _, sent = superpose(updates, gains, gains, plan_for(100), budgets=budgets)
    np.testing.assert_array_equal(sent, updates)


def shares_of(told, pairs):
    """(devices, elements) shares that the rule gives where every element holds the same pair: by bisection."""
    shares = []
    for gains, pair, budget in zip(told, pairs, BUDGETS, strict=True):
        powers, low, high = np.abs(gains) ** 2, 0.0, 1e3
        for _ in range(200):
            middle = (low + high) / 2
            spent = AIM**2 * abs(pair) ** 2 * np.mean(powers / (powers + middle) ** 2)
            low, high = (middle, high) if spent > budget else (low, middle)
        shares.append(powers / (powers + high))
    return np.array(shares)


@pytest.mark.parametrize("turn", ["correct", "wrong"])
def test_given_the_channels_bias_and_variance_are_those_of_the_formula(turn, rng):
    told = complex_normal(rng, 4, NUM_DRAWS)
    magnitude, spread_rad = (1.0, 0.0) if turn == "correct" else (0.8, 0.5)
    turns = magnitude * np.exp(1j * rng.normal(scale=spread_rad, size=(4, NUM_DRAWS)))
    updates = np.repeat(PAIRS[:, None], NUM_DRAWS, axis=1).view(float)
    noise = math.sqrt(NOISE_VARIANCE) * complex_normal(rng, NUM_DRAWS)
    plan = plan_for(2 * NUM_DRAWS)
    total, _ = superpose(updates, told, turns * told, plan, noise)
    estimates = mmse.decode(Reception(total, NOISE_VARIANCE), plan)[::2]
    # shares of the pair that an element carries, in the order of the pairs
    w = np.array([mmse.per_value(each, plan)[::2] for each in shares_of(told, PAIRS)])
    first, second = math.exp(-(spread_rad**2) / 2), math.exp(-2 * spread_rad**2)  # E cos(phi), E cos(2 phi)
    means = magnitude * first * PAIRS.real[:, None] * w
    squares = (
        magnitude**2 * 0.5 * ((1 + second) * PAIRS.real**2 + (1 - second) * PAIRS.imag**2)[:, None] * w**2
    )
    variances = (squares - means**2).sum(axis=0) / 16 + NOISE_VARIANCE / (2 * SCALE**2 * AIM**2 * 16)
    if turn == "correct":
        np.testing.assert_allclose(variances, NOISE_VARIANCE / (2 * (SCALE * AIM * 4) ** 2), rtol=1e-9)
    assert np.mean(w < 0.9) > 0.05  # there is something missing
    assert_agrees((estimates - means.mean(axis=0)) / np.sqrt(variances), 0.0, 1.0)


def scaled(updates, draft, encode, channels, budgets):
    """(scale by the realised rule, powers of the devices at that scale)."""
    powers = [np.mean(np.abs(encode(z, c, draft)[0]) ** 2) for z, c in zip(updates, channels, strict=True)]
    scale = common_scale([Prepared(power) for power in powers], budgets=list(budgets))
    plan = replace(draft, scale=scale)
    return scale, [
        np.mean(np.abs(encode(z, c, plan)[0]) ** 2) for z, c in zip(updates, channels, strict=True)
    ]


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 50.0), arrays(np.float64, 4, elements=st.floats(1e-3, 1e3)))
def test_nobody_ever_exceeds_a_budget_and_one_meets_it(seed, aim, budgets):
    rng = np.random.default_rng(seed)
    updates, gains = rng.normal(size=(4, 60)) ** 3, complex_normal(rng, 4, 30)
    channels = [ChannelState(h, power_budget=b) for h, b in zip(gains, budgets, strict=True)]
    draft = plan_for(60, seed=seed, scale=1.0, aim=aim)
    _, powers = scaled(updates, draft, mmse.encode, channels, budgets)
    assert np.max(powers / budgets) == pytest.approx(1.0, rel=1e-9)


def mean_square(scheme, updates, channels, plan, noise_variance, budgets):
    """Squared error against the mean of all updates, summed over parameters: what is missing, and noise in the mean."""
    scale, _ = scaled(updates, plan, scheme.encode, channels, budgets)
    plan = replace(plan, scale=scale)
    encoded = [scheme.encode(z, c, plan) for z, c in zip(updates, channels, strict=True)]
    total = sum(c.gains * x for (x, _), c in zip(encoded, channels, strict=True))
    told = dict(enumerate(channels))
    missing = scheme.decode(Reception(total, 0.0, channels=told), plan) - updates.mean(axis=0)
    noise = scheme.decode(Reception(np.ones(plan.num_elements) + 0j, 0.0, channels=told), plan)[::2]
    return float(missing @ missing + noise_variance * np.sum(noise**2))


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
@pytest.mark.parametrize("num_gains", [1, 100])
def test_it_errs_no_more_than_inversion_at_the_best_of_all_thresholds(snr_db, num_gains):
    noise_variance, budgets, dimension = 10 ** (-snr_db / 10), np.array(BUDGETS), 200
    thresholds = np.append(0.0, np.geomspace(1e-3, 3.0, 25))
    ratios = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        updates = rng.normal(size=(4, dimension)) * rng.uniform(0.5, 2.0, size=(4, 1))
        gains = np.broadcast_to(complex_normal(rng, 4, num_gains), (4, 100))
        channels = [ChannelState(h, power_budget=b) for h, b in zip(gains, budgets, strict=True)]
        truncated = []
        for threshold in thresholds:
            if all(np.abs(h) ** 2 < threshold for h in gains.ravel()):
                continue
            plan = plan_for(dimension, seed=seed, scale=1.0, threshold=threshold)
            truncated.append(mean_square(inversion, updates, channels, plan, noise_variance, budgets))
        powers = np.abs(gains) ** 2
        aim = best_aim(powers, np.sum(updates**2, axis=1) / 100, budgets, noise_variance)
        plan = plan_for(dimension, seed=seed, scale=1.0, aim=aim)
        ratios.append(mean_square(mmse, updates, channels, plan, noise_variance, budgets) / min(truncated))
    gains_db = 10 * np.log10(ratios)
    half_width = 1.96 * gains_db.std(ddof=1) / math.sqrt(len(gains_db))
    assert gains_db.mean() + half_width < 0.0


def test_a_plan_without_an_aim_is_a_draft_that_asks_for_the_energy_and_is_never_decoded(rng):
    update, gains = rng.normal(size=100), complex_normal(rng, 50)
    draft = plan_for(100, aim=0.0)
    amplitudes, sent = mmse.encode(update, ChannelState(gains, power_budget=1e-6), draft)
    np.testing.assert_array_equal(sent, update)
    with pytest.raises(
        ValueError, match=r"round 3: the plan has no aim; give Plan.aim as the server chose it"
    ):
        mmse.decode(Reception(amplitudes, 0.0), draft)


def test_what_meets_no_channel_at_all_is_kept(rng):
    gains = complex_normal(rng, 50)
    gains[::5] = 0.0
    amplitudes, sent = mmse.encode(rng.normal(size=100), ChannelState(gains), plan_for(100))
    np.testing.assert_array_equal(amplitudes == 0.0, gains == 0.0)
    assert np.count_nonzero(sent) == 80
