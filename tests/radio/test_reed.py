"""REED against its formulas. A payload of like parameters over independent fades and phases is a Monte Carlo draw a
parameter: one call of the scheme gives 5,000."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radio.channel_state import ChannelState
from radio.schemes.reed import Reed
from radio.uplink import Plan, Reception
from tests.radio.monte_carlo import complex_normal

NUM_DRAWS = 5000
SCALE = 0.8
NOISE_VARIANCE = 0.3
VALUES = np.array([1.0, -0.4, 0.7, -1.5, 0.2])  # of each of five devices, for every parameter


def plan_for(scheme, num_devices, dimension, **changes):
    values = {
        "round": 3,
        "seed": 5,
        "devices": tuple(range(num_devices)),
        "dimension": dimension,
        "num_elements": scheme.num_elements(dimension, 0.4),
        "num_kept": 1,
        "scale": SCALE,
    }
    return Plan(**values | changes)


def encode_all(scheme, updates, powers, plan):
    """(num_devices, num_elements) amplitudes of devices that count with these mean powers."""
    told = [ChannelState(np.ones(1, complex), device=d, mean_power=p) for d, p in enumerate(powers)]
    return np.array(
        [scheme.encode(update, channel, plan)[0] for update, channel in zip(updates, told, strict=True)]
    )


@settings(deadline=None)
@given(
    arrays(np.float32, 9, elements=st.floats(-8, 8, width=16)),
    st.integers(1, 4),
    st.floats(0.1, 10.0),
    st.integers(0, 1000),
)
def test_one_device_over_its_calibrated_channel_comes_back_whole(update, chips, power, seed):
    scheme = Reed(chips)
    plan = plan_for(scheme, 1, 9, seed=seed)
    channel = ChannelState(np.ones(1, complex), device=7, mean_power=power)
    amplitudes, sent = scheme.encode(update, channel, plan)
    received = math.sqrt(power) * np.exp(1j * seed) * amplitudes
    np.testing.assert_allclose(scheme.decode(Reception(received, 0.0), plan), update, rtol=1e-5, atol=1e-12)
    assert sent is update
    # the energy that a device spends is that of its values, whatever the chips
    spent = float(np.vdot(amplitudes, amplitudes).real)
    assert spent == pytest.approx(SCALE**2 * float(np.abs(update).sum()) / power, rel=1e-5)


def test_devices_on_elements_of_their_own_do_not_disturb_each_other():
    # where no two have the same sign there are no cross terms, whatever the phases
    updates, gains = np.array([[3.0, -1.0, 0.0], [-2.0, 0.5, 4.0]]), np.array([0.5j, -2.0])
    scheme = Reed(2)
    plan = plan_for(scheme, 2, 3)
    received = gains @ encode_all(scheme, updates, np.abs(gains) ** 2, plan)
    np.testing.assert_allclose(
        scheme.decode(Reception(received, 0.0), plan), updates.mean(axis=0), rtol=1e-5, atol=1e-6
    )


def test_noise_of_like_energy_on_both_elements_cancels_and_scale_does_not_matter(rng):
    update, channel = rng.normal(size=50), ChannelState(np.ones(1, complex))
    scheme = Reed()
    quiet, loud = (plan_for(scheme, 1, 50, scale=scale) for scale in (1.0, 3.0))
    amplitudes, _ = scheme.encode(update, channel, quiet)
    np.testing.assert_allclose(scheme.encode(update, channel, loud)[0], 3.0 * amplitudes, rtol=1e-6)
    # a noise in quadrature adds its energy to each element's
    turned = np.where(amplitudes == 0.0, 1.0, amplitudes / np.maximum(np.abs(amplitudes), 1e-30))
    received = amplitudes + 0.7j * turned
    np.testing.assert_allclose(scheme.decode(Reception(received, 0.0), quiet), update, rtol=1e-5, atol=1e-6)


def test_phases_and_places_differ_from_round_to_round_and_between_devices():
    scheme, update = Reed(2), np.ones(400)
    first, other = encode_all(scheme, [update] * 2, [1.0] * 2, plan_for(scheme, 2, 400))
    later = encode_all(scheme, [update], [1.0], plan_for(scheme, 1, 400, round=4))[0]
    # the mean of 800 independent turns of one against the other; five standard errors
    assert abs(np.vdot(first, other)) / np.vdot(first, first).real < 5 / math.sqrt(800)
    np.testing.assert_array_equal(first != 0.0, other != 0.0)
    alternating = np.where(np.arange(400) % 2, -1.0, 1.0)
    now, then = (
        encode_all(scheme, [alternating], [1.0], plan_for(scheme, 1, 400, round=r))[0] for r in (3, 4)
    )
    same = np.mean((now != 0.0) == (then != 0.0))
    assert abs(same - 0.5) < 5 * math.sqrt(0.25 / 800)
    assert not np.array_equal(first, later)


def predicted(weights, chips, fading, is_block):
    """(mean, variance) of the estimate, by the formulas of the scheme's docstring."""
    weighted, count, nu = weights * VALUES, len(VALUES), NOISE_VARIANCE / SCALE**2
    plus, minus, squares = weighted[VALUES > 0].sum(), -weighted[VALUES < 0].sum(), np.sum(weighted**2)
    self_noise = (plus**2 + minus**2 - squares) / chips
    faded = fading * squares / (1 if is_block else chips)
    variance = self_noise + faded + 2 * nu * (plus + minus) + 2 * chips * nu**2
    return weighted.mean(), variance / count**2


