import numpy as np
import pytest

from radio.impairments import Impairments
from sim_backend.front_end import draw_front_end

RATE_HZ = 4e6


def front_end(noise_variance=0.0, power=0.01, seed=3, receiver=-1, **impairments):
    return draw_front_end(Impairments(**impairments), seed, receiver, RATE_HZ, noise_variance, power)


def silence(count):
    return np.zeros(count, np.complex64)


def test_by_default_a_receiver_is_the_identity(rng):
    samples = rng.normal(size=(500, 2)).astype(np.float32).view(np.complex64).ravel()
    heard, num_saturated = front_end().receive(samples, 77)
    np.testing.assert_array_equal(heard, samples)
    assert num_saturated == 0


def test_everything_a_receiver_adds_belongs_to_an_instant():
    receiver = front_end(
        0.02,
        interferer_db=-10.0,
        impulse_rate_hz=5e4,
        rx_image_db=-30.0,
        rx_dc_db=-20.0,
        adc_bits=10,
        adc_full_scale_db=30.0,
    )
    whole, _ = receiver.receive(silence(60_000), 100_000)
    part, _ = receiver.receive(silence(7_000), 131_000)
    np.testing.assert_array_equal(part, whole[31_000:38_000])


def test_noise_has_its_variance_and_every_receiver_its_own():
    noises = [front_end(0.02, receiver=receiver).noise(5, 100_000) for receiver in (-1, -2, 0, 1)]
    noises.append(front_end(0.02, seed=4).noise(5, 100_000))
    for noise in noises:
        assert np.mean(np.abs(noise) ** 2) == pytest.approx(0.02, rel=0.02)
    overlaps = np.abs(np.array(noises) @ np.array(noises).conj().T) / (0.02 * 100_000) - np.eye(5)
    assert overlaps.max() < 0.03


def test_an_interferer_has_its_power_and_its_width():
    heard, _ = front_end(interferer_db=-10.0, interferer_fraction=0.01).receive(silence(1 << 17), 0)
    assert np.mean(np.abs(heard) ** 2) == pytest.approx(0.001, rel=0.02)
    spectrum = np.abs(np.fft.fft(heard * np.hanning(len(heard)))) ** 2
    most = np.sort(spectrum)[::-1]
    assert most[: round(0.011 * len(heard))].sum() > 0.999 * most.sum()
    occupied = np.flatnonzero(spectrum > 1e-4 * spectrum.max())
    assert occupied.max() - occupied.min() == pytest.approx(0.01 * len(heard), rel=0.1)


def test_impulses_come_at_their_rate_with_their_power():
    heard, _ = front_end(impulse_rate_hz=2e4, impulse_db=20.0).receive(silence(2_000_000), 0)
    hits = heard[heard != 0]
    assert len(hits) == pytest.approx(1e4, rel=0.05)
    assert np.mean(np.abs(hits) ** 2) == pytest.approx(1.0, rel=0.05)


def test_image_and_offset_are_as_deep_as_stated():
    tone = np.exp(2j * np.pi * 0.1 * np.arange(1000)).astype(np.complex64)
    heard, _ = front_end(rx_image_db=-40.0, rx_dc_db=-46.0).receive(tone, 0)
    spectrum = 20 * np.log10(np.abs(np.fft.fft(heard)) / 1000 + 1e-12)
    assert spectrum[-100] == pytest.approx(-40.0, abs=0.01)
    assert spectrum[0] == pytest.approx(-46.0, abs=0.01)


def test_what_a_converter_cannot_represent_is_counted():
    samples = np.array([0.5, 2.1, 1 - 3j, -1.9j], np.complex64)
    heard, num_saturated = front_end(adc_bits=8, adc_full_scale_db=20 * np.log10(2)).receive(samples, 0)
    assert num_saturated == 2
    np.testing.assert_allclose(heard, [0.5, 2.0, 1 - 2j, -1.9j], atol=0.01)
    assert front_end(adc_bits=8).receive(samples, 0)[1] == 0
