"""A run seen from another terminal, by its folder alone."""

import json
import os
import platform
import subprocess
import sys
import time

import msgspec
import pytest
from run_folder import link_record, write_arm, write_joint
from typer.testing import CliRunner

from server.__main__ import app
from server.board import DeviceNow, FleetNow
from server.status import read_status, seconds_left


def told(folder, **entries):
    """Entries of the manifest, and a fleet of three."""
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | entries))
    config = (folder / "config.toml").read_text().replace("\n[fleet]\ndevices = 3\n", "")
    (folder / "config.toml").write_text(config + "\n[fleet]\ndevices = 3\n")
    return folder


def gone():
    """A process id that nobody has any more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def test_a_running_arm_has_its_round_its_figures_and_its_time_left(tmp_path):
    write_arm(tmp_path / "run", finished=False)
    (status,) = read_status(told(tmp_path / "run", host=platform.node(), pid=os.getpid()))
    assert (status.state, status.rounds, status.planned, status.failed) == ("running", 6, 12, 0)
    assert status.latest == {"nmse": 0.1, "nmse_air": 0.001, "gap_s": None, "accuracy": pytest.approx(0.66)}
    assert status.round_s == pytest.approx(65.0 / 6)
    assert seconds_left(status) == pytest.approx(65.0)  # as many rounds again
    assert [(d.state, d.last_sent, d.num_sent) for d in status.devices] == [("sent", 5, 6)] * 3


def test_a_process_that_is_gone_has_stopped_and_one_elsewhere_is_judged_by_its_silence(tmp_path):
    write_arm(tmp_path / "run", finished=False)
    folder = told(tmp_path / "run", host=platform.node(), pid=gone())
    assert read_status(folder)[0].state == "stopped"
    told(folder, host="another")
    assert read_status(folder)[0].state == "running"
    for age_s, state in ((115.0, "running"), (130.0, "silent")):  # ten rounds take 108 s, patience is 120
        stamp = os.stat(folder / "rounds.jsonl").st_ctime - age_s
        os.utime(folder / "rounds.jsonl", (stamp, stamp))
        assert read_status(folder)[0].state == state
    assert seconds_left(read_status(folder)[0]) is None


def test_devices_are_told_apart_by_what_became_of_them(tmp_path):
    last = link_record(5, [0, 1, 2]) | {
        "devices": [0], "sitting_out": [1], "failures": ["device 2, transmit: the link is lost"],
    }  # fmt: skip
    write_arm(tmp_path / "run", finished=False, changes={5: last})
    devices = read_status(told(tmp_path / "run"))[0].devices
    assert [device.state for device in devices] == ["sent", "sat out", "failed"]
    assert [device.last_sent for device in devices] == [5, 4, 4]
    assert devices[2].reason == "transmit: the link is lost"


def test_a_failed_round_is_nobodys_and_says_why(tmp_path):
    failed = {"round": 5, "active": [0, 2], "failures": [], "failed": "no preamble"}
    write_arm(tmp_path / "run", finished=False, changes={5: failed})
    (status,) = read_status(told(tmp_path / "run"))
    assert [device.state for device in status.devices] == ["round failed", "not asked", "round failed"]
    assert (status.failed, status.last_failure) == (1, "round 6: no preamble")
    assert status.latest["nmse"] == 0.1  # of the last round that was one


def post(folder, *devices, pid=None):
    board = FleetNow(devices, round=6, pid=os.getpid() if pid is None else pid)
    (folder / "fleet.json").write_bytes(msgspec.json.encode(board))


def test_a_run_that_goes_on_says_where_its_devices_are_and_at_what(tmp_path):
    write_arm(tmp_path / "run", finished=False)
    now = time.time()
    told(tmp_path / "run", host=platform.node(), pid=os.getpid())
    post(
        tmp_path / "run",
        DeviceNow(0, "connected", "desk-1", since=now - 7200.5),
        DeviceNow(1, "connected", "desk-1", since=now - 50.5, working_on="train", asked=now - 430.0),
        DeviceNow(2, "lost", "desk-2", since=now - 2415.0),
        DeviceNow(3, "not come"),
    )
    devices = read_status(tmp_path / "run")[0].devices
    assert [(device.state, device.now.presence) for device in devices] == [
        ("sent", "connected"), ("sent", "connected"), ("sent", "lost"), ("held out", "not come")
    ]  # fmt: skip
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "run")]).output.splitlines()
    rows = [line.split() for line in shown[-4:]]
    assert [row[:-5] for row in rows[:3]] == [
        ["0", "desk-1", "connected", "for", "2.0", "h"],
        ["1", "desk-1", "at", "train", "for", "7", "min"],
        ["2", "desk-2", "lost", "for", "40", "min"],
    ]
    assert rows[3][:4] == ["3", "-", "not", "come"]


def test_of_a_run_that_stopped_nobody_is_there_any_more(tmp_path):
    write_arm(tmp_path / "run", finished=False)
    told(tmp_path / "run", host=platform.node(), pid=gone())
    post(tmp_path / "run", DeviceNow(0, "connected"), pid=gone())
    (status,) = read_status(tmp_path / "run")
    assert (status.state, {device.now for device in status.devices}) == ("stopped", {None})


def test_a_run_waits_until_its_devices_have_come_at_the_start_and_when_it_goes_on(tmp_path):
    write_arm(tmp_path / "run", rounds=0, finished=False)
    told(tmp_path / "run", host=platform.node(), pid=os.getpid())
    post(tmp_path / "run", DeviceNow(0, "connected"), DeviceNow(1, "opening"))
    assert read_status(tmp_path / "run")[0].state == "waiting"
    post(tmp_path / "run", DeviceNow(0, "connected"), DeviceNow(1, "connected"))
    assert read_status(tmp_path / "run")[0].state == "running"
    write_arm(tmp_path / "again", finished=False)
    told(tmp_path / "again", host=platform.node(), pid=gone())  # of the process before
    post(tmp_path / "again", DeviceNow(0, "not come"))
    assert read_status(tmp_path / "again")[0].state == "waiting"


def test_what_was_begun_again_is_counted_and_a_device_that_was_lost_has_failed(tmp_path):
    last = link_record(5, [0, 1]) | {
        "active": [0, 1, 2], "sitting_out": [2], "failures": ["device 2, sound: its process is not there"],
        "repeated": ["too few", "too few"],
    }  # fmt: skip
    write_arm(tmp_path / "run", finished=False, changes={5: last})
    (status,) = read_status(told(tmp_path / "run"))
    assert status.repeats == 2
    assert (status.devices[2].state, status.devices[2].reason) == (
        "failed",
        "sound: its process is not there",
    )
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "run")]).output
    assert "begun again for want of a quorum: 2 times" in shown


def test_the_command_shows_every_arm(tmp_path):
    write_joint(tmp_path / "run", ideal={}, phase={"finished": False})
    told(tmp_path / "run" / "phase", host=platform.node(), pid=os.getpid())
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "run")])
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert lines[1].split()[:3] == ["ideal", "complete", "6/6"]
    assert lines[2].split()[:3] == ["phase", "running", "6/12"]
    assert "-10.0 dB" in lines[2]
    assert lines[-1].split()[:2] == ["2", "sent"]


def test_a_folder_without_a_run_is_refused(tmp_path):
    shown = CliRunner().invoke(app, ["status", str(tmp_path)])
    assert shown.exit_code == 2
    assert "holds no run" in shown.output
