"""The mean of a device's probes: as much better known as there are probes, and only while there is one channel."""

import dataclasses

import numpy as np
import pytest

from calibration.burst import estimate_burst
from calibration.delay import apply_delay
from calibration.mean_response import mean_response
from calibration.waveforms import SHORT_SYMBOLS, probe
from radio.ofdm import OfdmConfig

OFDM = OfdmConfig()
NUM_PROBES = 9
VARIANCE = 1e-3


@pytest.fixture(scope="module")
def heard():
    """An estimate to be varied; two paths."""
    samples = probe(0, SHORT_SYMBOLS, OFDM)
    received = np.pad(samples + 0.3j * np.roll(samples, 2), 200)
    return estimate_burst(
        received, 0, SHORT_SYMBOLS, OFDM, start=200.0, cfo_hz=0.0, level=1.0, num_taps=40, lead=16
    )


def looks(heard, rng, responses):
    """Of each response, with errors of its own, turned and delayed at random; the delays are known."""
    found = []
    for response in responses:
        errors = np.sqrt(VARIANCE / 2.0) * (rng.normal(size=(OFDM.num_active, 2)) @ [1.0, 1j])
        delay = float(rng.uniform(-0.5, 0.5))
        moved = apply_delay(response + errors, delay, OFDM) * np.exp(2j * np.pi * rng.random())
        found.append(
            dataclasses.replace(
                heard,
                response=moved,
                error_variance=VARIANCE,
                delay_samples=heard.delay_samples + delay,
                shape_std=np.sqrt(VARIANCE),
            )
        )
    return found


def test_errors_fall_with_the_number_of_probes(heard, rng):
    misses = []
    for _ in range(40):
        bursts = looks(heard, rng, [heard.response] * NUM_PROBES)
        mean = mean_response(bursts, OFDM)
        known = apply_delay(heard.response, bursts[0].delay_samples - heard.delay_samples, OFDM)
        turn = np.vdot(known, mean.response) / np.linalg.norm(known) ** 2
        misses.append(np.mean(np.abs(mean.response / (turn / abs(turn)) - known) ** 2))
        assert 0.999 * VARIANCE / NUM_PROBES < mean.error_variance < 1.3 * VARIANCE / NUM_PROBES
        assert mean.shape_std == pytest.approx(np.sqrt(mean.error_variance))
    # 192 gains of 40 means of 9: 1.1 %, and the turn takes half a degree of freedom
    assert np.mean(misses) == pytest.approx(VARIANCE / NUM_PROBES, rel=0.05)


def test_phase_and_delay_are_the_first_ones(heard, rng):
    bursts = looks(heard, rng, [heard.response] * NUM_PROBES)
    mean = mean_response(bursts, OFDM)
    apart = np.linalg.norm(mean.response - bursts[0].response) / np.linalg.norm(heard.response)
    assert apart < 2.0 * np.sqrt(VARIANCE)


def test_a_channel_that_became_another_has_no_mean(heard, rng):
    other = apply_delay(heard.response, 0.0, OFDM) * np.linspace(0.8, 1.2, OFDM.num_active)
    bursts = looks(heard, rng, [heard.response] * 5 + [other] * 4)
    mean = mean_response(bursts, OFDM)
    assert mean.response is bursts[0].response
    assert mean.error_variance == VARIANCE


def test_one_probe_is_its_own_mean(heard):
    assert mean_response([heard], OFDM).response is heard.response
