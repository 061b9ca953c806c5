"""`airmeta run --processes`: the bits of one process, and nothing left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from server.__main__ import app
from server.checkpoint import read_checkpoint
from tests.log_lines import events, read_log
from tests.server.test_pluto_run import CONFIG as PLUTOS

ROOT = Path(__file__).resolve().parent.parent
TINY = """
[run]
rounds = 5
test_tasks = 4
progress_tasks = 2
evaluate_every = 2
checkpoint_every = 2
[task]
ways = 3
shots = 2
queries = 2
[model]
name = "mlp"
width = 16
[fleet]
devices = 4
active = 3
held_out = 2
[link]
fading = "rayleigh"
[air]
start_offset_samples = 700
tap_delays_samples = [0, 2]
tap_powers_db = [0.0, -6.0]
"""
ARMS = """
[[arm]]
name = "symbol"
link = { backend = "symbol" }
[[arm]]
name = "waveform"
link = { backend = "waveform", scheme = "mmse" }
update = { support = "shared-vote" }
fleet = { power_db = [0.0, -3.0, 3.0, 0.0] }
[[arm]]
name = "bits"
link = { backend = "symbol", scheme = "digital" }
"""


def airmeta(*words):
    return [sys.executable, "-m", "server", *map(str, words)]


def run_here(config, out, *words):
    done = CliRunner().invoke(app, ["run", str(config), "--out", str(out), *map(str, words)])
    assert done.exit_code == 0, done.output


def run_in_processes(config, out, *words):
    done = subprocess.run(
        airmeta("run", config, "--out", out, "--processes", *words),
        cwd=ROOT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def descendants(folder):
    """Processes whose output goes to a run's folder."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            if str(folder) in os.readlink(link):
                found.append(int(link.parts[2]))
        except OSError:
            continue
    return found


def test_processes_give_the_bits_of_one_process_on_symbols_on_a_waveform_with_a_vote_and_without_air(
    tmp_path,
):
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    config = tmp_path / "tiny.toml"
    config.write_text(TINY + ARMS)
    run_here(config, tmp_path / "here")
    run_in_processes(config, tmp_path / "there", "--count", 2)
    for arm in ("symbol", "waveform", "bits"):
        here, there = (read_checkpoint(tmp_path / place / arm) for place in ("here", "there"))
        assert here.round == there.round == 5
        assert here.theta.tobytes() == there.theta.tobytes()
        for mine, theirs in ((here.memories, there.memories), (here.support, there.support)):
            assert {n: v.tobytes() for n, v in mine.items()} == {n: v.tobytes() for n, v in theirs.items()}
        records = [(tmp_path / place / arm / "rounds.jsonl").read_text() for place in ("here", "there")]
        assert records[0] == records[1]
        hosts = json.loads((tmp_path / "there" / arm / "manifest.json").read_text())["hosts"]
        assert {name: host["devices"] for name, host in hosts.items()} == {
            "device-0": [0, 1], "device-2": [2, 3], "held-out": [4, 5],
        }  # fmt: skip
        manifest = json.loads((tmp_path / "here" / arm / "manifest.json").read_text())
        for host in hosts.values():  # the same installation, which the other run was made with too
            assert {name: host[name] for name in ("host", "machine", "python")} == {
                name: manifest[name] for name in ("host", "machine", "python")
            }
            versions = manifest["versions"]
            assert {name: host.get(name) for name in versions} | {"gnuradio": None} == versions | {
                "gnuradio": None
            }
            assert host.get("commit") == manifest["commit"]
            assert host["torch"]
            assert host["airmeta"]
        logs = tmp_path / "there" / arm / "logs"
        for name, host in hosts.items():
            lines = read_log(logs / f"{name}.log")
            assert {line["process"] for line in lines} == {name}
            events = [line["event"] for line in lines if "round" not in line]
            assert events[:2] == ["welcome", "ready"]
            assert events[2] in ("departure", "stop")  # the word to go, or the signal behind it
            acknowledged = {(line["round"], line["device"]) for line in lines if "round" in line}
            assert acknowledged == {
                (record["round"], device)
                for record in map(json.loads, records[0].splitlines())
                for device in record["active"]
                if device in host["devices"]
            }
    assert descendants(tmp_path) == []


