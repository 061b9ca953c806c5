import numpy as np
import pytest

from calibration.timing import correlation_energy, estimate_timing
from radio.ofdm import OfdmConfig
from radio.preamble import preamble

OFDM = OfdmConfig()


def noise(rng, count, variance=1.0):
    return (np.sqrt(variance / 2) * (rng.normal(size=count) + 1j * rng.normal(size=count))).astype(
        np.complex64
    )


def test_a_clean_burst_is_found_at_its_sample_with_quality_one():
    reference = preamble(OFDM)
    samples = np.zeros(3000, np.complex64)
    samples[777 : 777 + len(reference)] = (0.2 - 0.1j) * reference
    found = estimate_timing(samples, [reference])
    assert (found.start_index, found.detected) == (777, True)
    assert found.quality == pytest.approx(1.0, abs=1e-4)


def test_superposed_preambles_with_random_phases_are_found_in_noise(rng):
    references = [preamble(OFDM, identity) for identity in range(1, 11)]
    for trial in range(40):
        gains = np.exp(2j * np.pi * rng.random(10))
        start = int(rng.integers(0, 2000))
        samples = noise(rng, 2000 + len(references[0]), variance=0.75)  # 0 dB per device and subcarrier
        samples[start : start + len(references[0])] += sum(
            g * r for g, r in zip(gains, references, strict=True)
        )
        found = estimate_timing(samples, references)
        assert found.detected, trial
        assert found.start_index == start, trial


def test_opposite_phases_of_two_devices_cannot_hide_the_burst():
    references = [preamble(OFDM, 1), preamble(OFDM, 2)]
    samples = np.zeros(2000, np.complex64)
    samples[100 : 100 + len(references[0])] = references[0] - references[1]
    assert estimate_timing(samples, references).start_index == 100


def test_noise_alone_passes_as_seldom_as_stated(rng):
    # 200 searches of 1,500 positions at 5 %: at most 18 pass with probability 0.99 (binomial); the union bound and
    # the correlation between neighbouring positions make it fewer
    reference = preamble(OfdmConfig(fft_len=64, prefix_len=16, num_active=48))
    passed = sum(
        estimate_timing(noise(rng, 1500 + len(reference)), [reference], 0.05).detected for _ in range(200)
    )
    assert 0 < passed <= 18


def test_in_noise_each_reference_explains_a_unit_exponential(rng):
    references = [preamble(OFDM, identity) for identity in (1, 2, 3)]
    energy = correlation_energy(noise(rng, 60_000, variance=7.0), references)
    assert energy.mean() == pytest.approx(3.0, rel=0.1)
    assert energy.var() == pytest.approx(3.0, rel=0.3)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="10 samples are fewer than the preamble's 576"):
        estimate_timing(np.zeros(10, np.complex64), [preamble(OFDM)])
