import numpy as np
import pytest
import scipy.stats

from calibration.acquisition import Detector, detect, explained_share
from radio.ofdm import OfdmConfig
from radio.preamble import preamble

OFDM = OfdmConfig()
RATE = OFDM.sample_rate_hz
MAX_CFO_HZ = 20e-6 * 2.45e9


def noise(rng, *shape):
    return ((rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)).astype(np.complex64)


def unit_preamble():
    burst = preamble(OFDM)
    return (burst / np.sqrt(np.mean(np.abs(burst) ** 2))).astype(np.complex64)


def detector(**changes):
    settings = {"reference": unit_preamble(), "sample_rate_hz": RATE, "max_cfo_hz": MAX_CFO_HZ} | changes
    return Detector(**settings)


def test_bursts_at_minus_3_db_are_found_at_any_carrier_delay_and_phase(rng):
    search, length = detector(), len(unit_preamble())
    for trial in range(300):
        start, cfo_hz = int(rng.integers(0, 1000)), rng.uniform(-MAX_CFO_HZ, MAX_CFO_HZ)
        turns = np.exp(2j * np.pi * (cfo_hz / RATE * np.arange(length) + rng.random()))
        samples = noise(rng, 1600)
        samples[start : start + length] += np.float32(10 ** (-3 / 20)) * (unit_preamble() * turns)
        found = detect(samples, search)
        assert found.detected, trial
        assert found.start_index == start, trial
        assert abs(found.cfo_hz - cfo_hz) <= RATE / length, trial


def test_noise_explains_a_share_with_the_law_that_the_threshold_assumes(rng):
    # one carrier: the share is Beta(1, n - 1), mean 1 / n; every n-th start has fresh noise
    single = detector(max_cfo_hz=0.0, false_alarm=0.01)
    length = len(single.reference)
    shares = explained_share(noise(rng, 400, length + 9), single)[:, 0]
    assert scipy.stats.kstest(shares, scipy.stats.beta(1, length - 1).cdf).pvalue > 0.001
    assert single.threshold == pytest.approx(scipy.stats.beta.isf(0.01, 1, length - 1), rel=1e-9)


def test_false_alarms_are_as_frequent_as_stated_whatever_the_noise_power(rng):
    stated, search = 1e-3, detector(false_alarm=1e-3)
    share = explained_share(np.float32(37.0) * noise(rng, 20, 8192), search)
    rate = np.mean(share > search.threshold)
    # 150,000 starts, about a hundred independent passes: 10 %, three times; the union bound errs by a tenth or so
    assert 0.55 * stated < rate < 1.3 * stated


def test_fast_correlation_is_the_plain_sum(rng):
    search = detector(max_cfo_hz=8e3)
    samples, length = noise(rng, 700), len(search.reference)
    plain = []
    for start in range(700 - length + 1):
        window = samples[start : start + length]
        turned = search.reference * np.exp(
            2j * np.pi * np.outer(search.carriers_hz / RATE, np.arange(length))
        )
        energies = np.linalg.norm(window) ** 2 * np.linalg.norm(search.reference) ** 2
        plain.append(np.max(np.abs(turned.conj() @ window) ** 2) / energies)
    np.testing.assert_allclose(explained_share(samples, search), plain, rtol=1e-3, atol=1e-6)  # complex64


def test_a_long_capture_is_searched_as_its_parts_are(rng):
    search, samples = detector(max_cfo_hz=8e3), noise(rng, 20_000)
    whole = explained_share(samples, search)
    for first in (0, 7_000, 15_000):
        part = explained_share(samples[first : first + 2_000], search)
        np.testing.assert_allclose(whole[first : first + len(part)], part, rtol=1e-3, atol=1e-6)


def test_carriers_cover_the_range_at_most_half_a_cycle_apart():
    search = detector()
    spacing = np.diff(search.carriers_hz).max()
    assert spacing <= RATE / (2 * len(search.reference)) * (1 + 1e-9)
    assert search.carriers_hz[-1] + spacing / 2 == pytest.approx(MAX_CFO_HZ)
    assert list(detector(max_cfo_hz=0.0).carriers_hz) == [0.0]


def test_silence_around_a_burst_is_not_a_burst():
    samples = np.zeros(4000, np.complex64)
    samples[1500:2076] = unit_preamble()
    found = detect(samples, detector())
    assert (found.detected, found.start_index) == (True, 1500)
    # between carriers of the grid sinc^2(1 / 4) = 0.81 of the energy is left
    assert 0.8 < found.quality <= 1.0
    assert not detect(np.zeros(1000, np.complex64), detector()).detected


def test_what_cannot_be_searched_is_refused():
    with pytest.raises(ValueError, match=r"false_alarm must be in \(0, 1\), got 0"):
        detector(false_alarm=0.0)
    with pytest.raises(
        ValueError, match=r"max_cfo_hz must be in \[0, 2e\+06\) \(half the rate\), got 2e\+06"
    ):
        detector(max_cfo_hz=2e6)
    with pytest.raises(ValueError, match="10 samples are fewer than the preamble's 576"):
        explained_share(np.zeros(10, np.complex64), detector())
