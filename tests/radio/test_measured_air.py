"""What a measured air can be, and what follows from its numbers."""

import math

import numpy as np
import pytest

from radio.impairments import Impairments
from radio.measured_air import MeasuredAir, MeasuredDevice, known

HALF = math.sqrt(0.5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gain_db": -151.0}, r"gain_db must be in \[-150, 60\], got -151"),
        ({"gain_db": math.nan}, r"gain_db must be in \[-150, 60\], got nan"),
        ({"phase_rad": 7.0}, r"phase_rad must be in \[-6.28319, 6.28319\], got 7"),
        ({"delay_s": -1e-9}, r"delay_s must be in \[0, 0.001\], got -1e-09"),
        ({"clock_offset_ppm": -101.0}, r"clock_offset_ppm must be in \[-100, 100\], got -101"),
        ({"sample_clock_offset_ppm": 101.0}, r"sample_clock_offset_ppm must be in \[-100, 100\], got 101"),
        ({"drift_hz_per_root_s": -1.0}, r"drift_hz_per_root_s must be in \[0, 100\], got -1"),
        ({"phase_noise_deg": 46.0}, r"phase_noise_deg must be in \[0, 45\], got 46"),
        ({"saturation_db": -41.0}, r"saturation_db must be in \[-40, 200\], got -41"),
        ({"dac_bits": 1}, "dac_bits must be 0, for no quantisation, or a whole number from 2; got 1"),
        ({"image": 1.0 + 0.1j}, r"image must be of a magnitude in \[0, 1\], got 1.00499"),
        ({"lo_leakage": complex(math.nan)}, r"lo_leakage must be of a magnitude in \[0, 1\], got nan"),
        ({"tap_delays_s": (0.0, 1e-7)}, "equally many entries, at least one; got 2 and 1"),
        ({"tap_delays_s": (), "taps": ()}, "equally many entries, at least one; got 0 and 0"),
        (
            {"tap_delays_s": (1e-7,)},
            r"tap_delays_s must rise from 0, got \[1e-07\]; add the first one to delay_s",
        ),
        ({"tap_delays_s": (0.0, 0.0), "taps": (HALF, HALF)}, "tap_delays_s must rise from 0"),
        ({"tap_delays_s": (0.0, 2e-4), "taps": (HALF, HALF)}, r"tap_delays_s must be in \[0, 0.0001\]"),
        ({"tap_delays_s": (0.0, 1e-7), "taps": (0.0, 1.0)}, "taps must begin with one that is not 0"),
        # a sum of 2 is 3.01 dB that belong to the gain
        (
            {"tap_delays_s": (0.0, 1e-7), "taps": (1.0, 1.0j)},
            "a sum of .* of 1, got 2; divide .* add 3.0103 dB to gain_db",
        ),
        ({"doppler_hz": 5.0}, 'doppler_hz = 5 has no effect with fading = "none"'),
        (
            {"fading": "rician"},
            'fading = "rician" with doppler_hz = 0 stands still; state the taps as they are',
        ),
        ({"fading": "nakagami", "doppler_hz": 1.0}, "fading must be one of none, rayleigh, rician"),
    ],
)
def test_a_device_that_cannot_be_is_refused_in_one_line(values, message):
    with pytest.raises(ValueError, match=message) as caught:
        MeasuredDevice(**values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"devices": ()}, "needs one device or more, got none"),
        ({"noise_variance": -1e-9}, r"noise_variance must be in \[0, 1e\+06\], got -1e-09"),
        ({"sample_rate_hz": 0.0}, "sample_rate_hz must be above 0, got 0"),
        ({"rx_image": 1.1j}, r"rx_image must be of a magnitude in \[0, 1\], got 1.1"),
        ({"rx_dc": 11.0 + 0j}, r"rx_dc must be of a magnitude in \[0, 10\], got 11"),
        ({"adc_bits": 25}, r"adc_bits must be in \[0, 24\], got 25"),
        ({"adc_full_scale_db": -101.0}, r"adc_full_scale_db must be in \[-100, 200\], got -101"),
    ],
)
def test_an_air_that_cannot_be_is_refused_in_one_line(values, message):
    with pytest.raises(ValueError, match=message):
        MeasuredAir(**{"devices": (MeasuredDevice(),)} | values)


def test_devices_are_the_radios_from_the_first_port_on():
    one, two = MeasuredDevice(gain_db=-10.0), MeasuredDevice(gain_db=-20.0)
    air = MeasuredAir(devices=(one, two))
    assert [air.device(port) for port in (-1, 0, 1, 2)] == [None, one, two, None]
    shifted = MeasuredAir(devices=(one, two), first_port=1)
    assert [shifted.device(port) for port in (-1, 0, 1, 2)] == [None, None, one, two]


def test_a_device_keeps_time_unless_its_clock_is_off_or_drifts():
    clocks = [
        MeasuredDevice(**values).law.clock
        for values in ({}, {"clock_offset_ppm": -2.0}, {"drift_hz_per_root_s": 0.1}, {"phase_noise_deg": 1.0})
    ]
    assert clocks == ["shared", "free", "free", "shared"]


def test_what_nobody_measured_has_the_mean_gain_and_the_measured_converter():
    air = MeasuredAir(
        devices=(MeasuredDevice(gain_db=-20.0), MeasuredDevice(gain_db=-200 / 3)),
        adc_bits=12,
        adc_full_scale_db=-30.0,
    )
    given, impairments = known(air, None)
    assert given is None
    assert impairments.path_loss_db == pytest.approx(20 + 10 * math.log10(2), abs=1e-3)
    assert impairments == Impairments(
        path_loss_db=impairments.path_loss_db, adc_bits=12, adc_full_scale_db=-30.0
    )


def test_power_of_a_path_is_the_mean_over_its_frequencies():
    # two equal taps 1 us apart add up to 1 + cos(2 pi f 1 us): 2 at 0 Hz, 0 at 500 kHz, 1 in the mean over a period
    device = MeasuredDevice(gain_db=-10.0, tap_delays_s=(0.0, 1e-6), taps=(HALF, HALF))
    powers = [device.mean_power([freq]) for freq in (0.0, 500e3, 250e3)]
    assert powers == pytest.approx([0.2, 0.0, 0.1], abs=1e-9)
    assert device.mean_power(np.arange(64) / 64 * 1e6) == pytest.approx(0.1)
    fading = MeasuredDevice(
        gain_db=-10.0, tap_delays_s=(0.0, 1e-6), taps=(HALF, HALF), fading="rayleigh", doppler_hz=3.0
    )
    assert fading.mean_power([0.0]) == pytest.approx(0.1)


def test_white_noise_grows_with_the_rate():
    air = MeasuredAir(devices=(MeasuredDevice(),), noise_variance=1e-6, sample_rate_hz=1e6)
    assert air.noise_at(4e6) == pytest.approx(4e-6)
    assert MeasuredAir(devices=(MeasuredDevice(),), noise_variance=1e-6).noise_at(4e6) == 1e-6
