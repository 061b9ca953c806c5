"""A run goes on while strangers of all kinds are at the door, all the time: its bits, its memory, its log.

AIRMETA_FUZZ_S says how long, 300 for a thorough run; with --log-cli-level=INFO it says what was measured.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from devices.wire.keys import ALLOWED, make_keys, read_device_keys
from devices.wire.packing import FRAME_BYTES
from server.checkpoint import read_checkpoint
from server.door import MAX_STRANGERS
from server.experiment import run_arm
from server.turnstile import BACKLOG
from tests.server.besieged_server import NUM_DEVICES, NUM_HELD_OUT, tables_for
from tests.server.fleet import make_rounds
from tests.server.missing import assert_same_end
from tests.server.remote import Process

ROOT = Path(__file__).resolve().parent.parent.parent
SIEGE_S = float(os.environ.get("AIRMETA_FUZZ_S", "5"))
CAUSES = (  # of lines
    "was not let in: key ",
    "does not speak the protocol, or has no key or a wrong one",
    "ended during the handshake",
    "nobody else until some end",
)
_log = logging.getLogger(__name__)
MOST_CONNECTIONS = NUM_DEVICES + NUM_HELD_OUT + MAX_STRANGERS + BACKLOG
SLACK_BYTES = 64 << 20  # for what a process that works holds more than one that has just begun
LEAK_BYTES = 2 << 20  # that may stay allocated of a crowd that has gone: a few KiB for each who tried
SETTLING_S = 2.0  # after which connections of those who have gone are forgotten


class Scales(threading.Thread):
    """Weighs a process, again and again: (resident bytes, open files)."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._process, self._over = Path("/proc") / str(pid), threading.Event()
        self.weighed = []

    def run(self):
        while not self._over.wait(0.05):
            resident = int((self._process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            self.weighed.append((resident, len(os.listdir(self._process / "fd"))))

    def stop(self):
        self._over.set()
        self.join()
        return self.weighed


def wait_for(condition, deadline_s=60.0):
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.timeout(4 * SIEGE_S + 200)
def test_strangers_of_all_kinds_change_nothing_and_cost_little(tmp_path):
    keys, others, folder = tmp_path / "keys", tmp_path / "others", tmp_path / "there"
    make_keys(keys, ("known", "judge", "struck"))
    make_keys(others, ("known",))
    allowed = keys / ALLOWED
    listed = allowed.read_bytes().splitlines(True)
    allowed.write_bytes(b"".join(line for line in listed if not line.startswith(b"struck")))

    def run(module, *words, **pipes):
        command = [sys.executable, "-m", f"tests.server.{module}", *map(str, words)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **pipes)
        running.callback(process.communicate)
        running.callback(process.kill)
        return process

    with ExitStack() as running, (tmp_path / "log").open("wb") as log:
        counted = os.environ | {"PYTHONMALLOC": "malloc"}  # objects of Python too
        server = run("besieged_server", folder, keys, stdin=subprocess.PIPE, stderr=log, env=counted)
        url = server.stdout.readline().strip()
        devices = [
            Process(url, name, count, keys=read_device_keys(keys, name))
            for name, count in (("known", 4), ("judge", 2))
        ]
        wait_for(lambda: read_checkpoint(folder) is not None)
        scales = Scales(server.pid)
        scales.start()
        wait_for(lambda: len(scales.weighed) >= 5)
        before_bytes = max(resident for resident, _ in scales.weighed)
        began_s = time.monotonic()
        crowd = run("crowd", url, keys, others, stdin=subprocess.PIPE)
        time.sleep(SIEGE_S)
        tries = json.loads(crowd.communicate(timeout=30)[0])
        weighed, over_s = scales.stop(), time.monotonic()
        assert crowd.returncode == 0
        time.sleep(SETTLING_S)
        allocated = json.loads(server.communicate(timeout=60)[0])
        assert server.returncode == 0, (tmp_path / "log").read_text()
        for device in devices:
            device.join()
            assert device.error is None
    assert len(tries) == 8
    assert min(tries.values()) > 0

    there = read_checkpoint(folder)
    assert there.round >= 20
    run_arm(tmp_path / "here", make_rounds(fading="rayleigh", **tables_for(there.round)), lambda record: None)
    assert_same_end(tmp_path / "here", folder)

    most_bytes, most_files = map(max, zip(*weighed, strict=True))
    _log.info("%s; %d rounds; KiB resident: %d before, %d at most; %d files", tries, there.round, before_bytes >> 10,
              most_bytes >> 10, most_files)  # fmt: skip
    assert most_bytes - before_bytes < MOST_CONNECTIONS * FRAME_BYTES + SLACK_BYTES
    assert most_files < MOST_CONNECTIONS + 100

    said = (tmp_path / "log").read_text().splitlines()
    _log.info("\n".join(said))
    minutes = 1 + int((SIEGE_S + 10.0) // 60.0)
    for cause in CAUSES:
        assert 1 <= sum(cause in line for line in said) <= minutes, cause
    assert len(said) <= len(CAUSES) * minutes, said
    if not allocated:
        pytest.skip(
            "whether the crowd left anything allocated: needs a C library with mallinfo2, glibc 2.33 or later"
        )
    had = [held for at_s, held in allocated if at_s < began_s]
    left = [held for at_s, held in allocated if at_s > over_s + SETTLING_S / 2.0]
    _log.info("KiB allocated: %d before, %d after", max(had) >> 10, min(left) >> 10)
    assert min(left) - max(had) < LEAK_BYTES  # resident memory cannot tell: what is freed stays for later use
