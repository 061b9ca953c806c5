"""A server and its devices on hosts of their own, as network namespaces are: addresses, keys, a link that is cut."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from devices.wire.keys import make_keys
from server.experiment import run_arm
from server.recorder import read_rounds
from tests.server.fleet import make_rounds
from tests.server.missing import assert_same_end
from tests.server.quadratic_server import tables_for

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("d0", "d1", "d2", "d3", "held0", "held1")
CUT_S = 10.0
PORT = 5750
VICTIM = 1


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, timeout=10)


@pytest.fixture
def network():
    """{host: namespace} of "server" at 10.77.0.1 and the devices from 10.77.0.2 on, joined by a bridge."""
    spaces = {host: f"airmeta-{os.getpid()}-{host}" for host in ("server", *NAMES)}
    with ExitStack() as made:
        for space in spaces.values():
            try:
                done = ip("netns", "add", space)
            except OSError as error:
                pytest.skip(f"needs the command ip: {error}")
            if done.returncode != 0:
                pytest.skip(f"needs leave to make network namespaces: {done.stderr.strip()}")
            made.callback(ip, "netns", "del", space)

        def inside(host, *words):
            done = ip("-n", spaces[host], *words)
            assert done.returncode == 0, done.stderr

        inside("server", "link", "add", "bridge", "type", "bridge")
        inside("server", "addr", "add", "10.77.0.1/24", "dev", "bridge")
        inside("server", "link", "set", "bridge", "up")
        for number, host in enumerate(NAMES, start=2):
            inside(
                "server", "link", "add", host, "type", "veth", "peer", "name", "eth", "netns", spaces[host]
            )
            inside("server", "link", "set", host, "master", "bridge", "up")
            inside(host, "addr", "add", f"10.77.0.{number}/24", "dev", "eth")
            inside(host, "link", "set", "eth", "up")
        yield spaces


def test_a_run_over_seven_hosts_survives_a_link_that_is_cut(network, tmp_path):
    make_keys(tmp_path / "keys", NAMES)
    url, folder = f"tcp://10.77.0.1:{PORT}", tmp_path / "run"
    with ExitStack() as running, (tmp_path / "log").open("ab") as log:

        def start(host, module, *words):
            command = ["ip", "netns", "exec", network[host], sys.executable, "-m", module, *map(str, words)]
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
            running.callback(process.wait)
            running.callback(process.kill)
            return process

        server = start("server", "tests.server.quadratic_server", folder, url, ":", tmp_path / "keys", 4)
        for number, host in enumerate(NAMES):
            nap = ("nap:Sound:3",) if number == VICTIM else ()  # in which its link is cut
            start(host, "tests.server.quadratic_process", url, host, number, tmp_path / "keys", *nap)
        deadline = time.monotonic() + 60.0
        while not (folder / "rounds.jsonl").exists() or len(read_rounds(folder)) < 3:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.01)
        assert ip("-n", network["server"], "link", "set", NAMES[VICTIM], "down").returncode == 0
        time.sleep(CUT_S)
        assert len(read_rounds(folder)) == 3  # this one lost its quorum and waits for it
        assert ip("-n", network["server"], "link", "set", NAMES[VICTIM], "up").returncode == 0
        assert server.wait(30) == 0, (tmp_path / "log").read_text()
    records = read_rounds(folder)
    assert [record["round"] for record in records if "repeated" in record] == [3]
    assert all(record["devices"] == [0, 1, 2, 3] for record in records)
    run_arm(tmp_path / "here", make_rounds(fading="rayleigh", **tables_for(4)), lambda record: None)
    assert_same_end(tmp_path / "here", folder)  # as if nothing had happened
