"""What every scheme must do, and what is particular to each."""

import math
from dataclasses import replace

import numpy as np
import pytest

from radio.channel_state import ChannelState
from radio.ofdm import OfdmConfig
from radio.scheme_options import SchemeOptions
from radio.schemes import aligned, ideal, phase
from radio.schemes.registry import NAMES, aims, inverts, is_on_air, load_scheme, pack_bits, truncates
from radio.support import num_kept, random_support
from radio.uplink import Plan, Reception

DIMENSION = 2000


def plan_for(scheme, devices, **changes):
    values = {
        "round": 3,
        "seed": 5,
        "devices": devices,
        "dimension": DIMENSION,
        "num_elements": scheme.num_elements(DIMENSION, 0.4),
        "num_kept": 40,
        "scale": 0.7,
    }
    return Plan(**values | changes)


def over_the_air(scheme, updates, gains, plan):
    """Encode, superpose without noise, decode; the estimate and the mean of what was sent."""
    total = np.zeros(plan.num_elements, dtype=complex)
    sent = []
    for update, gain in zip(updates, gains, strict=True):
        amplitudes, kept = scheme.encode(update, ChannelState(np.array([gain])), plan)
        total += gain * amplitudes
        sent.append(kept)
    return scheme.decode(Reception(total, 0.0), plan), np.mean(sent, axis=0)


@pytest.fixture
def updates(rng):
    return rng.normal(size=(4, DIMENSION)) ** 3


@pytest.mark.parametrize("scheme", [phase, ideal])
def test_over_a_perfect_channel_the_mean_of_what_was_sent_comes_back(scheme, updates):
    estimate, mean_sent = over_the_air(scheme, updates, np.ones(4), plan_for(scheme, (0, 1, 2, 3)))
    assert np.linalg.norm(estimate - mean_sent) < 1e-3 * np.linalg.norm(mean_sent)


EVERY = [(name, support) for name in NAMES for support in ("own", "shared-random")]
KEEP = 0.02


def load(name, support):
    """(scheme, what its plan needs beside the rest)."""
    scheme = load_scheme(name, SchemeOptions(keep=KEEP, support=support))
    drawn = None if support == "own" else random_support(DIMENSION, num_kept(DIMENSION, KEEP), 5, 3)
    return scheme, {"support": drawn, "aim": 0.7 if aims(scheme) else 0.0}


@pytest.mark.parametrize(("name", "support"), EVERY)
def test_scale_multiplies_amplitudes_and_leaves_what_was_sent(name, support, updates):
    scheme, needs = load(name, support)
    small, large = (plan_for(scheme, (0, 1), scale=scale, **needs) for scale in (1.0, 3.0))
    channel = ChannelState(np.array([1.0 + 0j]))
    (quiet, one), (loud, other) = (scheme.encode(updates[0], channel, plan) for plan in (small, large))
    np.testing.assert_allclose(loud, 3.0 * quiet, rtol=1e-6)  # amplitudes may be of single precision
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_on_a_shared_support_a_scheme_does_to_the_entries_what_it_does_to_a_shorter_update(name, updates):
    scheme, needs = load(name, "shared-random")
    beneath, _ = load(name, "own") if name != "phase" else (aligned, None)
    support, count = needs["support"], len(needs["support"])
    assert scheme.num_elements(DIMENSION, 0.4) == beneath.num_elements(count, 0.4)
    plan = plan_for(scheme, (0, 1), **needs)
    short = replace(plan, dimension=count, support=None)
    channel = ChannelState(np.array([0.6 + 0.8j]))
    amplitudes, sent = scheme.encode(updates[0], channel, plan)
    expected, kept = beneath.encode(updates[0][support], channel, short)
    np.testing.assert_array_equal(amplitudes, expected)
    np.testing.assert_array_equal(sent[support], kept)
    assert np.count_nonzero(sent) == np.count_nonzero(kept)
    if is_on_air(scheme):
        received = Reception(amplitudes, 0.1, channels={0: channel, 1: channel})
    else:
        bits = pack_bits(scheme, updates[0], plan)
        np.testing.assert_array_equal(bits, beneath.pack(updates[0][support], short))
        received = Reception(amplitudes, 0.1, bits={0: bits, 1: bits})
    estimate = scheme.decode(received, plan)
    np.testing.assert_array_equal(estimate[support], beneath.decode(received, short))
    assert not np.delete(estimate, support).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_shared_support_leaves_what_a_scheme_says_of_itself(name):
    for says in (inverts, truncates, aims, is_on_air):
        assert says(load(name, "own")[0]) == says(load(name, "shared-random")[0])