def test_over_virtual_plutos_processes_lose_no_more_than_one_process_does(tmp_path):
    config = tmp_path / "plutos.toml"
    config.write_text(PLUTOS.format(rounds=16, devices=2))
    run_here(config, tmp_path / "here")
    run_in_processes(config, tmp_path / "there")
    here, there = (
        json.loads((tmp_path / place / "plutos" / "summary.json").read_text()) for place in ("here", "there")
    )
    assert there["failed_rounds"] == 0
    # the same channels and noise of the same law: a round differs by 0.7 dB and 0.2 dB, rms, 16 by a quarter of that
    errors = [
        np.array([json.loads(line)["nmse_air"] for line in path.read_text().splitlines()])
        for path in (
            tmp_path / "here" / "plutos" / "rounds.jsonl",
            tmp_path / "there" / "plutos" / "rounds.jsonl",
        )
    ]
    lost_db = 10.0 * np.log10(errors[1] / errors[0])
    assert lost_db.std(ddof=1) < 1.5
    assert abs(lost_db.mean()) < 4.0 * lost_db.std(ddof=1) / np.sqrt(len(lost_db))
    assert there["nmse_amplitude_db"] == pytest.approx(here["nmse_amplitude_db"], abs=0.2)
    manifest = json.loads((tmp_path / "there" / "plutos" / "manifest.json").read_text())
    uris = [radio["uri"] for host in manifest["hosts"].values() for radio in host["radios"]]
    assert len(uris) == 2
    assert all(re.match(r"ip:127\.", uri) for uri in [*uris, manifest["radios"][0]["uri"]])
    assert len({radio["serial"] for host in manifest["hosts"].values() for radio in host["radios"]}) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_no_process_behind(number, tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    words = ("--set", "link.backend=symbol", "--set", "run.rounds=10000", "--count", 4)
    with subprocess.Popen(
        airmeta("run", config, "--out", tmp_path / "out", "--processes", *words),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        try:
            wait_for_rounds(tmp_path / "out", 4, run)
            assert len(descendants(tmp_path)) == 2
            run.send_signal(number)
            _, complaint = run.communicate(timeout=20)
        finally:
            run.kill()
    if number != signal.SIGKILL:
        assert run.returncode == 1
        assert complaint.splitlines()[-1].startswith("interrupted; continue from the last checkpoint")
        last = read_log(tmp_path / "out" / "logs" / "server.log")[-1]
        assert (last["event"], last["message"]) == ("stop", "interrupted")
        for name in ("device-0", "held-out"):
            assert "stop" in dict(events(tmp_path / "out" / "logs" / f"{name}.log"))
        assert not (tmp_path / "out" / "fleet.json").exists()
    deadline = time.monotonic() + 15  # of whoever is killed, the kernel closes the leash
    while descendants(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert number == signal.SIGKILL or not list((tmp_path / "out").rglob("*.new"))


def wait_for_rounds(folder, count, process):
    deadline = time.monotonic() + 60
    rounds = folder / "rounds.jsonl"
    while not (rounds.exists() and rounds.read_text().count("\n") >= count):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.returncode
        time.sleep(0.02)


def test_a_server_that_is_killed_is_resumed_with_the_fleet_that_comes_back_all_with_keys(tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    words = ("--set", "link.backend=symbol", "--set", "run.rounds=12", "--set", "fleet.lost_s=3")
    run_here(config, tmp_path / "here", *words)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    keys = tmp_path / "keys"
    made = CliRunner().invoke(app, ["keys", str(keys), "left", "right"])
    assert made.exit_code == 0, made.output
    assert str(keys / "left.key") in made.output
    with ExitStack() as running:

        def start(*more):
            with (tmp_path / "log").open("ab") as log:
                process = subprocess.Popen(airmeta(*more), cwd=ROOT, stdout=log, stderr=log)
            running.callback(process.wait)
            running.callback(process.kill)
            return process

        serve = ("server", config, "--bind", url, "--keys", keys, "--out", tmp_path / "there", *words)
        server = start(*serve)
        devices = [
            start("device", "--server", url, "--id", name, "--count", 3, "--keys", keys)
            for name in ("left", "right")
        ]
        wait_for_rounds(tmp_path / "there", 3, server)
        server.kill()
        server.wait()
        again = start(*serve, "--resume")
        assert again.wait(60) == 0, (tmp_path / "log").read_text()
        assert [device.wait(20) for device in devices] == [0, 0]  # they were told that all is over
    here, there = (read_checkpoint(tmp_path / place) for place in ("here", "there"))
    assert here.theta.tobytes() == there.theta.tobytes()
    records = [(tmp_path / place / "rounds.jsonl").read_text() for place in ("here", "there")]
    assert records[0] == records[1]


def test_a_device_process_ends_with_a_signal_also_while_there_is_no_server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        with subprocess.Popen(
            airmeta("device", "--server", url, "--id", "a"), cwd=ROOT, stderr=subprocess.PIPE
        ) as it:
            probe.settimeout(30)
            probe.accept()[0].close()
            it.send_signal(signal.SIGINT)
            _, complaint = it.communicate(timeout=20)
    assert (it.returncode, complaint) == (0, b"")


def test_device_processes_that_die_are_started_again_and_the_run_goes_on(tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    words = ("--set", "link.backend=symbol", "--set", "run.rounds=24", "--count", 3)
    words += ("--set", "run.evaluate_every=18", "--set", "fleet.quorum=1", "--set", "fleet.active=0")
    with subprocess.Popen(
        airmeta("run", config, "--out", tmp_path / "out", "--processes", *words),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        try:
            wait_for_rounds(tmp_path / "out", 3, run)
            before = descendants(tmp_path)
            assert len(before) == 3
            for victim in before[:2]:
                os.kill(victim, signal.SIGKILL)
            _, complaint = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 0, complaint
    assert complaint.count("ended with exit code -9 and is started again") == 2
    log = read_log(tmp_path / "out" / "logs" / "server.log")
    assert [line["facts"]["code"] for line in log if line["event"] == "restart"] == [-9, -9]
    told = {name: [line for line in log if line["event"] == name] for name in ("arrival", "lost", "round")}
    assert len(told["arrival"]) == 3 + 2
    assert len(told["lost"]) == 2
    assert all("round" in line for line in told["lost"])
    assert [line["round"] for line in told["round"]] == list(range(24))
    left_out = [line for line in log if line["event"] == "device failed" and "round" in line]
    for line in left_out:
        assert line["message"].startswith(f"device {line['device']}, ")
    assert descendants(tmp_path) == []
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["rounds"] == 24


def test_another_terminal_sees_a_run_its_devices_and_which_of_them_was_lost(tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    words = ("--set", "link.backend=symbol", "--set", "run.rounds=10000", "--count", 2)
    words += ("--set", "fleet.active=0", "--set", "fleet.quorum=4", "--set", "fleet.beat_s=0.2")

    def seen():
        shown = CliRunner().invoke(app, ["status", str(tmp_path / "out")]).stdout
        return {words[0]: words[1:] for line in shown.splitlines() if (words := line.split())}

    def until(holds):
        deadline = time.monotonic() + 60
        while not holds(found := seen()):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    with subprocess.Popen(
        airmeta("run", config, "--out", tmp_path / "out", "--processes", "--set", "fleet.lost_s=1", *words),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        try:
            begun = until(lambda found: found.get("phase", ["waiting"])[0] == "running" and "0" in found)
            assert {device: begun[device][0] for device in "012345"} == {
                "0": "device-0", "1": "device-0", "2": "device-2", "3": "device-2", "4": "held-out", "5": "held-out",
            }  # fmt: skip
            wait_for_rounds(tmp_path / "out", 3, run)
            manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
            assert set(manifest["hosts"]) == {"device-0", "device-2", "held-out"}
            pid = read_log(tmp_path / "out" / "logs" / "device-2.log")[0]["pid"]
            os.kill(pid, signal.SIGSTOP)
            try:
                found = until(lambda found: found["2"][1] == "lost" == found["3"][1])
                assert found["0"][1] in ("connected", "at")
                assert found["phase"][0] == "running"
                rounds = found["phase"][1]
            finally:
                os.kill(pid, signal.SIGCONT)
            found = until(lambda found: found["2"][1] in ("connected", "at") and found["phase"][1] != rounds)
            run.send_signal(signal.SIGTERM)
            run.communicate(timeout=20)
        finally:
            run.kill()
    assert seen()["phase"][0] == "stopped"
    log = read_log(tmp_path / "out" / "logs" / "server.log")
    told = [line["event"] for line in log if line["event"] in ("lost", "waiting", "arrival", "repeat")]
    # one under way is begun again, one that begins meanwhile waits; it may come back before either
    presence = [event for event in told[3:] if event not in ("repeat", "waiting")]
    assert presence[:2] == ["lost", "arrival"]
    assert presence == ["lost", "arrival"] * (
        len(presence) // 2
    )  # again and again on a host that has no time for it


def test_a_process_that_cannot_do_its_work_ends_the_run_with_its_words(tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    words = ("--set", "link.backend=symbol", "--set", "task.shots=30", "--count", 4)
    done = subprocess.run(
        airmeta("run", config, "--out", tmp_path / "out", "--processes", *words),
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: device process ")
    assert "shots + queries is 30 + 2" in last
    assert descendants(tmp_path) == []


def test_a_server_runs_without_torch_and_names_devices_that_do_not_come(tmp_path):
    hidden = tmp_path / "hidden" / "torch"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('there is no torch here')")
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    words = ("--bind", "tcp://127.0.0.1:0", "--set", "fleet.return_s=0.1", "--out", tmp_path / "out")
    done = subprocess.run(
        airmeta("server", config, "--set", "link.backend=symbol", *words),
        cwd=ROOT, capture_output=True, text=True, timeout=60,
        env=os.environ | {"PYTHONPATH": f"{hidden.parent}:{ROOT}"},
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert (
        "error: devices 0 to 5 did not come within 0.1 s; start their processes with airmeta device"
        in done.stderr
    )
    assert re.search(r"^listening at tcp://127.0.0.1:\d+$", done.stdout, re.MULTILINE)


def refused(*words):
    done = CliRunner().invoke(app, list(map(str, words)))
    return done.exit_code, done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "{config}", "--count", 2), "--count 2 has no effect without --processes"),
        (("server", "{config}", "--bind", "tcp://0.0.0.0:0"), "--bind tcp://0.0.0.0:0 reaches beyond the loopback"),
        (("server", "{config}", "--bind", "tcp://*:0"), "where only devices with keys may connect"),
        (("server", "{config}", "--bind", "here"), "--bind here is not of the form tcp://ADDRESS:PORT"),
        (("server", "{config}", "--resume"), "--resume needs --out DIR"),
        (("server", "{config}", "--set", "link.backend=pluto", "--set", "link.fading=none",
          "--set", "air.tap_delays_samples=[0]", "--set", "air.tap_powers_db=[0.0]",
          "--set", "safety.allowed_bands_hz=[[902e6, 928e6]]"),
         "radio.uris names 0 radios, and a server opens the receiver alone"),
        (("device", "--server", "tcp://127.0.0.1:1", "--id", "a", "--count", 2, "--radio", "ip:b"),
         "--count 2 with 1 radios"),
        (("device", "--server", "tcp://127.0.0.1:1", "--id", "a", "--keys", "/nowhere"),
         "/nowhere/a.key: No such file or directory; make it with airmeta keys /nowhere"),
        (("keys", "{folder}", "a/b"), "a device cannot be called 'a/b'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(words, message, tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    code, complaint = refused(
        *(
            str(word).format(config=config, folder=tmp_path / "keys") if "{" in str(word) else word
            for word in words
        )
    )
    assert (code, complaint.count("\n")) == (2, 1), complaint
    assert message in complaint
    assert not (tmp_path / "keys").exists()


def test_a_url_that_is_none_is_refused():
    code, complaint = refused("device", "--server", "nowhere", "--id", "a")
    assert (code, complaint.count("\n")) == (1, 1)
    assert "--server nowhere: " in complaint
