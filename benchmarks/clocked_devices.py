"""Devices that note when they compute, in this process or in one of their own:

python -m benchmarks.clocked_devices URL NAME FIRST COUNT    until the server has no more work; then a line of JSON
"""

import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from devices.agent import one_torch_thread
from devices.client import Client, Server
from devices.composition import Devices, open_devices
from devices.messages import Reply, Request
from devices.proxy import Handler
from devices.wire.envelope import Hello, Welcome


class Work(NamedTuple):
    """A request that was worked off: when, on the clock that all processes of a host share; CPU seconds of its
    thread in it, and of its process so far, at the end."""

    begin_s: float
    end_s: float
    cpu_s: float
    process_cpu_s: float


class Effort(NamedTuple):
    """Of a process. peak_bytes: the most memory that was ever resident."""

    work: tuple[Work, ...]
    peak_bytes: int

    def cpu_s(self, since_s: float) -> tuple[float, float]:
        """CPU seconds that handlers took after an instant, and those of the process beside them."""
        work = [each for each in self.work if each.begin_s >= since_s]
        handlers_s = sum(each.cpu_s for each in work)
        whole_s = work[-1].process_cpu_s - work[0].process_cpu_s + work[0].cpu_s
        return handlers_s, whole_s - handlers_s


class Clock:
    """Notes the work of handlers."""

    def __init__(self) -> None:
        self._work: list[Work] = []
        self._lock = threading.Lock()

    def watch(self, handlers: Mapping[int, Handler]) -> dict[int, Handler]:
        """The same handlers, clocked."""
        return {device: self._clocked(handle) for device, handle in handlers.items()}

    def effort(self) -> Effort:
        """So far."""
        return Effort(tuple(self._work), peak_bytes())

    def _clocked(self, handle: Handler) -> Handler:
        def answer(request: Request) -> Reply:
            begin_s, cpu_s = time.monotonic(), time.thread_time()
            reply = handle(request)
            cpu_s = time.thread_time() - cpu_s
            with self._lock:
                self._work.append(Work(begin_s, time.monotonic(), cpu_s, time.process_time()))
            return reply

        return answer


def peak_bytes() -> int:
    """Most memory that this process ever had resident."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main(url: str, name: str, first: str, count: str) -> None:
    """Serve, then say what it took."""
    clock = Clock()

    def open_clocked(welcome: Welcome) -> Devices:
        devices = open_devices(welcome, ())
        return replace(devices, handlers=clock.watch(devices.handlers))

    one_torch_thread()
    workers = min(int(count), len(os.sched_getaffinity(0)))
    hello = Hello(name, secrets.token_hex(8), int(count), int(first))
    Client(Server(url), hello, open_clocked, lambda: False, workers, one_torch_thread).serve()
    print(json.dumps(clock.effort()))


if __name__ == "__main__":
    main(*sys.argv[1:])
