"""SIGINT and SIGTERM end every command at once, in order, and with a line in its log."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.__main__ import app
from server.checkpoint import read_checkpoint
from server.recorder import read_rounds
from tests.log_lines import events, read_log

ROOT = Path(__file__).resolve().parent.parent
TINY = """
[run]
rounds = 40
test_tasks = 2
progress_tasks = 2
checkpoint_every = 2
[task]
ways = 2
shots = 1
queries = 1
[model]
name = "mlp"
width = 4
[fleet]
devices = 2
held_out = 1
[link]
backend = "symbol"
"""
AT_ONCE_S = 15.0  # on a machine that has much else to do


@pytest.fixture
def start():
    """Starts commands, whose words come back with them."""
    with ExitStack() as running:

        def begin(*words):
            process = subprocess.Popen(
                [sys.executable, "-m", "server", *map(str, words)],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            running.enter_context(process)
            running.callback(process.kill)
            return process

        yield begin


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.toml").write_text(TINY)
    done = CliRunner().invoke(app, ["run", str(folder / "tiny.toml"), "--out", str(folder / "out")])
    assert done.exit_code == 0, done.output
    return folder / "out"


def until(holds, deadline_s=60.0):
    deadline = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def told(log, *wanted):
    """Whether a log has come to these events."""
    return log.exists() and set(wanted) <= {name for name, _ in events(log)}


def end(process, number):
    process.send_signal(number)
    _, complaint = process.communicate(timeout=AT_ONCE_S)
    return process.returncode, complaint


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_says_so_and_goes_on_to_the_same_bits(
    number, config, tmp_path, start, whole
):
    out = tmp_path / "out"
    process = start("run", config, "--out", out)
    until(lambda: (out / "rounds.jsonl").exists() and len(read_rounds(out)) >= 3)
    code, complaint = end(process, number)
    assert (code, complaint) == (
        1,
        "interrupted; continue from the last checkpoint with --resume and the same --out\n",
    )
    assert read_log(out / "logs" / "server.log")[-1]["message"] == "interrupted"
    assert not list(out.rglob("*.new"))
    assert not (out / "fleet.json").exists()
    done = CliRunner().invoke(app, ["run", str(config), "--resume", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert read_checkpoint(out).theta.tobytes() == read_checkpoint(whole).theta.tobytes()
    log = events(out / "logs" / "server.log")
    starts = [name for name, _ in log if name in ("start", "stop", "resume", "complete")]
    assert starts == ["start", "stop", "resume", "complete"]
    rounds = [index for name, index in log if name == "round"]
    resumed = next(
        line["facts"]["done"] for line in read_log(out / "logs" / "server.log") if line["event"] == "resume"
    )
    assert rounds[-(40 - resumed) :] == list(range(resumed, 40))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_device_at_work_and_a_server_that_waits_for_it_end_at_once(number, config, tmp_path, start):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    out, log = tmp_path / "out", tmp_path / "desk.log"
    endless = ("--set", "learning.local_steps=100000000", "--set", "fleet.return_s=100")
    server = start("server", config, "--bind", url, "--out", out, *endless)
    desk = start("device", "--server", url, "--id", "desk", "--count", 3, "--log", log)
    board = out / "fleet.json"
    until(lambda: board.exists() and '"train"' in board.read_text())
    code, complaint = end(desk, number)
    assert code == 0
    assert complaint.startswith("welcome as devices (0, 1, 2) of run ")
    assert complaint.count("\n") == 1
    last = read_log(log)[-1]
    assert (last["process"], last["event"], last["message"]) == ("desk", "stop", "told to end")
    until(lambda: told(out / "logs" / "server.log", "departure", "repeat", "waiting"))
    code, complaint = end(server, number)
    assert (code, complaint.splitlines()[-1]) == (
        1,
        "interrupted; continue from the last checkpoint with --resume and the same --out",
    )
    assert dict(events(out / "logs" / "server.log"))["repeat"] == 0  # of the first round
    assert read_log(out / "logs" / "server.log")[-1]["message"] == "interrupted"


def test_a_run_whose_devices_compute_without_end_ends_at_once(config, tmp_path, start):
    out = tmp_path / "out"
    process = start("run", config, "--out", out, "--set", "learning.local_steps=100000000")
    board = out / "fleet.json"
    until(lambda: board.exists() and '"train"' in board.read_text())
    code, complaint = end(process, signal.SIGTERM)
    assert (code, complaint.count("\n")) == (1, 1)
    assert complaint.startswith("interrupted; ")


def test_a_stopped_server_leaves_its_devices_waiting_and_a_signal_ends_them(config, tmp_path, start):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    out, log = tmp_path / "out", tmp_path / "desk.log"
    server = start("server", config, "--bind", url, "--out", out, "--set", "run.rounds=100000")
    desk = start("device", "--server", url, "--id", "desk", "--count", 3, "--log", log)
    until(lambda: told(out / "logs" / "server.log", "round"))
    assert end(server, signal.SIGTERM)[0] == 1
    until(lambda: told(log, "departure"))
    last = read_log(log)[-1]
    assert (last["event"], last["facts"]) == ("departure", {"over": False})
    assert desk.poll() is None
    assert end(desk, signal.SIGTERM)[0] == 0
    assert read_log(log)[-1]["event"] == "stop"


def test_a_log_that_cannot_be_kept_is_refused_in_one_line(tmp_path):
    done = CliRunner().invoke(
        app, ["device", "--server", "tcp://127.0.0.1:1", "--id", "a", "--log", str(tmp_path)]
    )
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "Is a directory" in done.stderr
    assert json.dumps(str(tmp_path)).strip('"') in done.stderr
    assert os.listdir(tmp_path) == []