def test_a_plan_without_the_shared_support_is_refused(updates):
    scheme, _ = load("inversion", "shared-random")
    with pytest.raises(ValueError, match=r"round 3: the plan names no support; give Plan.support"):
        scheme.encode(updates[0], ChannelState(np.ones(1, complex)), plan_for(scheme, (0,)))


def test_phase_is_undone_and_magnitude_is_not(updates):
    gains = np.array([1.5 * np.exp(2j), 0.3 * np.exp(-1j), 0.9j, -1.0])
    plan = plan_for(phase, (0, 1, 2, 3), mean_gain=math.sqrt(math.pi) / 2)
    estimate, _ = over_the_air(phase, updates, gains, plan)
    kept = [phase.encode(update, ChannelState(np.ones(1, complex)), plan)[1] for update in updates]
    expected = np.abs(gains) @ kept / (4 * math.sqrt(math.pi) / 2)
    assert np.linalg.norm(estimate - expected) < 1e-3 * np.linalg.norm(expected)


def test_gains_are_laid_over_the_payload_subcarrier_by_subcarrier(updates):
    plan = plan_for(phase, (0,))
    ofdm = OfdmConfig(fft_len=64, num_active=8, prefix_len=0, num_pilots=2, interleave=False)
    gains = np.exp(1j * np.linspace(0, 6, 8))
    straight, _ = phase.encode(updates[0], ChannelState(np.ones(1, complex)), plan)
    turned, _ = phase.encode(updates[0], ChannelState(gains, ofdm=ofdm), plan)
    data = [0, 2, 3, 4, 5, 7]  # between the teeth, which are in the middle of each half: 1 and 6
    np.testing.assert_allclose(turned * np.resize(gains[data], plan.num_elements), straight, atol=1e-12)


def test_gains_that_do_not_fit_the_payload_are_refused(updates):
    with pytest.raises(ValueError, match="7 gains for 800 elements; give one, one for each element, or"):
        phase.encode(updates[0], ChannelState(np.ones(7, complex)), plan_for(phase, (0,)))


@pytest.mark.parametrize("estimator", ["oamp", "iht", "adjoint"])
def test_each_estimator_points_at_the_mean(estimator, updates):
    plan = plan_for(phase, (0, 1), num_kept=20, estimator=estimator)
    estimate, mean_sent = over_the_air(phase, updates[:2], np.ones(2), plan)
    alignment = estimate @ mean_sent / (np.linalg.norm(estimate) * np.linalg.norm(mean_sent))
    assert alignment > (0.5 if estimator == "adjoint" else 0.99)


def test_ideal_sends_everything(updates):
    amplitudes, sent = ideal.encode(
        updates[0], ChannelState(np.ones(1, complex)), plan_for(ideal, (0,), scale=1.0)
    )
    assert len(amplitudes) == DIMENSION // 2
    np.testing.assert_array_equal(sent, updates[0])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("morse", f"'morse' is unknown; known: {', '.join(NAMES)}, or package.module:object"),
        ("no.such:thing", "cannot be loaded: No module named 'no'"),
        ("radio.ofdm:OfdmConfig", "has no function 'num_elements'"),
    ],
)
def test_a_scheme_that_is_none_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        load_scheme(name)


def test_a_scheme_of_ones_own_is_found_by_its_path_and_put_on_a_shared_support():
    assert load_scheme("radio.schemes:phase") is phase
    options = SchemeOptions(keep=KEEP, support="shared-vote")
    assert load_scheme("radio.schemes:mmse", options) == load_scheme("mmse", options)
