import numpy as np
import pytest

from radio.impairments import Impairments
from sim_backend.transmitter import compress, draw_transmitter, mirror, quantise


@pytest.mark.parametrize("bits", [2, 8, 12])
@pytest.mark.parametrize("full_scale", [1.0, 10.0])
def test_a_quantiser_has_its_levels_and_its_noise(bits, full_scale, rng):
    samples = (full_scale * rng.uniform(-1, 1, size=(50_000, 2)) @ [1, 1j]).astype(np.complex64)
    got = quantise(samples, bits, full_scale)
    step = full_scale / (2 ** (bits - 1) - 1)
    levels = got.view(np.float32) / step
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    assert np.abs(got.view(np.float32)).max() == np.float32(full_scale)
    error = (got - samples).view(np.float32)
    assert np.abs(error).max() <= step / 2 * 1.001
    if bits > 2:  # a uniform error has variance step^2 / 12
        assert np.mean(error.astype(float) ** 2) == pytest.approx(step**2 / 12, rel=0.03)


def test_no_bits_are_no_steps(rng):
    samples = rng.normal(size=(50, 2)).astype(np.float32).view(np.complex64).ravel()
    np.testing.assert_array_equal(quantise(samples, 0), samples)


def test_an_image_lies_where_and_as_deep_as_stated():
    index = np.arange(1000)
    tone = np.exp(2j * np.pi * 0.1 * index).astype(np.complex64)
    transmitter = draw_transmitter(Impairments(image_db=-25.0, lo_leakage_db=-33.0), 1, 0)
    spectrum = 20 * np.log10(np.abs(np.fft.fft(transmitter.radiate(tone))) / 1000 + 1e-12)
    assert spectrum[100] == pytest.approx(0.0, abs=0.01)
    assert spectrum[-100] == pytest.approx(-25.0, abs=0.01)
    assert spectrum[0] == pytest.approx(-33.0, abs=0.01)
    assert np.sort(spectrum)[-4] < -100


def test_devices_have_images_of_their_own_phases():
    images = [draw_transmitter(Impairments(image_db=-40.0), 1, device).image for device in range(200)]
    assert abs(np.mean(images)) / 0.01 < 4 / np.sqrt(200)
    np.testing.assert_allclose(np.abs(images), 0.01)


@pytest.mark.parametrize("smoothness", [1.0, 3.0])
def test_rapps_curve_is_its_closed_form_and_keeps_phases(smoothness, rng):
    samples = (rng.uniform(0, 1, 100) * np.exp(2j * np.pi * rng.random(100))).astype(np.complex64)
    got = compress(samples, 0.5, smoothness)
    level = np.abs(samples.astype(complex))
    expected = (level ** -(2 * smoothness) + 0.5 ** -(2 * smoothness)) ** (
        -1 / (2 * smoothness)
    )  # the same, as a norm
    np.testing.assert_allclose(np.abs(got), expected, rtol=1e-5)
    np.testing.assert_allclose(np.angle(got / samples), 0.0, atol=1e-5)
    assert abs(compress(np.array([1e6], np.complex64), 0.5, smoothness)[0]) == pytest.approx(0.5)


def test_by_default_a_transmitter_is_the_identity(rng):
    samples = (0.3 * rng.normal(size=(50, 2))).astype(np.float32).view(np.complex64).ravel()
    np.testing.assert_array_equal(draw_transmitter(Impairments(), 0, 0).radiate(samples), samples)
    np.testing.assert_array_equal(mirror(samples, 0.0, 0.0), samples)
    np.testing.assert_array_equal(compress(samples, np.inf, 3.0), samples)
