"""A server of quadratic devices: python -m tests.server.quadratic_server FOLDER URL [REQUEST:ROUND:WHEN [KEYS QUORUM]]

It runs, or continues, the arm in FOLDER, and kills itself `before` or `after` it has asked for that in that round.
"""

import os
import signal
import sys
from pathlib import Path

from server.experiment import run_arm
from server.fleet import Fleet
from server.reply_checks import round_of
from server.switchboard import Terms
from tests.server.fleet import make_rounds
from tests.server.remote import PULSE, settings

TABLES = {
    "run": {"rounds": 8, "test_tasks": 4, "progress_tasks": 2, "evaluate_every": 3, "checkpoint_every": 2},
    "fleet": {"devices": 4, "held_out": 2, "active": 3, "quorum": 2},
}


def tables_for(quorum):
    """With more than two for a quorum, all devices are active."""
    return TABLES | {"fleet": TABLES["fleet"] | {"quorum": quorum, "active": 3 if quorum == 2 else 4}}


class Doomed:
    """A proxy whose process does not survive a certain request."""

    def __init__(self, proxy, doom):
        self._proxy, self.close = proxy, proxy.close
        self._what, _, self._when = doom.rpartition(":")

    def ask(self, requests):
        asked = {f"{type(request).__name__}:{round_of(request)}" for request in requests.values()}
        for when in ("before", "after"):
            if when == "after":
                replies = self._proxy.ask(requests)
            if self._what in asked and self._when == when:
                os.kill(os.getpid(), signal.SIGKILL)
        return replies


def main(folder, url, doom=":", keys=None, quorum="2"):
    terms = Terms(settings=settings(4, 2), pulse=PULSE, reply_s=5.0, return_s=20.0, quorum=int(quorum))
    fleet = Fleet(terms, url, None if keys is None else Path(keys))
    fleet.wait_for_all(20.0)
    rounds = make_rounds(fading="rayleigh", **tables_for(int(quorum)))
    object.__setattr__(rounds, "proxy", Doomed(fleet, doom))
    run_arm(Path(folder), rounds, lambda record: None)
    fleet.close(over=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