def draws(scheme, told_powers, true_powers, rician_k, is_block, rng):
    """(NUM_DRAWS,) independent estimates of the mean of VALUES."""
    count = len(VALUES)
    if is_block:  # each draw is a payload of its own, as one gain holds for all of it
        plans = [plan_for(scheme, count, 1, round=number) for number in range(NUM_DRAWS)]
        updates = VALUES[:, None]
    else:
        plans = [plan_for(scheme, count, NUM_DRAWS)]
        updates = np.repeat(VALUES[:, None], NUM_DRAWS, axis=1)
    estimates = []
    for plan in plans:
        shape = (count, 1 if is_block else plan.num_elements)
        steady = math.sqrt(rician_k) * np.exp(2j * np.pi * rng.random(shape))
        gains = (steady + complex_normal(rng, *shape)) / math.sqrt(rician_k + 1)
        gains *= np.sqrt(true_powers)[:, None]
        noise = math.sqrt(NOISE_VARIANCE) * complex_normal(rng, plan.num_elements)
        received = (gains * encode_all(scheme, updates, told_powers, plan)).sum(axis=0) + noise
        estimates.append(scheme.decode(Reception(received, NOISE_VARIANCE), plan))
    return np.concatenate(estimates)


def assert_agrees(values, mean, variance):
    """Mean and variance of independent draws within three standard errors."""
    assert abs(values.mean() - mean) < 3.0 * math.sqrt(variance / len(values))
    squares = (values - mean) ** 2
    assert abs(squares.mean() - variance) < 3.0 * squares.std() / math.sqrt(len(values))


@pytest.mark.parametrize("is_block", [True, False])
@pytest.mark.parametrize(("chips", "rician_k"), [(1, 0.0), (3, 0.0), (3, 4.0)])
def test_mean_and_variance_are_those_of_the_formula(chips, rician_k, is_block, rng):
    ones = np.ones(len(VALUES))
    fading = (2 * rician_k + 1) / (rician_k + 1) ** 2
    mean, variance = predicted(ones, chips, fading, is_block)
    assert mean == pytest.approx(VALUES.mean())  # unbiased
    assert_agrees(draws(Reed(chips), ones, ones, rician_k, is_block, rng), mean, variance)


def test_over_independent_rayleigh_fades_each_energy_is_exponential():
    chips, nu = 3, NOISE_VARIANCE / SCALE**2
    _, variance = predicted(np.ones(len(VALUES)), chips, 1.0, is_block=False)
    means = VALUES[VALUES > 0].sum() / chips + nu, -VALUES[VALUES < 0].sum() / chips + nu
    # the variance of an exponential variable is its squared mean
    assert variance == pytest.approx(chips * (means[0] ** 2 + means[1] ** 2) / len(VALUES) ** 2)


@pytest.mark.parametrize("is_block", [True, False])
def test_with_wrong_calibration_bias_and_variance_are_those_of_the_formula(is_block, rng):
    true = np.array([0.5, 2.0, 1.0, 1.5, 3.0])
    told = np.array([1.0, 1.0, 0.4, 2.0, 3.0])
    mean, variance = predicted(true / told, 2, 1.0, is_block)
    assert abs(mean - VALUES.mean()) > 0.05  # (0.5 - 0.8 + 1.75 - 1.125 + 0.2) / 5 = 0.105, not 0
    assert_agrees(draws(Reed(2), told, true, 0.0, is_block, rng), mean, variance)


def test_self_noise_of_independent_updates_is_as_the_rule_of_thumb_says(rng):
    # Laplace values: m1^2 / m2 = 1/2, so 9 / 4C of the energy of the mean for ten devices
    chips, updates = 4, rng.laplace(size=(10, 20_000))
    plan = plan_for(Reed(chips), 10, 20_000)
    received = encode_all(Reed(chips), updates, np.ones(10), plan).sum(axis=0)
    mean = updates.mean(axis=0)
    errors = Reed(chips).decode(Reception(received, 0.0), plan) - mean
    ratios = errors**2 / np.mean(mean**2)
    assert abs(ratios.mean() - 9 / (4 * chips)) < 3 * ratios.std() / math.sqrt(len(ratios)) + 0.01
