"""Rounds of a fleet on the clock, with device processes or all in one process.

    python -m benchmarks.fleet_run '{"tables": {...}, "num_processes": 8, "num_rounds": 20}'

runs them in a process of its own, so that peak memory is the run's, and prints a line of JSON.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.clocked_devices import Clock, Effort, Work, peak_bytes
from devices.messages import Reply, Request
from devices.proxy import DeviceProxy
from server.appraisal import initial_parameters
from server.composition import open_bench, prepare
from server.config import Arm, Experiment
from server.config_file import build
from server.launch import Remote
from server.rounds import Parameters, Rounds

ROOT = Path(__file__).resolve().parent.parent
END_S = 300.0  # for a process to end, on a host that is busy
WARM_UP = 2  # rounds that do not count: libraries plan, caches fill


Span = tuple[float, float]  # [begin, end] on the clock that all processes of a host share


class Timed(NamedTuple):
    """A round: its span, those of its calls of `DeviceProxy.ask`, CPU seconds of the server's process in all of it
    and in those calls."""

    span: Span
    asks: tuple[Span, ...]
    cpu_s: float
    asks_cpu_s: float

    @property
    def wall_s(self) -> float:
        """From its beginning to its end."""
        return self.span[1] - self.span[0]

    @property
    def own_s(self) -> float:
        """In which the server did not wait for devices."""
        return self.wall_s - sum(end - begin for begin, end in self.asks)

    def idle_s(self, work: Sequence[Work]) -> float:
        """In which the server waited and no device computed."""
        return sum(end - begin - covered(work, (begin, end)) for begin, end in self.asks)


class Watch:
    """A proxy that notes what its calls took."""

    def __init__(self, proxy: DeviceProxy) -> None:
        self._proxy, self.close = proxy, proxy.close
        self.asks: list[Span] = []
        self.cpu_s = 0.0

    def ask(self, requests: Mapping[int, Request]) -> dict[int, Reply]:
        """As the proxy does."""
        begin, cpu_s = time.monotonic(), time.process_time()
        replies = self._proxy.ask(requests)
        self.cpu_s += time.process_time() - cpu_s
        self.asks.append((begin, time.monotonic()))
        return replies


class Rig:
    """Rounds that are watched. efforts: of device processes by name, once they have ended."""

    def __init__(self, rounds: Rounds) -> None:
        self._watch = Watch(rounds.proxy)
        self._rounds = replace(rounds, proxy=self._watch)
        self.efforts: dict[str, Effort] = {}

    def initial_parameters(self) -> Parameters:
        """Of the model."""
        return initial_parameters(self._rounds.proxy)

    def run(self, index: int, theta: Parameters) -> tuple[Parameters, Timed]:
        """A round that must not fail."""
        before, since_s = len(self._watch.asks), self._watch.cpu_s
        begin, cpu_s = time.monotonic(), time.process_time()
        outcome = self._rounds.run(index, theta)
        span, cpu_s = (begin, time.monotonic()), time.process_time() - cpu_s
        if "failed" in outcome.record or outcome.record["failures"]:
            raise RuntimeError(
                f"round {index}: {outcome.record['failures']} {outcome.record.get('failed', '')}"
            )
        asks = tuple(self._watch.asks[before:])
        return outcome.theta, Timed(span, asks, cpu_s, self._watch.cpu_s - since_s)


@contextmanager
def open_rig(experiment: Experiment, num_processes: int) -> Iterator[Rig]:
    """num_processes: that training devices are spread over, 0 for all in this one. Held-out ones have another."""
    arm, clock = Arm("", experiment), Clock()
    children: dict[str, subprocess.Popen[str]] = {}

    def launch(url: str) -> None:
        fleet = experiment.fleet
        groups = np.array_split(np.arange(fleet.devices), num_processes)
        seats = [(f"device-{group[0]}", int(group[0]), len(group)) for group in groups if len(group)]
        for name, first, count in [*seats, ("held-out", fleet.devices, fleet.held_out)]:
            words = [sys.executable, "-m", "benchmarks.clocked_devices", url, name, str(first), str(count)]
            children[name] = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    remote = Remote("tcp://127.0.0.1:0", on_listening=launch) if num_processes else None
    parts = prepare(arm, remote)
    if remote is None:
        parts = parts._replace(handlers=clock.watch(parts.handlers))
    try:
        with open_bench(parts, remote) as bench:
            rig = Rig(bench.rounds)
            yield rig
            if remote is None:
                rig.efforts["here"] = clock.effort()
        for name, child in children.items():
            said, _ = child.communicate(timeout=END_S)
            work, peak = json.loads(said)
            rig.efforts[name] = Effort(tuple(Work(*each) for each in work), peak)
    finally:
        for child in children.values():
            child.kill()
            child.wait()


def covered(work: Sequence[Work], within: Span) -> float:
    """Seconds of `within` in which at least one request was being worked off."""
    total, reached = 0.0, within[0]
    for begin, end in sorted((each.begin_s, each.end_s) for each in work):
        begin, end = max(begin, reached), min(end, within[1])
        if end > begin:
            total, reached = total + end - begin, end
    return total


def run_alone(tables: Mapping[str, Any], num_processes: int, num_rounds: int) -> dict[str, Any]:
    """What `main` prints, of a process of its own."""
    job = json.dumps({"tables": tables, "num_processes": num_processes, "num_rounds": num_rounds})
    words = [sys.executable, "-m", "benchmarks.fleet_run", job]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def main(job: str) -> None:
    """Run, measure, print."""
    wanted: dict[str, Any] = json.loads(job)
    timed = []
    with open_rig(build(wanted["tables"]), wanted["num_processes"]) as rig:
        theta = rig.initial_parameters()
        for index in range(WARM_UP + wanted["num_rounds"]):
            theta, one = rig.run(index, theta)
            timed.append(one)
    timed = timed[WARM_UP:]
    found = {
        "parameters": len(theta),
        "sha256": hashlib.sha256(theta.tobytes()).hexdigest(),
        "wall_s": [one.wall_s for one in timed],
        "own_s": [one.own_s for one in timed],
        "cpu_s": [one.cpu_s for one in timed],
        "asks_cpu_s": [one.asks_cpu_s for one in timed],
        "server_peak_bytes": peak_bytes(),
        "device_peak_bytes": max(effort.peak_bytes for effort in rig.efforts.values()),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
