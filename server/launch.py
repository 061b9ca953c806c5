"""Device processes of a run on this host: started, watched while they come up, and ended with it."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from server.fleet import FleetError

END_S = 10.0  # for a process to end by itself, before it is killed


class Remote(NamedTuple):
    """Where devices that are processes of their own connect. devices_a_process: of those that this host starts, 0 for
    none; logs: folder of what they say; is_last: of the arms, after which they may go."""

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
def device_processes(url: str, seats: Sequence[Seat], logs: Path) -> Iterator[Callable[[], None]]:
    """A process a seat, its output in `logs`. Yields what raises FleetError if one has ended.

    They hold on to a pipe of this process: whatever ends it ends them.
    """
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as started:
        running = {seat.name: started.enter_context(_process(url, seat, logs)) for seat in seats}
        started.callback(_end, list(running.values()))

        def look() -> None:
            for name, process in running.items():
                if (code := process.poll()) is not None:
                    path = logs / f"{name}.log"
                    said = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [
                        "nothing"
                    ]
                    raise FleetError(
                        f"device process {name} ended with exit code {code}: {said[-1]}; see {path}"
                    )

        yield look


@contextmanager
def _process(url: str, seat: Seat, logs: Path) -> "Iterator[subprocess.Popen[bytes]]":
    words = ["device", "--server", url, "--id", seat.name, "--first", str(seat.first), "--leash"]
    words += ["--count", str(seat.num_devices)] if not seat.uris else []
    words += [word for uri in seat.uris for word in ("--radio", uri)]
    with (logs / f"{seat.name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", *words],
            stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _end(processes: "Sequence[subprocess.Popen[bytes]]") -> None:
    """All at once, then each in turn gets what is left of the time."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
