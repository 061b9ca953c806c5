"""`airmeta run` over virtual Plutos that the run starts by itself: every line from a device to the air."""

import json
import re
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from radio.scenarios import scenario
from server.__main__ import app
from server.appraisal import initial_parameters, save_memories
from server.attempts import run_round
from server.composition import open_bench, prepare
from server.config import Arm, ConfigError
from server.config_file import build
from sim_backend.pluto_context import PlutoModel
from sim_backend.stream_air import StreamAirConfig
from sim_backend.virtual_bench import VirtualBench
from tests.reference.benches import first_host
from tests.server.missing import Absent

CONFIG = """
[run]
rounds = {rounds}
test_tasks = 2
progress_tasks = 2
evaluate_every = 100

[task]
name = "glyphs"

[model]
name = "mlp"
width = 4

[fleet]
devices = {devices}
held_out = 1

[link]
scheme = "phase"
round_s = 0.5
gap_s = 0.05

[radio]
preset = "1M"
block_s = 0.004
lead_s = 0.04

[safety]
allowed_bands_hz = [[902e6, 928e6]]
max_duty = 1.0

[air]
scenario = "bench"
doppler_hz = 0.0

[[arm]]
name = "plutos"
link = {{ backend = "pluto" }}
"""
WAVEFORM = """
[[arm]]
name = "waveform"
link = { backend = "waveform" }
"""


def run(folder, text, *options):
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(
        app, ["run", str(folder / "config.toml"), "--out", str(folder / "run"), *options]
    )


def records(folder, arm):
    return [json.loads(line) for line in (folder / "run" / arm / "rounds.jsonl").read_text().splitlines()]


def test_virtual_plutos_lose_no_more_than_the_waveform_does_over_the_same_channels(tmp_path):
    result = run(tmp_path, CONFIG.format(rounds=8, devices=4) + WAVEFORM)
    assert result.exit_code == 0, result.output
    plutos, waveform = (
        json.loads((tmp_path / "run" / arm / "summary.json").read_text()) for arm in ("plutos", "waveform")
    )
    assert plutos["failed_rounds"] == 0
    assert plutos["nmse_air_db"] == pytest.approx(waveform["nmse_air_db"], abs=1.0)
    assert plutos["nmse_amplitude_db"] == pytest.approx(waveform["nmse_amplitude_db"], abs=1.0)
    for over_plutos, over_waveform in zip(
        records(tmp_path, "plutos"), records(tmp_path, "waveform"), strict=True
    ):
        assert over_waveform["gap_s"] == pytest.approx(0.05)
        assert 0.05 <= over_plutos["gap_s"] < 0.5
        # the same seed is the same channels: gains differ by attenuation and receiver gain alone
        levels = [a - b for a, b in zip(over_plutos["gain_db"], over_waveform["gain_db"], strict=True)]
        assert max(levels) - min(levels) < 0.5
        assert levels[0] == pytest.approx(7.0 - 30.0 + 3.0, abs=0.5)
        assert "error_budget" in over_waveform
        assert "error_budget" not in over_plutos
    manifest = json.loads((tmp_path / "run" / "plutos" / "manifest.json").read_text())
    assert len(manifest["radios"]) == 5
    assert all(re.match(r"ip:127\.", radio["uri"]) for radio in manifest["radios"])


def test_inverted_channels_add_up_alike_over_symbols_waveform_and_plutos(tmp_path):
    text = CONFIG.format(rounds=4, devices=4) + WAVEFORM + WAVEFORM.replace("waveform", "symbol")
    settings = ("link.scheme=inversion", "link.threshold=0.3")
    result = run(tmp_path, text, *(word for setting in settings for word in ("--set", setting)))
    assert result.exit_code == 0, result.output
    arms = ("symbol", "waveform", "plutos")
    found = [json.loads((tmp_path / "run" / arm / "summary.json").read_text()) for arm in arms]
    assert [summary["failed_rounds"] for summary in found] == [0, 0, 0]
    for summary in found[1:]:
        for key in ("nmse_db", "nmse_full_db"):
            assert summary[key] == pytest.approx(found[0][key], abs=1.0)
    # gains of Plutos are of other units, and the threshold is of the gains
    shares = [np.mean([record["used_share"] for record in records(tmp_path, arm)]) for arm in arms]
    assert shares == pytest.approx([shares[0]] * 3, abs=0.05)
    assert 0.2 < shares[0] < 0.99


def test_bursts_that_a_shared_edge_releases_add_up_as_well(tmp_path):
    text = CONFIG.format(rounds=5, devices=3) + WAVEFORM
    result = run(tmp_path, text, "--set", "radio.trigger=external")
    assert result.exit_code == 0, result.output
    plutos, waveform = (
        json.loads((tmp_path / "run" / arm / "summary.json").read_text()) for arm in ("plutos", "waveform")
    )
    assert plutos["failed_rounds"] == 0
    assert plutos["nmse_amplitude_db"] == pytest.approx(waveform["nmse_amplitude_db"], abs=1.0)
    assert all(0.0 < record["gap_s"] < 0.5 for record in records(tmp_path, "plutos"))


