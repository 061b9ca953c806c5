"""Truncated channel inversion against its formulas. A payload of like pairs over independent fades is a Monte Carlo
draw an element: one call of the scheme gives 5,000."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from devices.messages import Prepared
from radio.channel_state import ChannelState
from radio.schemes import inversion
from radio.truncation import used_share
from radio.uplink import Plan, Reception
from server.planning import common_scale
from tests.radio.monte_carlo import PAIRS, assert_agrees, complex_normal

NUM_DRAWS = 5000
THRESHOLD = 0.4
SCALE = 0.8
NOISE_VARIANCE = 0.3


def plan_for(num_devices, dimension, **changes):
    values = {
        "round": 3,
        "seed": 5,
        "devices": tuple(range(num_devices)),
        "dimension": dimension,
        "num_elements": inversion.num_elements(dimension, 0.4),
        "num_kept": 1,
        "scale": SCALE,
        "threshold": THRESHOLD,
    }
    return Plan(**values | changes)


def superpose(updates, told, true, plan, noise=0.0):
    """(reception, sent of each device) of devices that believe in `told` gains where `true` ones hold."""
    channels = {device: ChannelState(gains) for device, gains in enumerate(told)}
    total, sent = np.zeros(plan.num_elements, complex) + noise, []
    for device, update in enumerate(updates):
        amplitudes, part = inversion.encode(update, channels[device], plan)
        total += true[device] * amplitudes
        sent.append(part)
    return Reception(total, NOISE_VARIANCE, channels=channels), np.array(sent)


@settings(deadline=None)
@given(
    arrays(np.float32, (3, 9), elements=st.floats(-8, 8, width=16)),
    arrays(np.float64, (3, 5), elements=st.floats(0.01, 4)),
    st.integers(0, 1000),
)
def test_the_mean_of_what_was_sent_comes_back_and_the_rest_is_withheld_exactly(updates, magnitudes, seed):
    gains = magnitudes * np.exp(2j * np.pi * np.random.default_rng(seed).random(magnitudes.shape))
    plan = plan_for(3, 9, seed=seed)
    reception, sent = superpose(updates, gains, gains, plan)
    np.testing.assert_allclose(inversion.decode(reception, plan), sent.mean(axis=0, dtype=float), atol=1e-12)
    withheld = updates - sent
    assert np.all((withheld == 0.0) | (sent == 0.0))
    np.testing.assert_array_equal(sent + withheld, updates)
    assert sent.dtype == np.float32


@settings(deadline=None)
@given(arrays(np.float64, (3, 5), elements=st.floats(0.01, 4)), st.integers(0, 1000))
def test_nothing_leaves_on_an_element_below_the_threshold(magnitudes, seed):
    plan = plan_for(1, 9, seed=seed)
    for gains in magnitudes:
        amplitudes, sent = inversion.encode(np.ones(9), ChannelState(gains + 0j), plan)
        np.testing.assert_array_equal(amplitudes == 0.0, gains**2 < THRESHOLD)
        assert np.count_nonzero(sent) >= 2 * np.count_nonzero(amplitudes) - 1  # the last pair is half empty


def test_normalised_by_transmitters_equal_updates_come_back_whoever_sent_them(rng):
    update = rng.normal(size=400)
    plan = plan_for(5, 400, normalise="transmitters")
    gains = complex_normal(rng, 5, 200)
    reception, sent = superpose([update] * 5, gains, gains, plan)
    np.testing.assert_allclose(
        inversion.decode(reception, plan), np.where(sent.any(axis=0), update, 0.0), atol=1e-12
    )


def test_parameters_meet_other_elements_in_the_next_round(rng):
    update, channel = rng.normal(size=400), ChannelState(np.linspace(0.1, 2.0, 200) + 0j)
    withheld = [inversion.encode(update, channel, plan_for(1, 400, round=r))[1] == 0.0 for r in range(40)]
    share = np.mean(channel.gains.real**2 < THRESHOLD)
    assert not np.all(withheld, axis=0).any()  # in a fixed order a third of them would never be sent
    # 40 draws with that chance for each of 200 pairs; five standard errors of the most unlucky one
    assert np.mean(withheld, axis=0).max() < share + 5 * math.sqrt(share * (1 - share) / 40)


def test_a_reception_without_channels_is_refused():
    plan = plan_for(2, 9)
    with pytest.raises(ValueError, match="no channel of device 0 came with the reception; give Reception"):
        inversion.decode(Reception(np.zeros(5, complex), 0.0), plan)


def predicted(normalise, pairs, expected_turn, expected_square):
    """(mean, variance) of the estimate of each pair's first parameter, by the formulas of the scheme's docstring.

    expected_turn: E[r]; expected_square: E[Re(r z)^2] of each device.
    """
    share, count = used_share(THRESHOLD), len(pairs)
    nobody = (1.0 - share) ** count
    means = (expected_turn * pairs).real
    noise = NOISE_VARIANCE / (2.0 * SCALE**2)
    if normalise == "devices":
        spread = np.sum(share * expected_square - (share * means) ** 2) / count**2
        return share * means.mean(), spread + (1.0 - nobody) * noise / count**2
    chances = {n: math.comb(count, n) * share**n * (1 - share) ** (count - n) for n in range(1, count + 1)}
    sampled = np.var(means, ddof=1)
    spread = sum(c * (sampled * (1 / n - 1 / count) + noise / n**2) for n, c in chances.items())
    return (1.0 - nobody) * means.mean(), nobody * (1.0 - nobody) * means.mean() ** 2 + spread


def draws(normalise, turns, rng):
    """(NUM_DRAWS,) estimates of the first parameter of PAIRS, with true gains `turns` times those that were told."""
    told = complex_normal(rng, len(PAIRS), NUM_DRAWS)
    noise = math.sqrt(NOISE_VARIANCE) * complex_normal(rng, NUM_DRAWS)
    plan = plan_for(len(PAIRS), 2 * NUM_DRAWS, normalise=normalise)
    updates = np.repeat(PAIRS[:, None], NUM_DRAWS, axis=1).view(float)
    reception, _ = superpose(updates, told, turns * told, plan, noise)
    return inversion.decode(reception, plan)[::2]


@pytest.mark.parametrize("normalise", ["devices", "transmitters"])
def test_mean_and_variance_are_those_of_the_formula(normalise, rng):
    mean, variance = predicted(normalise, PAIRS, 1.0, PAIRS.real**2)
    if normalise == "devices":  # the shorter form of the docstring
        share = used_share(THRESHOLD)
        noise = (1 - (1 - share) ** 4) * NOISE_VARIANCE / (2 * SCALE**2 * 16)
        assert variance == pytest.approx(share * (1 - share) * np.sum(PAIRS.real**2) / 16 + noise)
    assert_agrees(draws(normalise, np.ones((4, 1)), rng), mean, variance)


def test_with_wrong_calibration_bias_and_variance_are_those_of_the_formula(rng):
    magnitude, spread_rad = 0.8, 0.5  # told gains are 1.9 dB too high, phases off by 0.5 rad rms
    phases = rng.normal(scale=spread_rad, size=(4, NUM_DRAWS))
    first, second = math.exp(-(spread_rad**2) / 2), math.exp(-2 * spread_rad**2)  # E cos(phi), E cos(2 phi)
    square = 0.5 * (1 + second) * PAIRS.real**2 + 0.5 * (1 - second) * PAIRS.imag**2
    mean, variance = predicted("devices", PAIRS, magnitude * first, magnitude**2 * square)
    assert_agrees(draws("devices", magnitude * np.exp(1j * phases), rng), mean, variance)
    correct, _ = predicted("devices", PAIRS, 1.0, PAIRS.real**2)
    assert mean == pytest.approx(0.706 * correct, rel=1e-3)  # 0.8 exp(-1/8)


def test_given_the_masks_the_estimate_is_unbiased_for_what_was_sent(rng):
    told = complex_normal(rng, 4, NUM_DRAWS)
    plan = plan_for(4, 2 * NUM_DRAWS)
    updates = rng.normal(size=(4, 2 * NUM_DRAWS))
    noise = math.sqrt(NOISE_VARIANCE) * complex_normal(rng, NUM_DRAWS)
    reception, sent = superpose(updates, told, told, plan, noise)
    heard = sent.any(axis=0)
    errors = (inversion.decode(reception, plan) - sent.mean(axis=0))[heard]
    assert_agrees(errors, 0.0, NOISE_VARIANCE / (2 * SCALE**2 * 16))


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0.001, 2.0))
def test_under_the_realised_rule_nobody_exceeds_the_power_in_any_round(seed, threshold):
    rng = np.random.default_rng(seed)
    updates, gains = rng.normal(size=(3, 60)) ** 3, complex_normal(rng, 3, 30)
    draft = plan_for(3, 60, seed=seed, scale=1.0, threshold=threshold)

    def powers(scale):
        plan = plan_for(3, 60, seed=seed, scale=scale, threshold=threshold)
        pairs = zip(updates, gains, strict=True)
        return [np.mean(np.abs(inversion.encode(z, ChannelState(h), plan)[0]) ** 2) for z, h in pairs]

    scale = common_scale([Prepared(power) for power in powers(draft.scale)])
    assert max(powers(scale)) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("budgets", [(1.0, 1.0, 1.0, 1.0), (0.5, 3.0, 0.02, 1.0)])
def test_under_the_average_rule_budgets_are_met_in_the_mean_over_fading(budgets, rng):
    updates = np.repeat(PAIRS[:, None], NUM_DRAWS, axis=1).view(float)
    plan = plan_for(4, 2 * NUM_DRAWS)
    means = [inversion.mean_power(float(z @ z), plan) for z in updates]
    needs = [Prepared(1.0) for _ in updates]
    plan = plan_for(4, 2 * NUM_DRAWS, scale=common_scale(needs, means, budgets=budgets))
    spent = []
    for update in updates:
        gains = ChannelState(complex_normal(rng, NUM_DRAWS))
        spent.append(np.abs(inversion.encode(update, gains, plan)[0]) ** 2)
    errors = np.std(spent, axis=1) / math.sqrt(NUM_DRAWS)
    needed = np.abs(PAIRS) ** 2 / budgets
    expected = budgets * needed / max(needed)  # only the device that is limited most meets its own
    np.testing.assert_array_less(np.abs(np.mean(spent, axis=1) - expected), 3.0 * errors)
    assert (
        np.max(spent, axis=1)[np.argmax(needed)] > 1.5 * budgets[np.argmax(needed)]
    )  # single fades exceed it
