"""Runs over a measured air: in this process and over virtual Plutos, with the gains that were given."""

import json
import math

import numpy as np
import pytest

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
from airborne import DEVICES, open_uplink, run_round
from typer.testing import CliRunner

from radio.decibel import from_db, to_db
from radio.measured_air import MeasuredAir, MeasuredDevice
from server.__main__ import app
from server.air_command import load_plan
from server.air_options import Pace
from server.compose_air import open_air
from server.compose_measured import dump_measured_air, with_measured_air
from sim_backend.station_settings import StationSettings
from tests.reference.benches import first_host
from tests.reference.waves import complex_of, level_db, tone

GAINS_DB = (-6.0, -9.5, -13.0)
AIR = MeasuredAir(
    devices=tuple(
        MeasuredDevice(
            gain_db=gain_db,
            phase_rad=number - 1.0,
            delay_s=number * 0.7e-6,
            tap_delays_s=(0.0, 0.3e-6),
            taps=(math.sqrt(0.9), math.sqrt(0.1) * 1j),
            image=0.01j,
            phase_noise_deg=0.3,
            dac_bits=12,
        )
        for number, gain_db in enumerate(GAINS_DB)
    ),
    noise_variance=1e-9,
    adc_bits=12,
    adc_full_scale_db=10.0,
)
CONFIG = """
[run]
rounds = 3
test_tasks = 2
progress_tasks = 2
evaluate_every = 100

[task]
name = "glyphs"

[model]
name = "mlp"
width = 4

[fleet]
devices = 3
held_out = 1

[link]
round_s = 0.5
gap_s = 0.05

[radio]
preset = "1M"
block_s = 0.004
lead_s = 0.04

[safety]
allowed_bands_hz = [[902e6, 928e6]]
max_duty = 1.0

[[arm]]
name = "waveform"

[[arm]]
name = "plutos"
link = { backend = "pluto" }
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "air.json").write_bytes(dump_measured_air(AIR))
    path = tmp_path / "config.toml"
    path.write_text(f'{CONFIG}\n[air]\nprofile = "{tmp_path / "air.json"}"\n')
    return path


def test_the_same_gains_are_found_in_this_process_and_over_virtual_plutos(config, tmp_path):
    result = CliRunner().invoke(app, ["run", str(config), "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    # |h|^2 is 1 + 0.6 sin(2 pi f 0.3 us) of the gain, 1 in the mean over subcarriers on either side of the carrier
    for arm, hardware_db in (("waveform", 0.0), ("plutos", 7.0 - 30.0 + 3.0)):
        lines = (tmp_path / "run" / arm / "rounds.jsonl").read_text().splitlines()
        found = np.array([json.loads(line)["gain_db"] for line in lines])
        assert found.shape == (3, 3)
        assert found == pytest.approx(np.tile(np.array(GAINS_DB) + hardware_db, (3, 1)), abs=0.4), arm
        differences = found - found[:, :1]
        assert differences == pytest.approx(np.tile(np.array(GAINS_DB) - GAINS_DB[0], (3, 1)), abs=0.3), arm
    waveform, plutos = (
        json.loads((tmp_path / "run" / arm / "summary.json").read_text()) for arm in ("waveform", "plutos")
    )
    assert waveform["failed_rounds"] == plutos["failed_rounds"] == 0
    assert waveform["snr_db"] == pytest.approx(20.0)
    assert plutos["nmse_air_db"] == pytest.approx(waveform["nmse_air_db"], abs=1.0)
    assert (tmp_path / "run" / "plutos" / "air.json").read_bytes() == dump_measured_air(AIR)


def test_a_bad_air_is_refused_before_anything_starts(config, tmp_path):
    (tmp_path / "air.json").unlink()
    for command in (
        ["run", str(config), "--out", str(tmp_path / "run")],
        ["air", str(config), "--arm", "plutos"],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 2
        assert result.stderr.startswith(f'error: air.profile = "{tmp_path / "air.json"}": No such file')
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_virtual_radios_are_served_on_it_and_the_first_one_receives(config):
    plan = load_plan(config, (), "plutos", 7.0, with_measured_air)
    hosts = tuple(f"{first_host()[:-1]}{number}" for number in range(1, 5))
    base = StationSettings(
        sample_rate_hz=1e6, tx_lo_hz=915e6, rx_lo_hz=915e6, tx_attenuation_db=(20.0,), rx_gain_db=(3.0,),
        gain_mode=("manual",), tx_bandwidth_hz=1e6, rx_bandwidth_hz=1e6,
    )  # fmt: skip
    with open_air(plan, hosts, Pace.VIRTUAL, None, False, None) as (bench, facts):
        assert facts["air"] == f"measured, {config.parent / 'air.json'}; seed 0"
        assert facts["levels"].endswith("; noise as measured")
        for radio in range(4):
            bench.engine.configure(radio, base)
        levels = []
        for radio in (1, 2, 3):
            with bench.engine.open_tx(radio, 1000, cyclic=True) as tx:
                tx.write(tone(0.1, 1000))
                with bench.engine.open_rx(0, 8192) as rx:
                    levels.append(level_db(complex_of(rx.read())[1000:]))
    response_db = 20 * math.log10(
        abs(AIR.devices[0].taps[0] + AIR.devices[0].taps[1] * np.exp(-0.06j * np.pi))
    )
    expected = [7.0 - 20.0 + 3.0 + gain_db + response_db for gain_db in GAINS_DB]
    assert levels == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("is_free", [False, True])
def test_a_round_over_given_devices_comes_close_to_perfect_knowledge(is_free):
    """Eight of them; with clocks of their own they are acquired and followed as drawn ones are."""
    rng = np.random.default_rng(7)
    air = MeasuredAir(
        devices=tuple(
            MeasuredDevice(
                gain_db=float(rng.uniform(-3.0, 3.0)),
                phase_rad=float(rng.uniform(-3.0, 3.0)),
                delay_s=float(rng.uniform(0.0, 3e-6)),
                tap_delays_s=(0.0, 2e-7),
                taps=(0.8, 0.6 * np.exp(2j * np.pi * rng.random())),
                clock_offset_ppm=float(rng.uniform(-10.0, 10.0)) if is_free else 0.0,
                image=0.005j,
                dac_bits=12,
            )
            for _ in DEVICES
        ),
        rx_image=0.01,
        adc_bits=12,
        adc_full_scale_db=20.0,
    )
    uplink, truth, _ = open_uplink(air, 20.0, seed=3, acquires=is_free)
    judged = [run_round(uplink, truth, index, 3) for index in range(2)]
    assert all(tuple(each.sounding.channels) == DEVICES for each in judged)
    found, noise = (np.mean([getattr(each, key) for each in judged]) for key in ("error", "noise"))
    assert to_db(found / (noise * from_db(-20.0))) < (4.0 if is_free else 2.0)  # as on "free" and "bench"
    assert abs(to_db(sum(judged[0].parts.values()) / judged[0].error)) < 0.01
