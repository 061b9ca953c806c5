import math

import numpy as np
import pytest

from calibration.interferers import estimate_interferers
from radio.impairments import Impairments
from radio.measured_air import MeasuredAir, MeasuredDevice, MeasuredInterferer
from sim_backend.front_end import draw_front_end
from tests.calibration.honesty import white

RATE_HZ = 4e6
NUM_SAMPLES = 200_000
NOISE = 1e-4


def silence(rng):
    return (math.sqrt(NOISE) * white(rng, NUM_SAMPLES)).astype(np.complex64)


def channel(rng, low_hz, high_hz, power):
    spectrum, freqs_hz = np.fft.fft(white(rng, NUM_SAMPLES)), np.fft.fftfreq(NUM_SAMPLES, 1.0 / RATE_HZ)
    spectrum[(freqs_hz < low_hz) | (freqs_hz > high_hz)] = 0.0
    signal = np.fft.ifft(spectrum)
    return np.sqrt(power / np.mean(np.abs(signal) ** 2)) * signal


def test_noise_with_an_offset_of_the_receiver_is_nobody(rng):
    assert not any(estimate_interferers(silence(rng) + 0.02j, RATE_HZ) for _ in range(20))


def test_a_carrier_and_a_channel_are_told_apart_and_measured(rng):
    times_s = np.arange(NUM_SAMPLES) / RATE_HZ
    carrier = 0.02 * np.exp(2j * np.pi * -0.7123e6 * times_s)
    heard = silence(rng) + carrier + channel(rng, 0.40e6, 0.52e6, 3e-4)
    tone, band = estimate_interferers(heard.astype(np.complex64), RATE_HZ)
    assert tone.offset_hz == pytest.approx(-0.7123e6, abs=400.0)
    assert tone.width_hz < 4e3  # a bin
    assert tone.power == pytest.approx(4e-4, rel=0.03)
    assert band.offset_hz == pytest.approx(0.46e6, abs=2e3)
    assert band.width_hz == pytest.approx(0.12e6, rel=0.05)
    assert band.power == pytest.approx(3e-4, rel=0.05)


def test_a_channel_about_the_carrier_is_one(rng):
    heard = silence(rng) + channel(rng, -60e3, 40e3, 1e-3) + 0.05
    (band,) = estimate_interferers(heard.astype(np.complex64), RATE_HZ)
    assert band.power == pytest.approx(1e-3, rel=0.1)
    assert band.offset_hz == pytest.approx(-10e3, abs=5e3)


def test_the_simulators_interferer_is_found_where_it_is():
    impairments = Impairments(interferer_db=-10.0, interferer_fraction=0.05)
    front_end = draw_front_end(impairments, 3, 9, RATE_HZ, 0.01, 1.0)
    assert front_end.interferer is not None
    heard = front_end.receive(np.zeros(NUM_SAMPLES, np.complex64), 12_345)[0]
    (band,) = estimate_interferers(heard, RATE_HZ)
    assert band.power == pytest.approx(0.1, rel=0.05)
    assert band.offset_hz == pytest.approx(RATE_HZ * front_end.interferer.frequencies_hz.mean(), abs=4e3)
    assert band.width_hz == pytest.approx(0.05 * RATE_HZ, rel=0.1)


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 2.0 * RATE_HZ])
def test_given_interferers_are_heard_as_given_at_every_rate(rate_hz):
    given = (
        MeasuredInterferer(offset_hz=-0.9e6, width_hz=0.0, power=0.02),
        MeasuredInterferer(offset_hz=0.5e6, width_hz=0.2e6, power=0.05),
        MeasuredInterferer(offset_hz=9e6, width_hz=1e3, power=1.0),  # not in the sampled band
    )
    air = MeasuredAir(
        devices=(MeasuredDevice(),), noise_variance=0.01, sample_rate_hz=RATE_HZ, interferers=given
    )
    front_end = draw_front_end(air, 3, 9, rate_hz, air.noise_at(rate_hz), 1.0)
    heard = front_end.receive(np.zeros(NUM_SAMPLES, np.complex64), 777)[0]
    seen = estimate_interferers(heard, rate_hz)
    assert len(seen) == 2
    for found, each in zip(seen, given, strict=False):
        assert found.offset_hz == pytest.approx(each.offset_hz, abs=5e3)
        assert found.width_hz == pytest.approx(each.width_hz, rel=0.1, abs=8e3)
        assert found.power == pytest.approx(each.power, rel=0.06)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"offset_hz": math.nan}, "finite offset_hz"),
        ({"width_hz": -1.0}, "width_hz"),
        ({"power": -0.1}, "power"),
    ],
)
def test_impossible_interferers_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        MeasuredInterferer(**({"offset_hz": 0.0, "width_hz": 0.0, "power": 1.0} | values))
