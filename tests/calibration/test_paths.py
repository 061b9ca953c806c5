"""Paths that make a response: those it was made of where the band tells them apart, others that do the same if not."""

import numpy as np
import pytest

from calibration.delay import centred_bins
from calibration.paths import paths_of
from radio.ofdm import OfdmConfig

OFDM = OfdmConfig()


def response_of(delays, gains):
    return np.exp(-2j * np.pi * np.outer(centred_bins(OFDM), delays) / OFDM.fft_len) @ np.asarray(gains)


def test_paths_that_the_band_tells_apart_are_found_as_they_are():
    delays, gains = np.array([-3.3, -0.6, 4.75]), np.array([0.2j, 1.0 + 0.1j, -0.3])
    found = paths_of(response_of(delays, gains), 1e-9, OFDM, earliest=-16.0, latest=24.0)
    assert found.delays == pytest.approx(delays, abs=1e-4)
    assert found.gains == pytest.approx(gains, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_a_response_of_close_paths_is_made_again(seed):
    rng = np.random.default_rng(seed)
    delays = np.sort(rng.uniform(0.0, 4.0, 5))
    response = response_of(delays, rng.normal(size=(5, 2)) @ [1.0, 1j])
    left = 1e-5 * np.linalg.norm(response) ** 2
    found = paths_of(response, left, OFDM, earliest=-1.0, latest=24.0)
    assert np.linalg.norm(response_of(*found) - response) ** 2 <= left
    assert np.all(np.diff(found.delays) > 0.0)
    assert found.delays[0] >= -1.0


def test_noise_makes_no_paths():
    rng = np.random.default_rng(3)
    noise = rng.normal(scale=0.01 / np.sqrt(2.0), size=(OFDM.num_active, 2)) @ [1.0, 1j]
    response = response_of([0.4], [1.0]) + noise
    found = paths_of(response, 1.3 * 1e-4 * OFDM.num_active, OFDM, earliest=-16.0, latest=24.0)
    assert len(found.gains) == 1
    assert found.delays[0] == pytest.approx(0.4, abs=0.01)
