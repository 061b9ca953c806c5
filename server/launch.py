"""Device processes of a run on this host: started, started again when one dies, and ended with the run."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from devices.wire.json_log import event
from server.fleet import FleetError

END_S = 10.0  # for a process to end by itself, before it is killed
LOOK_S, RETRY_S = 0.2, 5.0
MAX_STARTS = 10  # of a process, after which something else is wrong
_log = logging.getLogger(__name__)


class Remote(NamedTuple):
    """Where devices that are processes of their own connect. devices_a_process: of those that this host starts, 0 for
    none; logs: folder of their logs; is_last: of the arms, after which they may go."""

    bind: str
    keys: Path | None = None
    devices_a_process: int = 0
    logs: Path = Path("logs")
    is_last: bool = True
    on_listening: Callable[[str], None] = lambda url: None

    @property
    def launches(self) -> bool:
        """Whether this host starts the processes."""
        return self.devices_a_process > 0


class Seat(NamedTuple):
    """A process: its name, the number of the first of its devices, how many, and their radios."""

    name: str
    first: int
    num_devices: int
    uris: tuple[str, ...] = ()


def seats_of(num_devices: int, held_out: int, devices_a_process: int, uris: Sequence[str]) -> list[Seat]:
    """Training devices in groups, held-out ones together. uris: one a training device, or none."""
    seats = []
    for first in range(0, num_devices, devices_a_process):
        count = min(devices_a_process, num_devices - first)
        seats.append(Seat(f"device-{first}", first, count, tuple(uris[first : first + count])))
    return [*seats, Seat("held-out", num_devices, held_out)]


@contextmanager
def device_processes(url: str, seats: Sequence[Seat], logs: Path) -> "Iterator[Brood]":
    """A process a seat, their logs in `logs`, until the context ends; whatever ends this process ends them."""
    logs.mkdir(parents=True, exist_ok=True)
    brood = Brood(url, logs)
    try:
        for seat in seats:
            brood.start(seat)
        yield brood
    finally:
        brood.end()


class Brood:
    """Processes hold on to a pipe of this one, which the kernel closes when it ends, however it does."""

    def __init__(self, url: str, logs: Path) -> None:
        self._url, self._logs = url, logs
        self._running: dict[Seat, subprocess.Popen[bytes]] = {}
        self._starts: dict[Seat, int] = {}
        self._ending = threading.Event()
        self._keeper: threading.Thread | None = None

    def start(self, seat: Seat) -> None:
        """One process, in a session of its own: Ctrl-C is for this process to pass on."""
        words = ["device", "--server", self._url, "--id", seat.name, "--first", str(seat.first), "--leash"]
        words += [word for uri in seat.uris for word in ("--radio", uri)] or [
            "--count",
            str(seat.num_devices),
        ]
        words += ["--log", str(self._logs / f"{seat.name}.log")]
        with self._words_of(seat).open("ab") as said:
            self._running[seat] = subprocess.Popen(
                [sys.executable, "-m", "server", *words],
                stdin=subprocess.PIPE, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        self._starts[seat] = self._starts.get(seat, 0) + 1

    def look(self) -> None:
        """FleetError if a process has ended, with the last that it said."""
        for seat, process in self._running.items():
            if (code := process.poll()) is not None:
                said = self._words_of(seat).read_text("utf-8", "replace").strip().splitlines() or ["nothing"]
                raise FleetError(
                    f"device process {seat.name} ended with exit code {code}: {said[-1]}; see {self._words_of(seat)}"
                )

    def keep(self) -> None:
        """From now on a process that dies is started again; it finds its devices' memories with the server."""
        self._keeper = threading.Thread(target=self._keep, name="brood", daemon=True)
        self._keeper.start()

    def end(self) -> None:
        """SIGTERM to all at once; END_S later SIGKILL to those who are still there."""
        self._ending.set()
        if self._keeper is not None:
            self._keeper.join()
        for process in self._running.values():
            process.terminate()
        until = time.monotonic() + END_S
        for process in self._running.values():
            try:
                process.wait(max(until - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                process.kill()
            _reap(process)

    def _keep(self) -> None:
        while not self._ending.wait(LOOK_S):
            for seat, process in list(self._running.items()):
                code = process.poll()
                if code in (None, 0) or self._starts[seat] >= MAX_STARTS:  # 0: it was told to go
                    continue
                _log.warning(
                    "device process %s ended with exit code %s and is started again", seat.name, code,
                    extra=event("restart", name=seat.name, code=code),
                )  # fmt: skip
                _reap(process)
                try:
                    self.start(seat)
                except OSError as error:  # no room for its log, no memory
                    _log.warning("device process %s cannot be started: %s", seat.name, error)
                    self._starts[seat] += 1
                    self._ending.wait(RETRY_S)

    def _words_of(self, seat: Seat) -> Path:
        """What a process says on its terminal, and how it crashes."""
        return self._logs / f"{seat.name}.out"


def _reap(process: "subprocess.Popen[bytes]") -> None:
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
