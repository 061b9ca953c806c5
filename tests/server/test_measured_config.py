"""A measured air through a configuration: read, refused by its name, its noise, and what a run keeps of it."""

import dataclasses
import json
import math

import pytest

from radio.frame import element_level
from radio.impairments import Impairments
from radio.measured_air import MeasuredAir, MeasuredDevice
from server.air_command import load_plan, plan_of
from server.compose_measured import dump_measured_air, load_measured_air, with_measured_air
from server.compose_plutos import stream_noise_variance
from server.config import Arm, ConfigError
from server.config_file import build
from server.link_noise import element_noise_variance, mean_snr_db
from server.recorder import RunFolderError, open_run_folder
from server.toml_tables import to_tables

HALF = math.sqrt(0.5)
AIR = MeasuredAir(
    devices=(
        MeasuredDevice(gain_db=-10.0, phase_rad=0.3, delay_s=1e-6, image=0.01 - 0.02j),
        MeasuredDevice(gain_db=-20.0, tap_delays_s=(0.0, 1e-6), taps=(HALF, HALF * 1j), dac_bits=12),
        MeasuredDevice(gain_db=-30.0, sample_clock_offset_ppm=1.5),
    ),
    noise_variance=1e-6,
    sample_rate_hz=2e6,
    rx_image=0.001j,
    rx_dc=0.01 + 0j,
    adc_bits=12,
    adc_full_scale_db=10.0,
)


@pytest.fixture
def measured(tmp_path):
    """(tables with an air) -> the experiment that knows it."""

    def experiment_of(air=AIR, devices=3, **tables):
        path = tmp_path / "measured.json"
        path.write_bytes(dump_measured_air(air))
        tables = {"fleet": {"devices": devices}, **tables}
        tables["air"] = {"profile": str(path)} | tables.get("air", {})
        return with_measured_air(build(tables))

    return experiment_of


def with_devices(*changes):
    return dataclasses.replace(AIR, devices=tuple(MeasuredDevice(**values) for values in changes))


# The file


