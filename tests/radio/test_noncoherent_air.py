"""Schemes that compare energies over real frames: devices whose phases, carriers and instants nobody has corrected.

A carrier off by a tenth of the subcarrier spacing leaves sinc^2(0.1) of an element's energy where it belongs, -0.14 dB,
and spreads the rest, -14.9 dB, over the other elements. There it is as noise to what else is on them.
"""

import math

import numpy as np
import pytest

from radio.channel_state import ChannelState
from radio.frame import demodulate_frame, element_level, modulate_frame, payload_elements
from radio.ofdm import OfdmConfig
from radio.pilots import Place
from radio.schemes.fsk_mv import FskMv
from radio.schemes.reed import Reed
from radio.uplink import Plan, Reception

OFDM = OfdmConfig()
NUM_DEVICES, DIMENSION = 10, 6000
LEVEL = element_level(15.0, OFDM)
OFFSETS = 0.1 * np.resize([1.0, -1.0], NUM_DEVICES)  # of the subcarrier spacing
DELAYS = np.linspace(0, OFDM.prefix_len, NUM_DEVICES).round().astype(int)  # all of the prefix
KEPT = float(np.sinc(0.1) ** 2)  # of an element's energy


def plan_for(scheme, **changes):
    values = {
        "round": 3,
        "seed": 5,
        "devices": tuple(range(NUM_DEVICES)),
        "dimension": DIMENSION,
        "num_elements": scheme.num_elements(DIMENSION, 0.4),
        "num_kept": 1,
        "scale": 0.8,
    }
    return Plan(**values | changes)


def decoded(scheme, updates, plan, offsets, delays, rng):
    """What the server makes of frames that arrive with these carrier offsets, delays and any phases."""
    received = np.zeros(1, complex)
    for device, update in enumerate(updates):
        channel = ChannelState(np.ones(1, complex), device=device)
        amplitudes, _ = scheme.encode(update, channel, plan)
        place = Place(device, NUM_DEVICES)
        samples = modulate_frame(amplitudes, channel, 0, LEVEL, OFDM, place).samples
        received = np.zeros(len(samples), complex) if device == 0 else received
        instants = np.arange(len(samples)) / OFDM.fft_len
        turned = samples * np.exp(2j * np.pi * (offsets[device] * instants + rng.random()))
        received[delays[device] :] += turned[: len(turned) - delays[device]]
    payload = demodulate_frame(received.astype(np.complex64), LEVEL, OFDM).payload
    return scheme.decode(Reception(payload_elements(payload, plan.num_elements, OFDM), 0.0), plan)


@pytest.fixture
def updates(rng):
    return rng.laplace(size=(NUM_DEVICES, DIMENSION))


def self_noise(updates, chips, kept):
    """Mean variance of an estimate, by the formula of REED; what is not kept is noise of that energy."""
    plus, minus = (np.maximum(sign * kept * updates, 0.0).sum(axis=0) for sign in (1, -1))
    leaked = (
        (1.0 - kept) * np.abs(updates).sum() / (2 * chips * DIMENSION)
    )  # mean energy of an element over scale^2
    variances = (plus**2 + minus**2 - np.sum((kept * updates) ** 2, axis=0)) / chips
    variances += 2 * leaked * (plus + minus) + 2 * chips * leaked**2
    return float(np.mean(variances)) / NUM_DEVICES**2


@pytest.mark.parametrize(("offsets", "kept"), [(0.0 * OFFSETS, 1.0), (OFFSETS, KEPT)])
def test_reed_errs_by_its_self_noise_whatever_carriers_and_instants_are(offsets, kept, updates, rng):
    scheme = Reed(4)
    estimate = decoded(scheme, updates, plan_for(scheme), offsets, DELAYS, rng)
    mean = updates.mean(axis=0)
    found, expected = np.mean((estimate - kept * mean) ** 2), self_noise(updates, 4, kept)
    slope = float(estimate @ mean / (mean @ mean))
    # regression of 6,000 parameters, and 5 % of the variance of heavy-tailed values
    assert abs(slope - kept) < 4 * math.sqrt(expected / (mean @ mean))
    assert found == pytest.approx(expected, rel=0.05)


def test_a_tenth_of_the_spacing_leaks_15_db_below_and_costs_less_than_half_a_decibel(updates):
    assert 10 * math.log10(1 - KEPT) == pytest.approx(-14.9, abs=0.05)
    relative = [self_noise(updates, 4, kept) / kept**2 for kept in (KEPT, 1.0)]
    assert 0.1 < 10 * math.log10(relative[0] / relative[1]) < 0.5


@pytest.mark.parametrize(("offsets", "kept"), [(0.0 * OFFSETS, 1.0), (OFFSETS, KEPT)])
def test_votes_are_lost_to_nothing_but_leakage(offsets, kept, rng):
    plan = plan_for(FskMv())
    decided = decoded(FskMv(), np.ones((NUM_DEVICES, DIMENSION)), plan, offsets, DELAYS, rng)
    # half of the elements are empty; what leaks is spread over all
    leaked, voted = (1.0 - kept) / 2, kept
    expected = leaked / (2 * leaked + voted)
    assert abs(np.mean(decided < 0) - expected) <= 3 * math.sqrt(expected / DIMENSION) + 0.2 * expected
    assert expected < 0.02


def test_a_vote_of_seven_to_three_is_as_likely_lost_as_in_perfect_unison(rng):
    updates = np.ones((NUM_DEVICES, DIMENSION))
    updates[7:] = -1.0
    plan = plan_for(FskMv())
    perfect, disturbed = (
        np.mean(decoded(FskMv(), updates, plan, offsets, delays, rng) < 0)
        for offsets, delays in ((0.0 * OFFSETS, 0 * DELAYS), (OFFSETS, DELAYS))
    )
    # both within three standard errors of the same chance, and the leakage's (m- + l) / (m+ + m- + 2 l), l = 0.16
    assert abs(disturbed - perfect) < 3 * math.sqrt(2 * 0.3 * 0.7 / DIMENSION) + 0.01
