"""Threads that begin with the same kind of message at once, in modules that are new: python -m tests.devices.first_use

It ends by itself, or with SIGSEGV where a thread is shown a type that another has only begun to learn.
"""

import importlib
import sys
import threading

TRIALS, THREADS = 25, 4
NEW = ("radio.uplink", "devices.messages", "devices.wire.packing")
SWITCH_S = 1e-6  # from thread to thread, as often as the interpreter can
FIELDS = {"round": 0, "seed": 7, "devices": (0, 1), "dimension": 4, "num_elements": 4, "num_kept": 2}


def begin_at_once():
    """One trial, with types nobody has seen yet."""
    for name in NEW:
        sys.modules.pop(name, None)
    uplink, messages, packing = map(importlib.import_module, NEW)
    parcel, frames = packing.pack(messages.Transmit(uplink.Plan(**FIELDS)))
    may_go, understood = [], []

    def understand():
        while not may_go:
            pass
        understood.append(packing.unpack(parcel, frames))

    threads = [threading.Thread(target=understand) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    may_go.append(True)
    for thread in threads:
        thread.join()
    assert [each.plan.dimension for each in understood] == [4] * THREADS


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_S)
    for _ in range(TRIALS):
        begin_at_once()
