import numpy as np
import pytest

from calibration.power import estimate_noise, estimate_noise_beside, estimate_repeated_power


def white(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


def repeated(rng, count, period, snr):
    body = np.exp(2j * np.pi * rng.random(period))
    return np.tile(body, count // period + 1)[:count] * np.sqrt(snr)


def test_silence_has_its_power_with_the_stated_deviation(rng):
    found = [estimate_noise(np.sqrt(0.3) * white(rng, 400)) for _ in range(400)]
    variances = [estimate.variance for estimate in found]
    assert np.mean(variances) == pytest.approx(0.3, rel=0.01)  # 5 % a trial, 400 trials: 0.25 %
    assert np.std(variances) == pytest.approx(0.3 / 20, rel=0.15)
    assert found[0].std == pytest.approx(0.3 / 20, rel=0.2)


def test_a_fit_takes_its_parameters_worth_of_noise(rng):
    model = white(rng, 60, 20)
    received = np.stack([white(rng, 60) for _ in range(300)], axis=1)
    fitted = model @ np.linalg.lstsq(model, received, rcond=None)[0]
    estimate = estimate_noise_beside(received, fitted, 20 * 300)
    assert estimate.variance == pytest.approx(1.0, rel=0.04)  # 12,000 free values: 0.9 %
    with pytest.raises(ValueError, match="60 parameters explain any 60 values; observe more"):
        estimate_noise_beside(received[:, 0], fitted[:, 0], 60)


@pytest.mark.parametrize(("snr", "count"), [(1.0, 512), (1.0, 576), (100.0, 576)])
def test_a_repetition_gives_snr_and_phase_with_the_stated_deviations(rng, snr, count):
    found = []
    for _ in range(400):
        samples = repeated(rng, count, 256, snr) * np.exp(2j * np.pi * 1e-3 * np.arange(count))
        found.append(estimate_repeated_power(samples + white(rng, count), 256))
    snrs, phases = [e.snr for e in found], [e.phase_rad for e in found]
    # 400 trials: mean to a twentieth of the deviation, deviation to 3.5 %; SNR, a ratio, is skewed
    assert np.mean(snrs) == pytest.approx(snr, rel=0.03)
    assert np.std(snrs) == pytest.approx(np.mean([e.snr_std for e in found]), rel=0.2)
    assert np.mean(phases) == pytest.approx(2 * np.pi * 0.256, abs=0.02)
    assert np.std(phases) == pytest.approx(np.mean([e.phase_std_rad for e in found]), rel=0.15)
    assert np.mean([e.quality for e in found]) == pytest.approx(snr / (1 + snr), rel=0.02)


def test_a_repetition_without_noise_is_all_signal(rng):
    clean = repeated(rng, 512, 256, 4.0)
    estimate = estimate_repeated_power(clean, 256)
    assert estimate.signal_power == pytest.approx(4.0)
    assert estimate.noise_variance == pytest.approx(0.0, abs=1e-12)
    silent = estimate_repeated_power(np.zeros(512, np.complex64), 256)
    assert (silent.snr, silent.quality) == (0.0, 0.0)


def test_too_little_to_measure_is_refused():
    with pytest.raises(ValueError, match="no samples to measure noise with"):
        estimate_noise(np.zeros(0, np.complex64))
    with pytest.raises(ValueError, match=r"period must be in \[1, 98\] for 100 samples, got 100"):
        estimate_repeated_power(np.ones(100, np.complex64), 100)
