"""Profiles of radios whose devices are processes of their own: the bits of one process, and the right radios."""

import json
import re

import msgspec
import pytest

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
from calibration.profile import Profile, write_profile
from server.checkpoint import read_checkpoint
from server.config_file import load_arms
from tests.server.known_profile import known_profile
from tests.test_processes import run_here, run_in_processes

CONFIG = """
[run]
rounds = 3
seed = 7
test_tasks = 2
progress_tasks = 2
evaluate_every = 100
[model]
name = "mlp"
width = 4
[fleet]
devices = 2
held_out = 1
[link]
snr_db = 40.0
gap_s = 0.01
round_s = 0.5
[radio]
preset = "1M"
block_s = 0.004
lead_s = 0.04
[safety]
allowed_bands_hz = [[902e6, 928e6]]
max_duty = 1.0
[air]
scenario = "identity"
random_phase = true
near_far_db = 6.0
image_db = -20.0
lo_leakage_db = -20.0
saturation_db = -6.0
"""
ARM = """
[[arm]]
name = "{backend}"
link = {{ backend = "{backend}" }}
radio = {{ profile = "{path}" }}
"""
BACKENDS = ("waveform", "pluto")


@pytest.fixture
def config(tmp_path):
    """Two arms, each with the profile of its radios."""
    text = CONFIG + "".join(ARM.format(backend=b, path=tmp_path / f"{b}.json") for b in BACKENDS)
    (tmp_path / "config.toml").write_text(text)
    for arm in load_arms(tmp_path / "config.toml"):
        write_profile(tmp_path / f"{arm.name}.json", known_profile(arm.experiment))
    return tmp_path / "config.toml"


def found(folder, name):
    return json.loads((folder / name).read_text())


def test_processes_apply_what_one_process_does_to_the_same_bits_on_a_waveform(config, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    run_here(config, here)
    run_in_processes(config, there, "--count", 2)
    theta = [read_checkpoint(place / "waveform").theta.tobytes() for place in (here, there)]
    assert theta[0] == theta[1]
    records = [(place / "waveform" / "rounds.jsonl").read_text() for place in (here, there)]
    assert records[0] == records[1]
    profile = known_profile(load_arms(config)[0].experiment)
    gains_db = [each.gain_db.value for each in profile.devices]
    wanted_db = max(gains_db) - min(gains_db)
    strong = str(gains_db.index(max(gains_db)))
    assert wanted_db > 1.0
    for backend in BACKENDS:
        facts = [found(place / backend, "manifest.json")["profile"] for place in (here, there)]
        assert facts[0] == facts[1]
        level_db, tx_gain_db = (facts[0][key][strong] for key in ("levels_db", "tx_gains_db"))
        if backend == "pluto":  # whose attenuator takes whole steps
            assert tx_gain_db == -30.0 - 0.25 * int(wanted_db / 0.25)
            assert level_db + tx_gain_db == pytest.approx(-30.0 - wanted_db, abs=1e-3)
        else:
            assert (tx_gain_db, level_db) == pytest.approx((0.0, -wanted_db), abs=1e-3)
        for place in (here, there):
            summary = found(place / backend, "summary.json")
            assert summary["failed_rounds"] == 0
            # about -20 by images of -20 dB; noise of 40 dB, 3 more of it by the level, and sounding leave this
            assert summary["nmse_amplitude_db"] < -33.0


def test_a_device_process_refuses_a_radio_that_the_profile_does_not_know_there(config, tmp_path):
    plutos = load_arms(config)[1].experiment
    held = msgspec.to_builtins(known_profile(plutos))
    one, two = (each["serial"] for each in held["devices"])
    held["devices"][0]["serial"], held["devices"][1]["serial"] = two, one
    write_profile(tmp_path / "pluto.json", msgspec.convert(held, Profile))
    alone = tmp_path / "alone.toml"
    alone.write_text(CONFIG)
    words = ("--set", "link.backend=pluto", "--set", f"radio.profile={tmp_path / 'pluto.json'}")
    with pytest.raises(AssertionError) as refused:
        run_in_processes(alone, tmp_path / "there", "--count", 2, *words)
    patterns = [
        f"device {here} has radio {serial}, which the server's radio.profile knows as device {there}, and {other} as "
        f"device {here}: they are swapped; exchange them, in radio.uris or at --radio"
        for here, there, serial, other in ((0, 1, one, two), (1, 0, two, one))
    ]
    assert any(re.search(pattern, str(refused.value)) for pattern in patterns)
