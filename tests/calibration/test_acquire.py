import numpy as np
import pytest

from calibration.acquire import acquire
from radio.ofdm import OfdmConfig
from radio.preamble import preamble
from tests.reference.clock import receive

OFDM = OfdmConfig()
RATE_HZ = OFDM.sample_rate_hz
REFERENCE = preamble(OFDM, 3)


def heard(rng, snr_db, delay, cfo_hz, count=1600):
    signal = receive((REFERENCE, 0), np.arange(count), delay=delay, cfo_hz=cfo_hz, sample_rate_hz=RATE_HZ)
    signal *= np.exp(2j * np.pi * rng.random())
    variance = np.mean(np.abs(REFERENCE) ** 2) * 10 ** (-snr_db / 10)
    noise = rng.normal(size=(2, count)) * np.sqrt(variance / 2)
    return (signal + noise[0] + 1j * noise[1]).astype(np.complex64)


@pytest.mark.parametrize("cfo_hz", [-18_300.0, -7_813.0, 0.0, 12.0, 9_150.0, 18_299.0])
@pytest.mark.parametrize("delay", [300.0, 411.3])
def test_a_clean_preamble_is_found_to_a_fraction_of_a_sample_and_a_few_hertz(delay, cfo_hz, rng):
    found = acquire(heard(rng, 40.0, delay, cfo_hz), REFERENCE, RATE_HZ, 18_300.0)
    assert found.detected
    assert found.start == pytest.approx(delay, abs=0.15)  # a parabola is not quite the correlation's peak
    assert found.cfo_hz == pytest.approx(cfo_hz, abs=10.0)
    assert found.quality > 0.75  # what half a sample and the step between offsets tried may cost


def test_its_frequency_error_is_near_the_cramer_rao_bound(rng):
    errors = []
    for _ in range(150):
        cfo_hz = rng.uniform(-9_000, 9_000)
        errors.append(
            acquire(heard(rng, 5.0, 200.0, cfo_hz, 1000), REFERENCE, RATE_HZ, 9_150.0).cfo_hz - cfo_hz
        )
    # joint bound of frequency, phase and amplitude of a known sequence of N samples: 6 / (SNR N^3), in radians a sample
    bound_hz = np.sqrt(6 / (10**0.5 * len(REFERENCE) ** 3)) * RATE_HZ / (2 * np.pi)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(bound_hz, rel=0.25)


def test_at_minus_three_db_per_sample_it_is_found_at_any_offset(rng):
    starts, hits = rng.integers(0, 900, size=120), 0
    for start in starts:
        found = acquire(
            heard(rng, -3.0, float(start), rng.uniform(-49_000, 49_000)), REFERENCE, RATE_HZ, 49_000.0
        )
        hits += found.detected and abs(found.start - start) < 1.5
    assert hits == len(starts)


def test_noise_alone_is_not_a_device(rng):
    noise = (rng.normal(size=1600) + 1j * rng.normal(size=1600)).astype(np.complex64)
    assert not any(
        acquire(np.roll(noise, shift), REFERENCE, RATE_HZ, 18_300.0).detected for shift in range(0, 1600, 100)
    )


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="10 samples are fewer than the preamble's 576"):
        acquire(np.zeros(10, np.complex64), REFERENCE, RATE_HZ, 1.0)