def test_free_clocks_are_followed_over_virtual_plutos(tmp_path):
    options = ["--set", "air.scenario=free", "--set", "radio.reference=free"]
    result = run(tmp_path, CONFIG.format(rounds=5, devices=3), *options)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "run" / "plutos" / "summary.json").read_text())
    assert summary["failed_rounds"] == 0
    assert summary["nmse_amplitude_db"] < -12.0  # whoever is not followed turns by many radians in such a gap


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"radio": {"uris": ["ip:a", "ip:b"]}}, "radio.uris names 2 radios, 5 are needed"),
        ({"radio": {"uris": ["ip:a"] * 5}}, "names a radio twice"),
        ({"radio": {"block_s": 0.02}}, "radio.lead_s = 0.1 is shorter than the 8 receive blocks"),
        ({"radio": {"trigger": "external", "reference": "free"}}, 'needs radio.reference = "shared"'),
        ({"safety": {"allowed_bands_hz": [[3e6, 2e6]]}}, "safety.allowed_bands_hz takes pairs"),
    ],
)
def test_what_cannot_be_run_is_refused_before_any_radio_is_opened(tables, message):
    base = {"fleet": {"devices": 4}, "link": {"backend": "pluto"} | tables.pop("link", {})}
    with pytest.raises(ConfigError, match=re.escape(message)):
        build(base | tables)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("safety.allowed_bands_hz=[]", "is not allowed; safety.allowed_bands_hz lists nothing"),
        ("radio.center_hz=868e6", "is not allowed; safety.allowed_bands_hz lists 902 to 928 MHz"),
        ("safety.min_attenuation_db=31", "transmit attenuation of 30 dB is below 31 dB"),
    ],
)
def test_what_safety_forbids_is_refused_before_any_radio_is_opened(option, message, tmp_path):
    result = run(tmp_path, CONFIG.format(rounds=1, devices=4), "--set", option)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "run").exists()


def test_a_server_names_the_receiver_alone():
    tables = {"fleet": {"devices": 4}, "link": {"backend": "pluto"}, "radio": {"uris": ["ip:a"]}}
    assert build(tables).radio.uris == ("ip:a",)


def test_a_radio_that_cannot_be_reached_is_one_line(tmp_path):
    uris = json.dumps([f"ip:127.200.0.{number}" for number in range(1, 4)])
    result = run(tmp_path, CONFIG.format(rounds=1, devices=2), "--set", f"radio.uris={uris}")
    assert result.exit_code == 1
    assert "127.200.0.1" in result.output.splitlines()[-1]


TINY = {
    "run": {"rounds": 40, "test_tasks": 2, "progress_tasks": 2, "evaluate_every": 100},
    "task": {"name": "glyphs"},
    "model": {"name": "mlp", "width": 4},
    "fleet": {"devices": 3, "held_out": 1},
    "link": {"backend": "pluto", "gap_s": 0.05},
    "radio": {"preset": "1M", "block_s": 0.004, "lead_s": 0.05, "meeting_s": 0.2},
    "safety": {"allowed_bands_hz": [[902e6, 928e6]], "max_duty": 1.0},
    "air": {"scenario": "bench"},
}


@pytest.fixture
def lab():
    """A bench, and rounds over it: (bench, rounds, theta)."""
    air = StreamAirConfig(impairments=scenario("bench"), receiver=3)
    with VirtualBench(4, air, patience_s=30.0, first_host=first_host()) as bench:
        uris = (bench.uris[3], *bench.uris[:3])
        experiment = build(TINY | {"radio": TINY["radio"] | {"uris": list(uris)}})
        with open_bench(prepare(Arm("", experiment))) as opened:
            yield bench, opened.rounds, initial_parameters(opened.rounds.proxy)


def test_a_run_goes_on_without_a_radio_that_vanishes(lab):
    bench, rounds, theta = lab
    assert rounds.run(0, theta).record["devices"] == [0, 1, 2]
    bench.unplug(1)
    began = time.monotonic()
    for index in (1, 2, 3):
        record = rounds.run(index, theta).record
        assert record["devices"] == [0, 2]
        assert record["failures"][0].startswith("device 1, sound: ")
        assert bench.uris[1] in record["failures"][0]
        assert re.search("see that (the radio is there|it is plugged in)", record["failures"][0])
    assert time.monotonic() - began < 15.0  # nothing hangs


def test_a_round_that_is_begun_again_has_later_instants(lab):
    _, rounds, theta = lab
    assert "repeated" not in run_round(rounds, 0, theta).record
    absent = Absent(rounds.proxy, (0, 1, 2), {(1, "Prepare"): 1, (1, "Transmit"): 1})
    object.__setattr__(rounds, "proxy", absent)
    record = run_round(rounds, 1, theta).record
    assert set(absent.times.values()) == {0}
    assert "failed" not in record
    assert (record["devices"], len(record["repeated"])) == ([0, 1, 2], 2)
    assert np.abs(record["residual_phase_rad"]).max() < 0.1


def test_a_run_whose_receiver_vanishes_says_so_in_every_round(lab):
    bench, rounds, theta = lab
    rounds.run(0, theta)
    bench.unplug(3)
    began = time.monotonic()
    for index in (1, 2):
        assert bench.uris[3] in rounds.run(index, theta).record["failed"]
    assert time.monotonic() - began < 15.0


def test_a_line_without_edges_is_said_with_what_to_check():
    """Two radios that listen to a line which nobody pulls."""
    air = StreamAirConfig(impairments=scenario("bench"), receiver=2)
    with VirtualBench(3, air, model=PlutoModel(tdd=True), patience_s=30.0, first_host=first_host()) as bench:
        uris = [bench.uris[2], *bench.uris[:2]]
        radio = TINY["radio"] | {"uris": uris, "trigger": "external"}
        experiment = build(TINY | {"fleet": {"devices": 2, "held_out": 1}, "radio": radio})
        with open_bench(prepare(Arm("", experiment))) as opened:
            record = opened.rounds.run(0, initial_parameters(opened.rounds.proxy)).record
    assert re.search(
        r"no sounding preamble within 0.2 s of arming; see that the trigger line", record["failed"]
    )


def test_devices_that_miss_a_round_keep_their_update(lab):
    bench, rounds, theta = lab
    bench.unplug(1)
    rounds.run(0, theta)
    memories = save_memories(rounds.experiment, rounds.proxy)
    assert np.any(memories[1])
