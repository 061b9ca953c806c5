"""Processes that are killed or stand still, on either side: what the run comes to is what it has to come to."""

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from server.experiment import run_arm
from server.recorder import read_rounds
from tests.server.fleet import make_rounds
from tests.server.missing import Missing, assert_same_end
from tests.server.quadratic_server import TABLES
from tests.server.remote import Process, open_fleet

ROOT = Path(__file__).resolve().parent.parent.parent
VICTIM = 1
FAULTS = {  # round: what befalls the victim's process, and whether the round has to go on without it
    1: ("kill", "Train", True),
    2: ("kill", "Sound", True),
    3: ("kill", "Prepare", True),
    4: ("kill", "Transmit", True),
    5: ("kill", "Acknowledge", False),  # what it sent has been used
    6: ("stop", "Train", True),
    7: ("stop", "Transmit", True),
    8: ("stop", "Acknowledge", False),
    9: ("stop", "Sound", True),
    10: ("stop", "Prepare", True),
}
MISSED = {number: what for number, (_, what, is_out) in FAULTS.items() if is_out}
FAULTY = {
    "run": {"rounds": 12, "test_tasks": 4, "progress_tasks": 2, "evaluate_every": 100, "checkpoint_every": 3},
    "fleet": {"devices": 3, "held_out": 1, "quorum": 2},
}


def test_a_device_that_is_killed_or_frozen_in_any_phase_is_left_out_and_loses_nothing(tmp_path):
    rounds = make_rounds(fading="rayleigh", **FAULTY)
    object.__setattr__(rounds, "proxy", Missing(rounds.proxy, VICTIM, MISSED))
    run_arm(tmp_path / "here", rounds, lambda record: None)

    faults = [f"{kind}:{what}:{number}" for number, (kind, what, _) in FAULTS.items()]
    running = []

    def start(fleet):
        words = [
            sys.executable,
            "-m",
            "tests.server.quadratic_process",
            fleet.url,
            "victim",
            str(VICTIM),
            "-",
            *faults,
        ]
        running.append(subprocess.Popen(words, cwd=ROOT))

    spans_s = []

    def bring_back(record):
        """Between rounds, so that it is certain which of them it missed."""
        spans_s.append(time.monotonic())
        if record["round"] in FAULTS and FAULTS[record["round"]][0] == "stop":
            running[-1].send_signal(signal.SIGCONT)
        elif record["round"] in FAULTS:
            assert running[-1].wait(5) == -signal.SIGKILL
            start(fleet)
        fleet.wait_for_all(10.0)
        spans_s.append(time.monotonic())

    with open_fleet(devices=3, held_out=1) as fleet:
        Process(fleet.url, "first", first=0)
        Process(fleet.url, "others", 2, first=2)
        start(fleet)
        try:
            fleet.wait_for_all(10.0)
            remote = make_rounds(fading="rayleigh", **FAULTY)
            object.__setattr__(remote, "proxy", fleet)
            run_arm(tmp_path / "there", remote, bring_back)
        finally:
            for process in running:
                process.kill()
                process.wait()
    assert_same_end(tmp_path / "here", tmp_path / "there")
    records = read_rounds(tmp_path / "there")
    assert [record["round"] for record in records if VICTIM not in record["devices"]] == sorted(MISSED)
    assert not any("failed" in record for record in records)
    # lost_s after it fell silent, and not the 5 s that an answer may take
    assert max(np.diff(spans_s)[1::2]) < 3.0


