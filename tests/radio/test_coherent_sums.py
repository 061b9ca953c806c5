"""One truth: for one set of updates every coherent scheme gives the exact sum, as far as noise and fading let it.

Whatever a scheme sends of an update, on a support of its own or a shared one, the reference is the exact mean of that,
added up by `math.fsum`.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from radio.air_config import Fading
from radio.channel_state import ChannelState
from radio.power_control import best_aim
from radio.scheme_options import SchemeOptions
from radio.schemes.registry import aims, load_scheme
from radio.support import random_support
from radio.uplink import Plan, Reception
from tests.radio.monte_carlo import complex_normal

DIMENSION, NUM_KEPT, NUM_DEVICES = 3000, 120, 4
INVERTING = [(scheme, support) for scheme in ("inversion", "mmse") for support in ("own", "shared-random")]
PHASE_ONLY = [("phase", "own"), ("phase", "shared-random")]


@pytest.fixture
def updates(rng):
    return rng.normal(size=(NUM_DEVICES, DIMENSION)) ** 3


def flat(gains):
    return [ChannelState(np.array([gain])) for gain in gains]


def exact_mean(vectors):
    return np.array([math.fsum(column) / len(vectors) for column in np.transpose(vectors)])


def aggregate(scheme, support, updates, gains, noise=0.0, noise_variance=0.0, mean_gain=1.0):
    """(estimate, what each device sent). noise: what is added to elements of unit power."""
    pair = load_scheme(scheme, SchemeOptions(keep=NUM_KEPT / DIMENSION, support=support))
    plan = Plan(
        round=2, seed=9, devices=tuple(range(NUM_DEVICES)), dimension=DIMENSION, num_kept=NUM_KEPT,
        num_elements=pair.num_elements(DIMENSION, 0.45), mean_gain=mean_gain,
        support=None if support == "own" else random_support(DIMENSION, NUM_KEPT, 9, 2),
    )  # fmt: skip
    if aims(pair):
        powers = [np.array([abs(gain) ** 2]) for gain in gains]
        drafted = [pair.encode(z, c, plan)[1] for z, c in zip(updates, flat(gains), strict=True)]
        energies = [float(z @ z) / plan.num_elements for z in drafted]
        plan = replace(plan, aim=best_aim(powers, energies, [1.0] * NUM_DEVICES, noise_variance))
    encoded = [pair.encode(z, c, plan) for z, c in zip(updates, flat(gains), strict=True)]
    plan = replace(plan, scale=min(1.0 / math.sqrt(np.mean(np.abs(x) ** 2)) for x, _ in encoded))
    told = dict(enumerate(flat(gains)))
    total = sum(gain * plan.scale * x for gain, (x, _) in zip(gains, encoded, strict=True))
    received = Reception(total + np.resize(noise, plan.num_elements), noise_variance, channels=told)
    return pair.decode(received, plan), [sent for _, sent in encoded]


def error_of(*arguments, **options):
    """|estimate - exact mean of what was sent|^2 over |that mean|^2."""
    estimate, sent = aggregate(*arguments, **options)
    reference = exact_mean(sent)
    return float(np.sum((estimate - reference) ** 2) / np.sum(reference**2))


@pytest.mark.parametrize(("scheme", "support"), [*PHASE_ONLY, *INVERTING])
def test_without_noise_and_fading_all_give_the_exact_sum(scheme, support, updates, rng):
    phases = np.exp(2j * np.pi * rng.random(NUM_DEVICES))
    # sparse recovery stops where its estimate changes by less than a ten thousandth; all else is exact
    limit = 1e-8 if (scheme, support) == ("phase", "own") else 1e-28
    assert error_of(scheme, support, updates, phases) < limit


def test_the_error_free_scheme_gives_it_too(updates):
    for support in ("own", "shared-random"):
        assert error_of("ideal", support, updates, np.ones(NUM_DEVICES)) < 1e-28


@pytest.mark.parametrize(("scheme", "support"), INVERTING)
def test_over_rayleigh_fading_the_error_of_those_that_invert_falls_with_the_noise_to_nothing(
    scheme, support, updates, rng
):
    gains, noise = complex_normal(rng, NUM_DEVICES), complex_normal(rng, DIMENSION)
    errors = []
    for snr_db in (60.0, 80.0, 100.0):
        variance = 10 ** (-snr_db / 10)
        errors.append(
            error_of(scheme, support, updates, gains, math.sqrt(variance) * noise, variance) / variance
        )
    np.testing.assert_allclose(
        errors, errors[-1], rtol=0.01
    )  # the share of the noise does not change any more
    assert error_of(scheme, support, updates, gains) < 1e-28


@pytest.mark.parametrize(("scheme", "support"), PHASE_ONLY)
def test_the_error_of_those_that_undo_phases_falls_with_the_spread_of_gains_to_nothing(
    scheme, support, updates, rng
):
    scattered = complex_normal(rng, NUM_DEVICES)
    _, sent = aggregate(scheme, support, updates, np.ones(NUM_DEVICES))
    # |h| / E|h| - 1 comes to Re(scattered) / sqrt(K): each device's share of the mean errs by that
    expected = np.sum((scattered.real @ sent) ** 2) / np.sum(np.sum(sent, axis=0) ** 2)
    for rician_k_db in (40.0, 60.0):
        k = 10 ** (rician_k_db / 10)
        gains = math.sqrt(k / (k + 1)) + scattered / math.sqrt(k + 1)
        mean_gain = Fading(law="rician", rician_k_db=rician_k_db).mean_gain()
        error = error_of(scheme, support, updates, gains, mean_gain=mean_gain)
        assert error * k == pytest.approx(expected, rel=3.0 / math.sqrt(k))  # of the next order
