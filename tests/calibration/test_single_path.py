import math

import numpy as np
import pytest

from calibration.acquisition import Detector, detect
from calibration.bounds import channel_bound, fisher_information, path_bounds, path_model
from calibration.delay import apply_delay, estimate_delay, estimate_mean_delay, remove_delay
from calibration.single_path import estimate_path
from radio.ofdm import OfdmConfig
from radio.preamble import preamble

OFDM = OfdmConfig()
RATE = OFDM.sample_rate_hz
MARGIN = 32


def white(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


def unit_preamble():
    burst = preamble(OFDM)
    return (burst / np.sqrt(np.mean(np.abs(burst) ** 2))).astype(np.complex64)


def by_the_sampling_theorem(reference, num_samples, delay, cfo_hz):
    """sum_m reference[m] sinc(n - m - delay), turned with phase 0 at the window's centre."""
    kernel = np.sinc(np.arange(1 - len(reference), num_samples) - delay)
    turns = np.exp(2j * np.pi * cfo_hz / RATE * (np.arange(num_samples) - (num_samples - 1) / 2))
    return np.convolve(kernel, reference, mode="valid") * turns


def test_without_noise_the_path_is_returned():
    reference = unit_preamble()
    received = (0.2 - 0.1j) * by_the_sampling_theorem(
        reference, len(reference) + 2 * MARGIN, MARGIN + 0.37, 812.0
    )
    path = estimate_path(received.astype(np.complex64), reference, RATE, MARGIN, 0.0)
    # the model's tails wrap around, the sampling theorem's do not: an amplitude of 1e-3 of one sample in 576
    assert path.delay_samples == pytest.approx(MARGIN + 0.37, abs=1e-4)
    assert path.cfo_hz == pytest.approx(812.0, abs=0.5)
    assert path.gain == pytest.approx(0.2 - 0.1j, abs=1e-5)
    assert path.quality == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("snr_db", [0, 10, 20, 30])
def test_path_is_within_a_decibel_of_the_joint_bound(rng, snr_db):
    reference, variance = unit_preamble(), 10 ** (-snr_db / 10)
    num_samples, errors, predicted = len(reference) + 2 * MARGIN, [], []
    for _ in range(300):
        delay, cfo_hz = MARGIN + rng.uniform(-0.5, 0.5), rng.uniform(-2e3, 2e3)
        gain = np.exp(2j * np.pi * rng.random())
        received = gain * by_the_sampling_theorem(reference, num_samples, delay, cfo_hz)
        received += math.sqrt(variance) * white(rng, num_samples)
        path = estimate_path(received.astype(np.complex64), reference, RATE, MARGIN, 0.0)
        errors.append((path.cfo_hz - cfo_hz, path.delay_samples - delay, abs(path.gain - gain)))
        predicted.append((path.cfo_std_hz, path.delay_std_samples, path.gain_std))
        assert path.noise_variance == pytest.approx(variance, rel=0.25)  # 4 % of deviation, six of them
    bounds = path_bounds(reference, num_samples, RATE, variance)
    limits = bounds.cfo_std_hz, bounds.delay_std_samples, bounds.gain_std
    # 300 trials: 4 % of statistics, four times; 1 dB is 12 %
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(errors), axis=0)), limits, rtol=0.16)
    np.testing.assert_allclose(np.mean(predicted, axis=0), limits, rtol=0.02)


def test_the_model_is_the_sampling_theorem_and_its_derivatives_are_differences():
    reference, point, step = unit_preamble(), np.array([1e-4, MARGIN + 0.3]), 1e-6
    num_samples = len(reference) + 2 * MARGIN
    gain = 0.8 - 0.3j

    def mean(cfo, delay, g):
        return path_model(reference, num_samples, delay, cfo, g)[0]

    value, jacobian = path_model(reference, num_samples, point[1], point[0], gain)
    expected = gain * by_the_sampling_theorem(reference, num_samples, point[1], point[0] * RATE)
    np.testing.assert_allclose(value, expected, atol=5e-3)  # where the wrapped tail is largest
    differences = [
        (mean(point[0] + step, point[1], gain) - mean(point[0] - step, point[1], gain)) / (2 * step),
        (mean(point[0], point[1] + step, gain) - mean(point[0], point[1] - step, gain)) / (2 * step),
        mean(point[0], point[1], 1.0),
        mean(point[0], point[1], 1j),
    ]
    for column, difference in zip(jacobian.T, differences, strict=True):
        np.testing.assert_allclose(column, difference, atol=2e-4 * np.abs(difference).max())


