import math

import numpy as np
import pytest

from calibration.frequency import (
    CfoEstimate,
    apply_cfo,
    cfo_from_sro_ppm,
    estimate_cfo_coarse,
    estimate_cfo_fine,
    estimate_cfo_two_part,
    remove_cfo,
    sro_ppm_from_cfo,
)
from radio.ofdm import OfdmConfig
from radio.preamble import preamble

OFDM = OfdmConfig()
RATE = OFDM.sample_rate_hz
MAX_CFO_HZ = 20e-6 * 2.45e9


def white(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


def tone_bound_hz(count, snr):
    """Rife and Boorstyn (1974): a tone of unknown phase and magnitude in `count` samples."""
    return math.sqrt(6 / (snr * count * (count**2 - 1))) / (2 * math.pi) * RATE


def test_applying_and_removing_are_inverse(rng):
    samples = white(rng, 500).astype(np.complex64)
    turned = apply_cfo(samples, 1234.5, RATE, 10**9)
    np.testing.assert_allclose(remove_cfo(turned, 1234.5, RATE, 10**9), samples, atol=1e-6)
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(samples), rel=1e-6)


def test_an_offset_turns_a_whole_cycle_in_its_period():
    np.testing.assert_allclose(
        apply_cfo(np.ones(5, np.complex64), RATE / 4, RATE), [1, 1j, -1, -1j, 1], atol=1e-7
    )


def test_one_crystal_means_that_ppm_are_ppm():
    assert sro_ppm_from_cfo(18_300.0, 915e6) == pytest.approx(20.0)
    assert cfo_from_sro_ppm(sro_ppm_from_cfo(321.0, 2.45e9), 2.45e9) == pytest.approx(321.0)


@pytest.mark.parametrize("cfo_hz", [-49_000.0, -7_812.5, 0.0, 3.3, 23_456.7, 49_000.0])
def test_without_noise_the_offset_is_returned_anywhere_in_range(cfo_hz):
    reference = preamble(OFDM)
    samples = apply_cfo(0.3j * reference, cfo_hz, RATE)
    coarse = estimate_cfo_coarse(samples, reference, OFDM.fft_len, RATE, MAX_CFO_HZ)
    fine = estimate_cfo_fine(samples, reference, RATE, 200.0, coarse.cfo_hz)
    assert coarse.cfo_hz == pytest.approx(cfo_hz, abs=0.05)  # complex64
    assert fine.cfo_hz == pytest.approx(cfo_hz, abs=0.05)
    assert min(coarse.quality, fine.quality) > 0.9999


@pytest.mark.parametrize("snr_db", [0, 10, 30])
def test_fine_reaches_the_bound_of_a_tone(rng, snr_db):
    snr, count, trials = 10 ** (snr_db / 10), 512, 300
    reference = np.exp(2j * np.pi * rng.random(count)).astype(np.complex64)
    found, errors = [], []
    for _ in range(trials):
        cfo_hz = rng.uniform(-5e3, 5e3)
        clean = apply_cfo(np.exp(2j * np.pi * rng.random()) * reference, cfo_hz, RATE)
        found.append(estimate_cfo_fine(clean + white(rng, count) / math.sqrt(snr), reference, RATE, 6e3))
        errors.append(found[-1].cfo_hz - cfo_hz)
    bound_hz = tone_bound_hz(count, snr)
    # the rms of 300 Gaussian errors has a standard deviation of 1 / sqrt(600) = 4 %: four of them
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(bound_hz, rel=0.17)
    assert np.mean([estimate.std_hz for estimate in found]) == pytest.approx(bound_hz, rel=0.03)


