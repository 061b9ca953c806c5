"""A server of quadratic devices: python -m tests.server.besieged_server FOLDER KEYS

It prints its URL, runs rounds of the arm in FOLDER until standard input ends, and ends with the last checkpoint of
them. Its last line is JSON:
[[instant of CLOCK_MONOTONIC, bytes that are allocated], ...], which is all it holds with PYTHONMALLOC=malloc, and empty
where the C library cannot tell.
"""

import ctypes
import json
import logging
import sys
import threading
import time
from pathlib import Path

from devices.wire.envelope import Pulse
from server.experiment import run_arm
from server.fleet import Fleet
from server.switchboard import Terms
from tests.server.fleet import make_rounds
from tests.server.remote import settings

NUM_DEVICES, NUM_HELD_OUT = 4, 2
WEIGHED_EVERY_S = 0.5
PATIENT = Pulse(beat_s=0.5, lost_s=60.0)  # a crowd may take the processor; devices are not to be lost by that


def tables_for(num_rounds):
    """As many rounds as there is time for, or those that there was time for."""
    run = {
        "rounds": num_rounds,
        "test_tasks": 4,
        "progress_tasks": 2,
        "evaluate_every": 100,
        "checkpoint_every": 10,
    }
    return {"run": run, "fleet": {"devices": NUM_DEVICES, "held_out": NUM_HELD_OUT, "active": 3}}


class Mallinfo2(ctypes.Structure):
    """mallinfo(3), of glibc 2.33."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def allocated_bytes():
    """What was allocated and not freed yet; unlike resident memory it does not know what is kept for later use."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return None
    mallinfo2.restype = Mallinfo2
    held = mallinfo2()
    return held.uordblks + held.hblkhd


class TimeIsUp(Exception):
    """Enough rounds."""


def main(folder, keys):
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    terms = Terms(settings=settings(NUM_DEVICES, NUM_HELD_OUT), pulse=PATIENT, reply_s=60.0, return_s=60.0)
    fleet = Fleet(terms, "tcp://127.0.0.1:0", Path(keys))
    sys.stdout.write(f"{fleet.url}\n")
    sys.stdout.flush()
    fleet.wait_for_all(60.0)
    rounds = make_rounds(fading="rayleigh", **tables_for(10**9))
    object.__setattr__(rounds, "proxy", fleet)
    over, weighed = threading.Event(), []
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()

    def look(record):
        assert not record["failures"], record
        now = time.monotonic()
        if not weighed or now - weighed[-1][0] >= WEIGHED_EVERY_S:
            weighed.append((now, allocated_bytes()))
        if over.is_set():
            raise TimeIsUp

    try:
        run_arm(Path(folder), rounds, look)
    except TimeIsUp:
        fleet.close(over=True)
    sys.stdout.write(json.dumps([each for each in weighed if each[1] is not None]))


if __name__ == "__main__":
    main(*sys.argv[1:])
