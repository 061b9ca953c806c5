"""Every parameter of the air through the reading of a configuration: refused by its name, or kept."""

import dataclasses
import tomllib

import pytest

from radio.impairments import CHOICES, LIMITS, Impairments
from server.config import Arm, ConfigError
from server.config_file import build
from server.recorder import RunFolderError, open_run_folder
from server.toml_tables import to_tables, to_toml

# what lets every parameter go to either of its limits: nothing else then stands in its way
OPEN = {"clock": "free", "separate_sample_clock": True, "full_scale_dbm": 60.0}
BASE = {"link": {"backend": "symbol", "noise": "figure"}, "radio": {"reference": "free"}}


def with_air(**air):
    return build(BASE | {"air": OPEN | air})


@pytest.mark.parametrize("name", LIMITS)
def test_a_number_out_of_its_limits_is_refused_by_name_with_value_and_limit(name):
    lowest, highest = LIMITS[name]
    for value in (lowest, highest):
        assert getattr(with_air(**{name: value}).air.impairments(), name) == value
    for value in (lowest - 1, highest + 1):
        with pytest.raises(ConfigError) as caught:
            with_air(**{name: value})
        assert str(caught.value) == f"air.{name} must be in [{lowest:g}, {highest:g}], got {value:g}"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("tap_delays_s", [1.1e-4], r"air.tap_delays_s must be in \[0, 0.0001\], got 0.00011"),
        ("tap_delays_s", [-1e-9], r"air.tap_delays_s must be in \[0, 0.0001\], got -1e-09"),
        ("tap_powers_db", [101.0], r"air.tap_powers_db must be in \[-100, 100\], got 101"),
        ("tap_powers_db", [0.0, 0.0], "air.tap_delays_s and tap_powers_db need equally many entries"),
        ("tap_powers_db", [0.0] * 65, "equally many entries, 1 to 64; got 1 and 65"),
        ("random_phase", "perhaps", "air.random_phase = 'perhaps': expected bool, got str"),
        ("separate_sample_clock", 1, "air.separate_sample_clock = 1: expected bool, got int"),
        ("clock", "atomic", "air.clock = 'atomic': .*; choose one of: shared, free"),
        ("fading", "nakagami", "air.fading = 'nakagami': .*; choose one of: none, rayleigh, rician"),
        ("dac_bits", 1, "air.dac_bits must be 0, for no quantisation, or a whole number from 2; got 1"),
        ("adc_bits", 11.5, "air.adc_bits = 11.5: expected int, got float"),
        ("full_scale_dbm", 61, r"air.full_scale_dbm must be in \[-100, 60\], got 61"),
        ("full_scale_dbm", -101.0, r"air.full_scale_dbm must be in \[-100, 60\], got -101"),
        ("start_offset_samples", -1, r"air.start_offset_samples must be in \[0, 1024\], got -1"),
        ("delay_spread_s", 1e-7, "air.delay_spread_s = 1e-07 needs a profile that it stretches"),
        ("profile", "tdl-a", 'air.profile = "tdl-a" needs delay_spread_s, its rms delay spread'),
    ],
)
def test_what_is_no_number_in_a_range_is_refused_by_name_too(key, value, message):
    with pytest.raises(ConfigError, match=message):
        with_air(**{key: value})


def test_the_two_tests_above_go_over_every_parameter():
    others = {"tap_delays_s", "tap_powers_db", "random_phase", "separate_sample_clock"}
    assert {field.name for field in dataclasses.fields(Impairments)} == {*LIMITS, *CHOICES, *others}


