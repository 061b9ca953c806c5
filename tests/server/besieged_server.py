"""A server of quadratic devices that goes on for a time: python -m tests.server.besieged_server FOLDER KEYS SECONDS

It prints its URL, runs rounds of the arm in FOLDER, and ends with the last checkpoint of them.
"""

import logging
import sys
import time
from pathlib import Path

from devices.wire.envelope import Pulse
from server.experiment import run_arm
from server.fleet import Fleet, Terms
from tests.server.fleet import make_rounds
from tests.server.remote import settings

NUM_DEVICES, NUM_HELD_OUT = 4, 2
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


class TimeIsUp(Exception):
    """Enough rounds."""


def main(folder, keys, seconds):
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    terms = Terms(settings=settings(NUM_DEVICES, NUM_HELD_OUT), pulse=PATIENT, reply_s=60.0, return_s=60.0)
    fleet = Fleet(terms, "tcp://127.0.0.1:0", Path(keys))
    sys.stdout.write(f"{fleet.url}\n")
    sys.stdout.flush()
    fleet.wait_for_all(60.0)
    rounds = make_rounds(fading="rayleigh", **tables_for(10**9))
    object.__setattr__(rounds, "proxy", fleet)
    until = time.monotonic() + float(seconds)

    def look_at_the_time(record):
        assert not record["failures"], record
        if time.monotonic() > until:
            raise TimeIsUp

    try:
        run_arm(Path(folder), rounds, look_at_the_time)
    except TimeIsUp:
        fleet.close(over=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
