"""Interpolation against exact tones."""

import numpy as np
import pytest

from sim_backend.interpolate import HALF, delay_filters, resample

COUNT = 60_000


@pytest.mark.parametrize("ppm", [0.0, 0.3, -20.0, 100.0])
@pytest.mark.parametrize("cycles", [0.0, 0.1, -0.3, 0.4, 0.45, -0.45])
def test_a_tone_between_samples_is_off_by_less_than_60_db(cycles, ppm):
    index = np.arange(COUNT)
    tone = np.exp(2j * np.pi * cycles * index).astype(np.complex64)
    places = 0.37 + 1e-6 * ppm * index
    got = resample(tone, places, 0)
    expected = np.exp(2j * np.pi * cycles * (index + places))
    inside = slice(2 * HALF, COUNT - 2 * HALF)
    assert np.abs(got - expected)[inside].max() < 1e-4  # -80 dB; -60 are asked for


@pytest.mark.parametrize("delay", [0.001, 0.5, 3.73, 12.0])
def test_a_delays_filter_delays_a_tone(delay):
    first, (taps,) = delay_filters(np.array([delay]))
    for cycles in (-0.45, 0.2, 0.45):
        response = np.exp(-2j * np.pi * cycles * (first + np.arange(len(taps)))) @ taps
        assert abs(response - np.exp(-2j * np.pi * cycles * delay)) < 1e-4


def test_whole_samples_are_exact_and_ends_are_zero(rng):
    samples = (rng.normal(size=100) + 1j * rng.normal(size=100)).astype(np.complex64)
    got = resample(samples, np.full(140, 2.0), -22)
    np.testing.assert_array_equal(got[20:120], samples)
    assert not got[:20].any()
    assert not got[120:].any()
    first, taps = delay_filters(np.array([2.0, 5.0]))
    assert first == 2
    np.testing.assert_array_equal(taps, [[1, 0, 0, 0], [0, 0, 0, 1]])