@pytest.mark.parametrize(
    ("air", "message"),
    [
        (
            {"profile": "eva", "delay_spread_s": 1e-7},
            'delay_spread_s = 1e-07, but profile = "eva" has fixed delays',
        ),
        ({"profile": "tdl-a", "delay_spread_s": 2e-5}, r"delay_spread_s must be in \(0, 1e-05\], got 2e-05"),
        ({"profile": "exponential", "delay_spread_s": 0}, r"delay_spread_s must be in \(0, 1e-05\], got 0"),
        (
            {"profile": "epa", "tap_delays_s": [0.0]},
            'profile = "epa" and air.tap_delays_s both state the taps',
        ),
        (
            {"profile": "epa", "tap_powers_db": [0.0]},
            'profile = "epa" and air.tap_powers_db both state the taps',
        ),
        ({"clock": "shared", "max_clock_offset_ppm": 1}, "air.clock is shared, but max_clock_offset_ppm = 1"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(air, message):
    with pytest.raises(ConfigError, match=message):
        with_air(**air)


def test_a_free_clock_is_followed_however_long_a_run_is():
    free = {"clock": "free", "max_clock_offset_ppm": 20}
    build({"air": free, "radio": {"reference": "free"}, "run": {"rounds": 100_000}})


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"air": {"doppler_hz": 5}, "link": {"fading": "rayleigh"}},
            'link.fading = "rayleigh" and air.doppler_hz, which has its own fading',
        ),
        (
            {"air": {"profile": "epa", "tap_delays_samples": [0, 1], "tap_powers_db": [0, -3]}},
            "air.tap_delays_samples and air.profile, which has its own paths; leave one out",
        ),
        (
            {"air": {"adc_bits": 8, "tap_delays_samples": [1]}},
            "air.tap_delays_samples and air.adc_bits, which has",
        ),
        (
            {"air": {"clock": "free"}},
            'air.clock = "free" has free-running clocks, but radio.reference = "shared"',
        ),
        (
            {"air": {"clock": "free", "max_clock_offset_ppm": 21}, "radio": {"reference": "free"}},
            "air.max_clock_offset_ppm = 21 exceeds radio.crystal_ppm = 20",
        ),
        # 4 Msamples/s: 6 us are 24 samples, of a model that spans 40 from 16 before the preamble
        ({"air": {"max_delay_s": 6e-6}}, "air.max_delay_s = 6e-06 and .* over 24 samples, the limit is 23"),
        (
            {"air": {"profile": "tdl-a", "delay_spread_s": 1e-6}},
            "the longest tap delay, 9.659e-06 s, spread .* 38.63 samples, the limit is 23",
        ),
        ({"air": {"scenario": "bench"}, "radio": {"sample_rate_hz": 20e6}}, "66 samples, the limit is 23"),
        (
            {"air": {"start_offset_samples": 1020, "max_delay_s": 2e-6}},
            "air.start_offset_samples = 1020, delays of 8 samples .* exceed the 1024",
        ),
        ({"air": {"noise_figure_db": 0.0}}, 'noise_figure_db = 0 has no effect while link.noise = "snr"'),
        ({"air": {"full_scale_dbm": 10.0}}, 'full_scale_dbm = 10 has no effect while link.noise = "snr"'),
        # -174 dBm/Hz in 4 MHz are -108 dBm, and an element is 13.75 dB below full scale
        (
            {"link": {"noise": "figure"}, "air": {"full_scale_dbm": 0, "path_loss_db": 130}},
            "air.path_loss_db = 130 and air.noise_figure_db = 0 make an SNR of -35.8 dB, the lowest is -30",
        ),
        # a preamble's highest I or Q is 7.9 dB below full scale, 32 of them in phase are 30.1 dB more
        (
            {"air": {"scenario": "bench"}, "fleet": {"devices": 32}},
            "32 devices in phase reach 22.2 dB .* saturates at air.adc_full_scale_db = 20; raise it to 24",
        ),
        # 100 rounds of 0.1 s at 4 Msamples/s are 4e7 samples
        (
            {"air": {"separate_sample_clock": True, "sample_clock_offset_ppm": -26}},
            "1040 samples, exceed the 1024",
        ),
    ],
)
def test_an_air_that_the_link_or_the_receiver_cannot_take_is_refused_in_one_line(tables, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build(tables)
    assert "\n" not in str(caught.value)
    build(tables | {"link": tables.get("link", {}) | {"backend": "ideal"}})  # which has no air


def test_what_is_just_within_the_receivers_reach_is_taken():
    build({"air": {"max_delay_s": 5.75e-6}})
    build({"air": {"profile": "exponential", "delay_spread_s": 5e-7}})
    build({"air": {"scenario": "bench"}, "fleet": {"devices": 24}})
    build({"air": {"scenario": "bench"}, "fleet": {"devices": 32, "active": 24}})
    build({"air": {"scenario": "bench", "adc_full_scale_db": 24}, "fleet": {"devices": 32}})
    build(
        {"air": {"max_delay_s": 1e-4, "clock": "free"}, "radio": {"reference": "free"}}
    )  # delays are undone
    build({"air": {"separate_sample_clock": True, "sample_clock_offset_ppm": 25}})


def test_the_parts_given_are_written_and_read_again_and_nothing_else():
    always = {"tap_delays_samples": [0], "start_offset_samples": 0, "full_scale_dbm": 0.0}
    air = {"scenario": "bench", "doppler_hz": 5.0, "tap_powers_db": [0.0, -1.0, -2.0], "random_phase": False}
    experiment = build({"air": air})
    written = tomllib.loads(to_toml(to_tables(experiment)))
    assert written["air"] == air | always
    assert build(written) == experiment
    assert to_tables(build({}))["air"] == {"scenario": "identity"} | always


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"doppler_hz": 5.0}, {}, "air.doppler_hz is 5.0 there, not given here"),
        ({}, {"doppler_hz": 5.0}, "air.doppler_hz is not given there, 5.0 here"),
        ({"profile": "epa"}, {"profile": "eva"}, "air.profile is 'epa' there, 'eva' here"),
    ],
)
def test_a_run_is_resumed_with_the_parts_it_was_started_with(first, second, message, tmp_path):
    def arms(air):
        return [Arm("", build({"air": air}))]

    open_run_folder(tmp_path / "run", arms(first), resume=False)
    open_run_folder(tmp_path / "run", arms(first), resume=True)
    with pytest.raises(RunFolderError, match=message):
        open_run_folder(tmp_path / "run", arms(second), resume=True)