def test_a_round_whose_quorum_is_killed_or_frozen_in_any_phase_is_the_round_that_it_would_have_been(tmp_path):
    """All are needed, so whatever befalls one process begins a round again, and nobody is told when it is back."""
    tables = FAULTY | {"fleet": FAULTY["fleet"] | {"quorum": 3}}
    run_arm(tmp_path / "here", make_rounds(fading="rayleigh", **tables), lambda record: None)
    faults = [f"{kind}:{what}:{number}" for number, (kind, what, _) in FAULTS.items()]
    over = threading.Event()
    with open_fleet(devices=3, held_out=1, quorum=3, return_s=20.0) as fleet:
        words = [
            sys.executable,
            "-m",
            "tests.server.quadratic_process",
            fleet.url,
            "victim",
            str(VICTIM),
            "-",
        ]

        def keep():
            """As an init system does, and somebody who wakes what stands still."""
            process = subprocess.Popen([*words, *faults], cwd=ROOT)
            while not over.wait(0.05):
                if process.poll() is not None:
                    del faults[0]  # of a fault it died; those before it are over
                    process = subprocess.Popen([*words, *faults], cwd=ROOT)
                elif Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0] == "T":
                    over.wait(1.5)  # longer than lost_s
                    process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

        Process(fleet.url, "first", first=0)
        Process(fleet.url, "others", 2, first=2)
        keeper = threading.Thread(target=keep)
        keeper.start()
        try:
            fleet.wait_for_all(10.0)
            remote = make_rounds(fading="rayleigh", **tables)
            object.__setattr__(remote, "proxy", fleet)
            run_arm(tmp_path / "there", remote, lambda record: None)
        finally:
            over.set()
            keeper.join()
    assert_same_end(tmp_path / "here", tmp_path / "there")
    records = read_rounds(tmp_path / "there")
    assert set(MISSED) <= {record["round"] for record in records if "repeated" in record}
    assert [record | {"repeated": None} for record in records] == [
        record | {"repeated": None} for record in read_rounds(tmp_path / "here")
    ]


def test_evaluation_waits_for_a_process_that_is_started_again(tmp_path):
    run_arm(tmp_path / "here", make_rounds(**FAULTY), lambda record: None)
    with open_fleet(devices=3, held_out=1, return_s=60.0) as fleet:
        Process(fleet.url, "training", 3, first=0)
        words = [sys.executable, "-m", "tests.server.quadratic_process", fleet.url, "judge", "3", "-"]
        judge = subprocess.Popen([*words, "kill:Evaluate:-1"], cwd=ROOT)  # at its first evaluation
        fleet.wait_for_all(10.0)
        remote = make_rounds(**FAULTY)
        object.__setattr__(remote, "proxy", fleet)
        again = []

        def start_again():
            judge.wait(60)
            again.append(subprocess.Popen(words, cwd=ROOT))

        watcher = threading.Thread(target=start_again)
        watcher.start()
        try:
            run_arm(tmp_path / "there", remote, lambda record: None)
        finally:
            judge.kill()
            watcher.join()
            for process in again:
                process.kill()
                process.wait()
    assert_same_end(tmp_path / "here", tmp_path / "there")
    assert read_rounds(tmp_path / "here") == read_rounds(tmp_path / "there")


@contextmanager
def fleet_of_clients(url):
    processes = [Process(url, "one", 2), Process(url, "two", 3), Process(url, "three", 1)]
    yield processes
    for process in processes:
        process.stop()


def test_a_server_that_is_killed_in_any_phase_goes_on_where_it_was_with_the_fleet_that_comes_back(tmp_path):
    run_arm(tmp_path / "here", make_rounds(fading="rayleigh", **TABLES), lambda record: None)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    dooms = ["Train:1:after", "Sound:2:after", "Prepare:4:before", "Transmit:5:after", "Acknowledge:7:before"]
    words = [sys.executable, "-m", "tests.server.quadratic_server", str(tmp_path / "there"), url]
    with fleet_of_clients(url) as processes:
        for doom in dooms:
            assert subprocess.run([*words, doom], cwd=ROOT, timeout=30).returncode == -signal.SIGKILL, doom
        assert subprocess.run(words, cwd=ROOT, timeout=30).returncode == 0
        for process in processes:  # they were told that all is over
            process.join()
            assert process.error is None
    assert_same_end(tmp_path / "here", tmp_path / "there")
    assert read_rounds(tmp_path / "here") == read_rounds(tmp_path / "there")