def test_a_measured_air_is_read_as_it_was_written(tmp_path):
    (tmp_path / "air.json").write_bytes(dump_measured_air(AIR))
    assert load_measured_air(tmp_path / "air.json") == AIR


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory; name the file of a calibration"),
        (b"{", "not JSON: .*; calibrate again, or name another file"),
        (b"[]", "version None, this program reads 1; calibrate again"),
        (b'{"version": 2}', "version 2, this program reads 1"),
        (b'{"version": 1}', "missing required field devices"),
        (b'{"version": 1, "devices": []}', "a measured air needs one device or more"),
        (b'{"version": 1, "devices": [{"gain_db": "loud"}]}', r"Expected float, got str - at \$.devices\[0\].gain"),
        (b'{"version": 1, "devices": [{"image": [1]}]}', r"a complex number as \[re, im\], got \[1\] - at"),
        (b'{"version": 1, "devices": [{"phase_noise_deg": 90}]}', r"phase_noise_deg must be in \[0, 45\], got 90 - at"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused_in_one_line_that_names_it(content, message, tmp_path):
    path = tmp_path / "air.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_measured_air(path)
    assert str(caught.value).startswith(f'air.profile = "{path}": ')
    assert "\n" not in str(caught.value)


# The key


@pytest.mark.parametrize(
    ("air", "message"),
    [
        ({"scenario": "bench"}, 'air.profile = "x.json" states the whole air, and air.scenario = "bench" is given'),
        ({"scenario": "free"}, 'as well; leave one of them out, or set air.scenario = "identity"$'),
        ({"doppler_hz": 5.0}, 'air.profile = "x.json" states the whole air, and air.doppler_hz is given as well'),
        ({"interferer_db": -10.0}, "and air.interferer_db is given as well; leave one of them out"),
        ({"tap_delays_samples": [0, 2], "tap_powers_db": [0, -3]}, "and air.tap_delays_samples is given as well"),
        ({"delay_spread_s": 1e-7}, "states the whole air, and air.delay_spread_s is given as well"),
        ({"profile": "x.toml"}, "air.profile = 'x.toml': neither a power delay profile nor the file of a calibration"),
    ],
)  # fmt: skip
def test_a_key_that_the_file_overrides_is_refused_by_both_names(air, message):
    with pytest.raises(ConfigError, match=message):
        build({"air": {"profile": "x.json"} | air})


def test_keys_of_the_link_that_the_file_overrides_are_refused_too():
    profile = {"air": {"profile": "x.json"}}
    with pytest.raises(
        ConfigError, match=r'link.fading = "rayleigh" and air.profile = "x.json", which has its own'
    ):
        build(profile | {"link": {"fading": "rayleigh"}})
    loud = {"air": {"profile": "x.json", "full_scale_dbm": 10.0}}
    with pytest.raises(ConfigError, match=r"full_scale_dbm = 10 has no effect on air.profile = \"x.json\""):
        build(loud | {"link": {"noise": "figure"}})
    with pytest.raises(ConfigError, match=r'full_scale_dbm = 10 has no effect while link.noise = "snr"'):
        build(loud)


def test_no_table_of_a_file_is_the_measured_air(measured):
    with pytest.raises(ConfigError, match=r"unknown table measured; known: run, .*, air$"):
        build({"measured": {}})
    experiment = measured()
    assert build(to_tables(experiment)) == dataclasses.replace(experiment, measured=None)


def test_statistics_are_not_taken_for_values_that_were_not_read():
    with pytest.raises(ValueError, match=r'air.profile = "x.json" states values and no statistics'):
        build({"air": {"profile": "x.json"}}).law()


# Whether it fits


def test_a_fleet_has_the_first_devices_of_the_file(measured):
    assert measured(devices=2).law().devices == AIR.devices[:2]
    with pytest.raises(
        ConfigError, match=r"measured.json\" holds 3 devices, fleet.devices = 4; lower fleet.devices to 3"
    ):
        measured(devices=4)


FREE = {"radio": {"reference": "free"}}


@pytest.mark.parametrize(
    ("device", "tables", "message"),
    [
        ({"clock_offset_ppm": -0.2}, {}, 'free-running clocks, device 1 is -0.2 ppm .*; set radio.reference = "free"'),
        ({"drift_hz_per_root_s": 2.0}, {}, "device 1 is 0 ppm off and drifts by 2 Hz per root second"),
        ({"clock_offset_ppm": 21.0}, FREE, "has device 1 21 ppm off, beyond radio.crystal_ppm = 20"),
        # 4 Msamples/s: 6.1 us after the first to arrive are 24.4 samples, of a model that spans 40 from 16 before
        ({"delay_s": 6.1e-6}, {}, "spreads arrivals over 24.4 samples, the limit is 23"),
        (
            {"tap_delays_s": (0.0, 6e-6), "taps": (HALF, HALF)},
            FREE,
            "spreads arrivals over 24 samples, the limit is 23",
        ),
        # 100 rounds of 0.1 s at 4 Msamples/s are 4e7 samples
        ({"sample_clock_offset_ppm": -26.0}, {}, "26 ppm off for 100 rounds, 1040 samples, .* exceed the 1024"),
        # a preamble's highest I or Q is 7.9 dB below full scale; in amplitudes 1 + 10 + 1
        ({"gain_db": 20.0}, {}, r"3 devices in phase reach 13.7 dB .* saturates at 10 dB by air.profile"),
    ],
)  # fmt: skip
def test_an_air_that_the_receiver_cannot_take_is_refused_in_one_line(device, tables, message, measured):
    with pytest.raises(ConfigError, match=message) as caught:
        measured(with_devices({}, device, {}), **tables)
    assert "\n" not in str(caught.value)


def test_what_is_just_within_the_receivers_reach_is_taken(measured):
    far = {"delay_s": 1e-4}  # all of them, which is no spread
    measured(with_devices(far, far | {"delay_s": 1.055e-4}, far))
    measured(with_devices({}, {"clock_offset_ppm": 20.0, "delay_s": 1e-4}, {}), **FREE)
    measured(with_devices({}, {"sample_clock_offset_ppm": 25.0}, {}))
    measured(with_devices({}, {"gain_db": 15.0}, {}))
    symbol = {"link": {"backend": "symbol"}}
    measured(with_devices({}, {"delay_s": 6.1e-6}, {}), **symbol)  # no receiver there to miss it


# Noise


def test_an_snr_is_over_the_mean_power_of_the_fleet(measured):
    """Device 1's two taps, in quadrature 1 us apart, are 1 in the mean over the subcarriers to a hundredth."""
    experiment = measured(link={"snr_db": 12.0, "backend": "symbol"}, devices=3)
    mean = (0.1 + 0.01 + 0.001) / 3
    assert mean_snr_db(experiment) == pytest.approx(12.0)
    assert element_noise_variance(experiment) == pytest.approx(mean * 10**-1.2, rel=0.01)


def test_a_narrow_band_has_the_power_of_its_own_response(measured):
    """In 2 subcarriers around the carrier two equal taps add up, which is 3 dB."""
    air = with_devices({"tap_delays_s": (0.0, 1e-7), "taps": (HALF, HALF)})
    experiment = measured(air, 1, radio={"active": 2}, link={"snr_db": 0.0, "backend": "symbol"})
    assert element_noise_variance(experiment) == pytest.approx(2.0, rel=1e-3)


def test_a_figure_is_the_noise_that_was_measured(measured):
    figure = {"noise": "figure", "backoff_db": 12.0}
    experiment = measured(link=figure | {"backend": "symbol"})
    noise = 2e-6  # of samples, at twice the rate
    level = element_level(12.0, experiment.ofdm())
    assert element_noise_variance(experiment) == pytest.approx(noise / level**2)
    mean = (0.1 + 0.01 + 0.001) / 3
    assert mean_snr_db(experiment) == pytest.approx(10 * math.log10(mean * level**2 / noise), abs=0.05)
    plutos = measured(link=figure | {"backend": "pluto"})
    assert stream_noise_variance(plutos) is None  # the radios take what was measured
    faint = dataclasses.replace(with_devices({"gain_db": -140.0}), noise_variance=1e-6)
    with pytest.raises(ConfigError, match=r"measured.json\" .* makes an SNR of -9.* dB, the lowest is -30"):
        measured(faint, 1, link=figure)


# Virtual radios


def test_a_plan_has_the_measured_air(measured, tmp_path):
    made = plan_of(measured(devices=2, run={"seed": 4}), 7.0)
    assert (made.num_radios, made.seed, made.noise_figure_db) == (3, 4, None)
    assert made.impairments == dataclasses.replace(AIR, devices=AIR.devices[:2])
    assert made.origin == f"measured, {tmp_path / 'measured.json'}"
    config = tmp_path / "config.toml"
    config.write_text(f'[fleet]\ndevices = 2\n[air]\nprofile = "{tmp_path / "measured.json"}"\n')
    assert load_plan(config, ("run.seed=4",), None, 7.0, with_measured_air) == made
    with pytest.raises(ConfigError, match=r"holds 3 devices, fleet.devices = 9"):
        load_plan(config, ("fleet.devices=9",), None, 7.0, with_measured_air)


def test_an_air_of_statistics_stays_what_it_is():
    experiment = build({"air": {"scenario": "bench"}})
    assert with_measured_air(experiment) is experiment
    assert isinstance(experiment.law(), Impairments)


# The run folder


def test_a_run_keeps_its_air_and_is_not_resumed_on_another(measured, tmp_path):
    arms = [Arm("", dataclasses.replace(measured(), measured=None))]
    open_run_folder(tmp_path / "run", arms, resume=False)
    open_run_folder(tmp_path / "run", arms, resume=True)
    assert load_measured_air(tmp_path / "run" / "air.json") == AIR
    louder = json.loads((tmp_path / "measured.json").read_text())
    louder["noise_variance"] = 1e-3
    (tmp_path / "measured.json").write_text(json.dumps(louder))
    with pytest.raises(
        RunFolderError, match=r"is another file than the one .* bring that one back, it is .*air.json"
    ):
        open_run_folder(tmp_path / "run", arms, resume=True)


def test_real_radios_and_an_ideal_link_need_no_air(tmp_path):
    for tables in (
        {"link": {"backend": "ideal"}},
        {
            "link": {"backend": "pluto"},
            "radio": {"uris": ["ip:1", "ip:2"]},
            "fleet": {"devices": 1},
            "safety": {"allowed_bands_hz": [[902e6, 928e6]]},
        },
    ):
        experiment = build(tables | {"air": {"profile": str(tmp_path / "gone.json")}})
        assert not experiment.is_simulated
        open_run_folder(tmp_path / tables["link"]["backend"], [Arm("", experiment)], resume=False)
