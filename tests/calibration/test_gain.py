import math

import numpy as np
import pytest

from calibration.channel import tap_subspace
from calibration.gain import amplitude_std_db, estimate_gain, estimate_snr
from calibration.power import NoiseEstimate, estimate_noise
from radio.ofdm import OfdmConfig
from tests.calibration.honesty import assert_honest, white

OFDM = OfdmConfig()
NUM_TAPS = 32


def draw_channel(rng):
    """Four whole taps, so that the fit's taps hold all of it."""
    taps, delays = white(rng, 4), rng.choice(NUM_TAPS, 4, replace=False)
    return 0.3 * np.exp(-2j * np.pi * np.outer(OFDM.active_bins, delays) / OFDM.fft_len) @ taps


@pytest.mark.parametrize("fitted", [False, True])
def test_gains_have_honest_intervals_as_observed_and_as_fitted(rng, fitted):
    basis = tap_subspace(OFDM, NUM_TAPS, 0) if fitted else None
    powers, magnitudes = [], []
    for _ in range(200):
        channel = draw_channel(rng)
        variance = np.mean(np.abs(channel) ** 2) * 10 ** (-rng.uniform(10.0, 30.0) / 10)
        seen = channel + math.sqrt(variance) * white(rng, OFDM.num_active)
        if basis is not None:
            seen = basis @ (basis.conj().T @ seen)
        noise = estimate_noise(math.sqrt(variance) * white(rng, 2000))
        found = estimate_gain(seen, noise, basis)
        powers.append((found.power - np.mean(np.abs(channel) ** 2), found.power_std))
        magnitudes.append((found.magnitude - np.mean(np.abs(channel)), found.magnitude_std))
        assert found.gain_db == pytest.approx(10 * math.log10(np.mean(np.abs(channel) ** 2)), abs=1.0)
    errors, stds = (np.array(values) for values in zip(*powers, strict=True))
    assert_honest(errors / stds, np.ones(200))  # of settings with very different stds
    errors, stds = (np.array(values) for values in zip(*magnitudes, strict=True))
    assert_honest(errors / stds, np.ones(200))


def test_silence_is_no_gain(rng):
    found = [estimate_gain(white(rng, 192), NoiseEstimate(1.0, 0.01)) for _ in range(200)]
    assert_honest([gain.power for gain in found], [gain.power_std for gain in found])
    assert np.mean([gain.quality for gain in found]) < 0.1


def test_snr_is_within_half_a_decibel_and_its_interval_covers(rng):
    inside, errors, stds = 0, [], []
    for _ in range(200):
        snr_db = rng.uniform(0.0, 30.0)
        received = 10 ** (snr_db / 20) * np.exp(2j * np.pi * rng.random(400)) + white(rng, 400)
        noise = estimate_noise(white(rng, 2000))
        power = np.mean(np.abs(received) ** 2) - noise.variance
        power_std = math.sqrt((2 * power * noise.variance + noise.variance**2) / 400)
        found = estimate_snr(power, math.hypot(power_std, noise.std), noise)
        inside += found.low_db <= snr_db <= found.high_db
        errors.append(found.snr_db - snr_db)
        stds.append(found.snr_std_db)
    assert 179 <= inside <= 198
    assert_honest(errors, stds)
    assert np.sqrt(np.mean(np.square(errors))) < 0.5


def test_an_interval_says_when_there_may_be_no_signal_and_when_noise_is_unknown():
    nothing = estimate_snr(-0.01, 0.1, NoiseEstimate(1.0, 0.01))
    assert nothing.snr_db == -math.inf
    assert nothing.snr_std_db == math.inf
    assert nothing.low_db == -math.inf
    assert nothing.high_db == pytest.approx(10 * math.log10(1.96 * 0.1 - 0.01), abs=0.1)
    assert nothing.quality == pytest.approx(0.46, abs=0.005)  # Phi(-0.1)
    weak = estimate_snr(0.1, 0.1, NoiseEstimate(1.0, 0.01))
    assert weak.low_db == -math.inf
    assert estimate_snr(1.0, 0.01, NoiseEstimate(0.1, 0.06)).high_db == math.inf


def test_ends_of_the_interval_lie_1_96_deviations_away():
    noise = NoiseEstimate(0.02, 0.001)
    found = estimate_snr(1.0, 0.1, noise)
    for end_db in (found.low_db, found.high_db):
        ratio = 10 ** (end_db / 10)
        assert abs(1.0 - ratio * 0.02) == pytest.approx(1.96 * math.hypot(0.1, ratio * 0.001))
    assert found.snr_db == pytest.approx(10 * math.log10(50))
    assert found.low_db < found.snr_db < found.high_db


def test_a_relative_error_of_an_amplitude_is_8_686_db_times_it(rng):
    assert amplitude_std_db(0.03j, 0.0003) == pytest.approx(0.08686, rel=1e-4)
    assert amplitude_std_db(0.0, 0.1) == math.inf
    levels = 20 * np.log10(np.abs(0.03 + 0.0003 * math.sqrt(2) * white(rng, 20_000)))
    assert np.std(levels) == pytest.approx(amplitude_std_db(0.03, 0.0003), rel=0.03)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="the basis has 192 subcarriers, the response 100"):
        estimate_gain(np.ones(100, complex), NoiseEstimate(0.1, 0.01), tap_subspace(OFDM, NUM_TAPS, 0))
    with pytest.raises(ValueError, match=r"noise and both stds must be above 0, got 0, 0 and 0\.1"):
        estimate_snr(1.0, 0.1, NoiseEstimate(0.0, 0.0))
