"""docs/lab.md, step by step on virtual Plutos: its commands in order, each with an end, and nothing left behind."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from server.doctor import examine_radio
from server.lab_file import load_lab
from server.recorder import read_rounds
from tests.reference.benches import first_host

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "lab.md"
SHORT = ("run.rounds=4", "run.test_tasks=4", "run.progress_tasks=2", "run.evaluate_every=100")
STEP_S, READY_S, END_S = 120.0, 60.0, 30.0  # far more than it takes, unless somebody else has the processor


def steps():
    """Every command of the page, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


class Bench:
    """A reader's shell. host: address of his first radio; port: of his server; both may be others than the page's."""

    def __init__(self, folder, host, port):
        self.folder, self.host, self.port = folder, host, port
        self.jobs, self.said = [], {}
        for name in ("experiments", "docs"):
            (folder / name).symlink_to(ROOT / name)

    def follow(self, line):
        words = shlex.split(line)
        in_background = words[-1] == "&"
        match words[0]:
            case "cp":
                text = (self.folder / words[1]).read_text(encoding="utf-8")
                first, _, last = self.host.rpartition(".")
                for number in (2, 3, 4):
                    text = text.replace(f"127.0.0.{number}", f"{first}.{int(last) + number - 2}")
                (self.folder / words[2]).write_text(text.replace(":5750", f":{self.port}"), encoding="utf-8")
            case "kill":
                job = self.jobs[int(words[1].removeprefix("%")) - 1]
                job.send_signal(signal.SIGTERM)
                assert job.wait(END_S) == 0, self.said[job.args[3]]
            case "airmeta" if in_background:
                self.start(words[1:-1])
            case "airmeta":
                self.run(words[1:])
            case _:
                pytest.fail(f"what is this? {line}")

    def start(self, words):
        log = self.folder / f"job-{len(self.jobs) + 1}.log"
        if words[0] == "air":
            words = [*words, "--host", self.host, "--patience", "30"]  # with whoever else has the processor
        with log.open("w") as out:
            self.jobs.append(
                subprocess.Popen(
                    [sys.executable, "-m", "server", *words],
                    cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                )
            )  # fmt: skip
        deadline = time.monotonic() + READY_S
        while words[0] == "air" and "\nstop:" not in log.read_text():  # the page says to wait for that line
            assert self.jobs[-1].poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def run(self, words):
        if words[0] == "server":
            words = [*words, *(word for setting in SHORT for word in ("--set", setting))]
        done = subprocess.run(
            [sys.executable, "-m", "server", *words],
            cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=STEP_S,
        )  # fmt: skip
        self.said[words[0]] = done.stdout
        logs = "".join(path.read_text() for path in sorted(self.folder.glob("job-*.log")))
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}{logs}"

    def environment(self):
        return os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}

    def close(self):
        for job in self.jobs:
            job.kill()
            job.wait()


@contextmanager
def bench(folder):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    made = Bench(folder, first_host(), port)
    try:
        yield made
    finally:
        made.close()


def noise_floor_db(record, num_devices):
    """NMSE that noise alone leaves of a sum of unrelated sparse updates, by least squares on a support that is known:
    a share k/2M of the noise of each device, as 2M real numbers are received for the k that each of them sent."""
    snr = np.mean(10.0 ** ((np.array(record["gain_db"]) + record["snr_db"]) / 10.0))
    keep, measurements = 0.04, 0.4  # the defaults, k/d and M/d
    return 10.0 * np.log10(num_devices * keep / (2.0 * measurements) / (num_devices * snr))


def test_first_light_is_what_the_page_says_it_is(tmp_path):
    pytest.importorskip("adi", reason="needs pyadi-iio and pylibiio (extra radio)")
    with bench(tmp_path) as shell:
        for line in steps():
            shell.follow(line)
        air, *devices = shell.jobs
        assert [device.wait(END_S) for device in devices] == [0, 0, 0]  # they were told that the run is over
        assert air.returncode == 0
    lab = load_lab(tmp_path / "lab.toml")
    for share in lab.shares():
        assert not share.radio or examine_radio(share.radio).verdict == "missing"  # the air is gone
    assert "can start here: server, desk-1, desk-2, judge" in shell.said["doctor"]
    assert "complete" in shell.said["status"]

    summary = json.loads((tmp_path / "runs" / "first-light" / "summary.json").read_text())
    assert (summary["rounds"], summary["failed_rounds"], summary["backend"]) == (4, 0, "pluto")
    assert summary["nmse_air_db"] is None
    records = read_rounds(tmp_path / "runs" / "first-light")
    assert all(record["devices"] == [0, 1] for record in records)
    floor_db = np.mean([noise_floor_db(record, 2) for record in records])
    assert (
        floor_db - 3.0 < summary["nmse_db"] < floor_db + 5.0
    )  # related updates have less; the support is not known
    gains_db = [gain for record in records for gain in record["gain_db"]]
    assert gains_db == pytest.approx(
        [-30 + 7 - 53 + 50] * len(gains_db), abs=4.0
    )  # of Rician paths, K = 6 dB

    manifest = json.loads((tmp_path / "runs" / "first-light" / "manifest.json").read_text())
    hosts = manifest["hosts"]
    assert {name: host["devices"] for name, host in hosts.items()} == {
        "desk-1": [0],
        "desk-2": [1],
        "judge": [2, 3],
    }
    for entry in lab.devices:
        assert [radio["uri"] for radio in hosts[entry.name]["radios"]] == (
            [entry.radio] if entry.radio else []
        )
    assert [radio["uri"] for radio in manifest["radios"]] == [lab.server.radio]