def test_bounds_are_the_closed_forms_where_there_are_some():
    # A long flat burst: offset as of a tone (Rife and Boorstyn 1974), gain variance sigma^2 / n per complex value.
    count, variance = 576, 0.5
    reference = unit_preamble()
    bounds = path_bounds(reference, count + 2 * MARGIN, RATE, variance)
    tone_hz = math.sqrt(6 * variance / (count * (count**2 - 1))) / (2 * math.pi) * RATE
    assert bounds.cfo_std_hz == pytest.approx(tone_hz, rel=0.05)  # the envelope is not quite flat
    assert bounds.gain_std == pytest.approx(math.sqrt(variance / count), rel=0.02)
    # Delay of a spectrum that is flat over 0.75 of the band: variance sigma^2 / (2 n (2 pi)^2 0.75^2 / 12)
    delay = math.sqrt(variance / (2 * count * (2 * math.pi) ** 2 * 0.75**2 / 12))
    assert bounds.delay_std_samples == pytest.approx(delay, rel=0.05)  # edges of a burst are wider


def test_fisher_information_of_a_mean_is_that_of_the_average():
    # n looks at one real number in circular noise: variance sigma^2 / (2 n)
    np.testing.assert_allclose(fisher_information(np.ones((50, 1), complex), 0.3), [[2 * 50 / 0.3]])


def test_channel_bound_is_a_projector_and_least_squares_meets_it(rng):
    bound = channel_bound(OFDM, 32, 4, 0.5)
    assert bound.mean() == pytest.approx(0.5 * 32 / 192, rel=1e-9)  # trace of a projector is its rank
    np.testing.assert_allclose(channel_bound(OFDM, OFDM.num_active, 0, 0.5), 0.5, rtol=1e-9)
    np.testing.assert_allclose(channel_bound(OFDM, 1, 0, 0.5), 0.5 / 192, rtol=1e-9)
    taps = np.exp(-2j * np.pi * np.outer(OFDM.active_bins, np.arange(8)) / OFDM.fft_len)
    noise = white(rng, 192, 4000)
    fitted = taps @ np.linalg.lstsq(taps, noise, rcond=None)[0]
    # 4,000 squared errors of exponential law: 1.6 % of deviation each, and the largest of 192
    np.testing.assert_allclose(
        np.mean(np.abs(fitted) ** 2, axis=1), channel_bound(OFDM, 8, 0, 1.0), rtol=0.08
    )
    with pytest.raises(ValueError, match=r"num_taps must be in \[1, 192\] \(num_active\), got 193"):
        channel_bound(OFDM, 193, 0, 1.0)


def test_delay_on_subcarriers_is_undone_and_found_to_its_bound(rng):
    flat = 0.7j * np.ones(192)
    shifted = apply_delay(flat, 5.31, OFDM)
    np.testing.assert_allclose(remove_delay(shifted, 5.31, OFDM), flat, atol=1e-12)
    exact = estimate_delay(shifted, 0.0, OFDM)
    assert exact.delay_samples == pytest.approx(5.31, abs=1e-9)
    assert (exact.quality, exact.std_samples) == (pytest.approx(1.0), 0.0)
    found = []
    for _ in range(300):
        found.append(estimate_delay(apply_delay(flat, -3.2, OFDM) + 0.5 * white(rng, 192), 0.25, OFDM))
    bins = np.r_[-96:0, 1:97]
    bound = math.sqrt(0.25 / (2 * 0.49 * np.sum(bins**2))) / (2 * math.pi) * 256
    errors = [estimate.delay_samples + 3.2 for estimate in found]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(bound, rel=0.17)  # 4 % statistics, four times
    assert np.mean([estimate.std_samples for estimate in found]) == pytest.approx(bound, rel=0.03)


def test_silence_is_refused():
    with pytest.raises(ValueError, match="all 640 samples are zero"):
        estimate_path(np.zeros(640, np.complex64), unit_preamble(), RATE, MARGIN, 0.0)


def test_from_first_contact_to_a_hundredth_of_a_sample(rng):
    reference = unit_preamble()
    detector = Detector(reference=reference, sample_rate_hz=RATE, max_cfo_hz=49e3)
    received = by_the_sampling_theorem(reference, 2000, 700.25, -41_234.0) + 0.1 * white(rng, 2000)
    received = received.astype(np.complex64)
    found = detect(received, detector)
    first = found.start_index - MARGIN
    window = received[first : first + len(reference) + 2 * MARGIN]
    path = estimate_path(window, reference, RATE, MARGIN, found.cfo_hz)
    assert first + path.delay_samples == pytest.approx(700.25, abs=5 * path.delay_std_samples)
    assert path.cfo_hz == pytest.approx(-41_234.0, abs=5 * path.cfo_std_hz)


def test_the_mean_delay_is_that_of_the_power():
    lone = apply_delay(np.full((2, 192), 0.5j), 7.3, OFDM)
    np.testing.assert_allclose(estimate_mean_delay(lone, OFDM), 7.3, atol=1e-9)
    flat = np.ones(192, complex)
    paths = [apply_delay(flat, delay, OFDM) for delay in (-4.0, 12.0)]
    # whole delays are orthogonal over all 256 subcarriers and nearly so over 192; angles add as powers do when small
    assert estimate_mean_delay(np.sqrt(0.75) * paths[0] + 0.5j * paths[1], OFDM) == pytest.approx(
        0.0, abs=0.3
    )
