"""Responses made of a few taps, a way back that is known, and errors in the taps' space."""

import math

import numpy as np
import pytest
from honesty import assert_honest, white
from scipy.stats import binom

from calibration.channel import tap_subspace
from calibration.delay import apply_delay
from calibration.reciprocity import estimate_reciprocity
from radio.ofdm import OfdmConfig

OFDM = OfdmConfig(fft_len=64, prefix_len=16, num_active=48)
BASIS = tap_subspace(OFDM, 12, 2)
RANK = BASIS.shape[1]


def channel(rng):
    """Unit mean power over the band."""
    drawn = BASIS @ white(rng, RANK)
    return drawn * math.sqrt(OFDM.num_active) / np.linalg.norm(drawn)


def errors(rng, variance):
    """Of a variance a gain in the mean, in the space of the taps."""
    return BASIS @ white(rng, RANK) * math.sqrt(variance * OFDM.num_active / RANK)


def unlike(there, rng):
    """Unit mean power, and no gain, phase or delay of what is there."""
    drawn = channel(rng)
    slope = there * np.where(OFDM.active_bins < 32, OFDM.active_bins, OFDM.active_bins - 64.0)
    for each in np.linalg.qr(np.stack([there, slope], axis=1))[0].T:
        drawn = drawn - each * np.vdot(each, drawn)
    return drawn * math.sqrt(OFDM.num_active) / np.linalg.norm(drawn)


def sounded(rng, error, gain_db, variance_there, variance_back):
    """(there, back) with an error of a share of the power back."""
    there = channel(rng)
    back = math.sqrt(1.0 - error) * there + math.sqrt(error) * unlike(there, rng)
    turn = 10 ** (gain_db / 20) * np.exp(2j * np.pi * rng.random())
    back = apply_delay(turn * back, rng.uniform(-3, 3), OFDM)
    return there + errors(rng, variance_there), back + errors(rng, variance_back)


def test_without_noise_gain_and_error_are_exact(rng):
    there, back = sounded(rng, 0.01, -7.0, 0.0, 0.0)
    found = estimate_reciprocity(there, 0.0, back, 0.0, RANK, OFDM)
    assert found.gain_db == pytest.approx(-7.0, abs=1e-9)
    assert found.error == pytest.approx(0.01, rel=0.02)  # a delay can take some of it, to second order
    same = estimate_reciprocity(there, 0.0, apply_delay(0.3j * there, 1.7, OFDM), 0.0, RANK, OFDM)
    assert same.error < 1e-12
    assert same.quality == pytest.approx(1.0)
    assert found.quality == pytest.approx(math.sqrt(0.99), rel=1e-3)


def test_200_ways_back_are_told_as_stated(rng):
    gains, stds, held = [], [], 0
    for _ in range(200):
        error, gain_db = 10 ** rng.uniform(-4, -1), rng.uniform(-10, 10)
        variance = 10 ** rng.uniform(-4, -2.5)
        power_back = 10 ** (gain_db / 10)
        there, back = sounded(rng, error, gain_db, variance, 2.0 * variance * power_back)
        found = estimate_reciprocity(there, variance, back, 2.0 * variance * power_back, RANK, OFDM)
        gains.append(found.gain_db - gain_db)
        stds.append(found.gain_std_db)
        held += found.error_interval[0] <= error <= found.error_interval[1]
    assert_honest(gains, stds)
    assert binom.ppf(0.0005, 200, 0.95) <= held <= binom.ppf(0.9995, 200, 0.95)


def test_of_reciprocal_channels_few_seem_not_to_be(rng):
    wrong, bounds = 0, []
    for _ in range(200):
        there, back = sounded(rng, 0.0, 3.0, 1e-3, 2e-3)
        low, high = estimate_reciprocity(there, 1e-3, back, 2e-3, RANK, OFDM).error_interval
        wrong += low > 0.0
        bounds.append(high)
    assert wrong <= binom.ppf(0.9995, 200, 0.025)
    assert np.median(bounds) < 2e-3  # the power of both errors over that of the response back


def test_responses_that_cannot_be_compared():
    flat = np.ones(48, complex)
    with pytest.raises(ValueError, match=r"back must have shape \(48,\), got \(47,\)"):
        estimate_reciprocity(flat, 0.1, flat[1:], 0.1, RANK, OFDM)
    with pytest.raises(ValueError, match="leave out devices that were not heard"):
        estimate_reciprocity(flat, 0.1, 0.0 * flat, 0.1, RANK, OFDM)