@pytest.mark.parametrize("snr_db", [0, 20])
def test_coarse_has_the_deviation_that_it_predicts_also_behind_several_paths(rng, snr_db):
    reference, taps = preamble(OFDM), np.array([1.0, 0.0, 0.6j, -0.4])
    clean = np.convolve(reference, taps)[: len(reference)] / np.linalg.norm(taps)
    level = np.sqrt(np.mean(np.abs(clean) ** 2) / 10 ** (snr_db / 10))
    errors, predicted = [], []
    for _ in range(300):
        cfo_hz = rng.uniform(-MAX_CFO_HZ, MAX_CFO_HZ)
        received = apply_cfo(clean, cfo_hz, RATE) + level * white(rng, len(reference))
        estimate = estimate_cfo_coarse(received[3:], reference[3:], OFDM.fft_len, RATE, MAX_CFO_HZ)
        errors.append(estimate.cfo_hz - cfo_hz)
        predicted.append(estimate.std_hz)
    assert np.max(np.abs(errors)) < RATE / OFDM.fft_len / 2  # never a wrong turn
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.mean(predicted), rel=0.17)  # as above


def test_two_halves_of_a_millisecond_are_as_good_as_the_radio_facts_say(rng):
    # 2,000 samples at 0 dB in each part, 20 ms apart: 0.18 Hz (and 6.2 Hz from one contiguous millisecond)
    assert tone_bound_hz(4000, 1.0) == pytest.approx(6.2, abs=0.05)
    count, separation_s, errors = 200, 20e-3, []
    noise_variance = count / 2000
    for _ in range(300):
        cfo_hz = rng.uniform(-300, 300)
        channel = np.exp(2j * np.pi * rng.random(count))
        first = channel + math.sqrt(noise_variance) * white(rng, count)
        second = channel * np.exp(2j * np.pi * cfo_hz * separation_s)
        second += math.sqrt(noise_variance) * white(rng, count)
        coarse = CfoEstimate(cfo_hz + rng.normal() * 4.0, 4.0, 1.0)
        estimate = estimate_cfo_two_part(first, second, separation_s, noise_variance, coarse)
        errors.append(estimate.cfo_hz - cfo_hz)
        assert estimate.std_hz == pytest.approx(0.178, rel=0.2)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(0.178, rel=0.17)
    assert estimate.quality == pytest.approx(1.0, abs=1e-6)


def test_two_parts_say_how_often_the_turn_is_wrong(rng):
    # a coarse deviation of 17.4 Hz (half a millisecond at 0 dB) against +-25 Hz: right with erf(25 / 17.4 / sqrt 2)
    channel = np.ones(192, complex)
    right = 0
    for _ in range(600):
        coarse = CfoEstimate(17.4 * rng.normal(), 17.4, 1.0)
        estimate = estimate_cfo_two_part(channel, channel, 20e-3, 1e-9, coarse)
        right += abs(estimate.cfo_hz) < 1.0
    assert estimate.quality == pytest.approx(0.849, abs=0.001)  # normal table at 1.437 deviations
    assert right / 600 == pytest.approx(0.849, abs=0.05)  # binomial: 1.5 % deviation, three of them


def test_what_cannot_be_estimated_is_refused_or_marked():
    with pytest.raises(ValueError, match="equally long, got 5 and 6"):
        estimate_cfo_fine(np.ones(5, np.complex64), np.ones(6, np.complex64), RATE, 1e3)
    with pytest.raises(
        ValueError, match=r"max_cfo_hz must be in \(0, 2e\+06\) \(half the sample rate\), got 3e\+06"
    ):
        estimate_cfo_fine(np.ones(5, np.complex64), np.ones(5, np.complex64), RATE, 3e6)
    coarse = CfoEstimate(12.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="separation_s must be above 0, got 0"):
        estimate_cfo_two_part(np.ones(4, complex), np.ones(4, complex), 0.0, 0.1, coarse)
    silent = estimate_cfo_two_part(np.zeros(4, complex), np.ones(4, complex), 0.02, 0.1, coarse)
    assert (silent.cfo_hz, silent.quality) == (12.0, 0.0)
    assert estimate_cfo_fine(np.zeros(9, np.complex64), np.ones(9, np.complex64), RATE, 1e3).quality == 0.0
