"""A mixer behind an amplifier: to third order as theory has it, and back again."""

import numpy as np
import pytest

from calibration.mixer import Mixer, apply_compression, compressed_gain, remove_compression
from radio.decibel import from_db


def gaussian(rng, power, count=400_000):
    return (rng.normal(scale=np.sqrt(power / 2.0), size=(count, 2)) @ [1.0, 1j]).astype(np.complex64)


def test_a_weak_amplifier_takes_twice_as_much_of_an_image_as_of_the_signal():
    """Rapp with p = 1: u / sqrt(1 + |u|^2 / A^2), about u - |u|^2 u / (2 A^2). Of a Gaussian u of power s and
    E u^2 = 2 a s the linear part loses s / A^2, the image as much again: Price's theorem."""
    power = 0.002
    image = 0.06 - 0.03j
    seen = apply_compression(
        Mixer(image, 0j), gaussian(np.random.default_rng(1), power), saturation_db=0.0, smoothness=1.0
    )
    assert seen.image / image == pytest.approx((1.0 - 2.0 * power) / (1.0 - power), abs=3e-4)


def test_a_mixer_is_found_from_what_is_seen_of_it():
    sent = gaussian(np.random.default_rng(2), from_db(-15.0), 30_000)
    mixer = Mixer(0.05 + 0.08j, 0.01 - 0.02j)
    seen = apply_compression(mixer, sent, saturation_db=-11.0, smoothness=2.0)
    assert abs(seen.image) < 0.97 * abs(mixer.image)
    found = remove_compression(seen, sent, saturation_db=-11.0, smoothness=2.0)
    assert found.image == pytest.approx(mixer.image, abs=2e-5)
    assert found.leakage == pytest.approx(mixer.leakage, abs=2e-5)


def test_of_one_amplitude_an_amplifier_takes_what_its_law_says():
    tone = 0.5 * np.exp(2j * np.pi * 0.04 * np.arange(2000)).astype(np.complex64)
    gain = compressed_gain(tone, saturation_db=20.0 * np.log10(0.4), smoothness=3.0)
    assert gain == pytest.approx((1.0 + (0.5 / 0.4) ** 6) ** (-1.0 / 6.0), rel=1e-5)
