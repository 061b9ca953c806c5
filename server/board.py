"""Who is there and at what, in a file of the run folder while a run goes on: `airmeta status` reads it."""

import logging
import os
import platform
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from devices.wire.json_log import event
from server.checkpoint import write_whole
from server.roster import Peer

BOARD = "fleet.json"
PERIOD_S = 1.0
Presence = Literal["connected", "opening", "lost", "not come"]
_log = logging.getLogger(__name__)


class DeviceNow(msgspec.Struct, frozen=True):
    """process: its name, empty for this one's own; since: when its presence began, of a lost one the last sign of life;
    working_on: what it was asked for at `asked`, if anything. Instants in seconds of Unix time."""

    device: int
    presence: Presence
    process: str = ""
    since: float | None = None
    working_on: str | None = None
    asked: float | None = None


class FleetNow(msgspec.Struct, frozen=True):
    """round: that is under way, None before the first. host, pid: of the process that wrote this."""

    devices: tuple[DeviceNow, ...]
    round: int | None = None
    host: str = msgspec.field(default_factory=platform.node)
    pid: int = msgspec.field(default_factory=os.getpid)


def fleet_now(
    numbers: Iterable[int],
    peers: Sequence[Peer],
    at_work: Mapping[int, tuple[str, float]],
    round_index: int | None,
    epoch_s: float,
) -> FleetNow:
    """Of devices in other processes. at_work: by device, what it was asked for and when. epoch_s: Unix time at which
    the clock of all these instants began."""
    hosts = {number: peer for peer in peers for number in peer.numbers}
    found = []
    for number in numbers:
        if (peer := hosts.get(number)) is None:
            found.append(DeviceNow(number, "not come"))
            continue
        presence: Presence = "lost" if peer.lost else "connected" if peer.ready else "opening"
        since = round(epoch_s + peer.since_s, 3)
        kind, asked_s = at_work.get(number, (None, 0.0))
        asked = None if kind is None else round(epoch_s + asked_s, 3)
        found.append(DeviceNow(number, presence, peer.name, since, kind, asked))
    return FleetNow(tuple(found), round_index)


@contextmanager
def posted(look: Callable[[], FleetNow], path: Path | None) -> Iterator[None]:
    """What `look` finds is in the file within PERIOD_S, until the context ends; nowhere if there is no path."""
    if path is None:
        yield
        return
    over = threading.Event()
    writer = threading.Thread(target=_post, args=(look, path, over), name="board", daemon=True)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
        path.unlink(missing_ok=True)


def read_board(folder: Path) -> FleetNow | None:
    """Of an arm's folder; None if nothing readable is there."""
    try:
        return msgspec.json.decode((folder / BOARD).read_bytes(), type=FleetNow)
    except (OSError, msgspec.DecodeError):
        return None


def _post(look: Callable[[], FleetNow], path: Path, over: threading.Event) -> None:
    shown, writable = None, True
    while True:
        found = look()
        if found != shown:
            try:
                write_whole(path, msgspec.json.encode(found), to_disk=False)
                shown, writable = found, True
            except OSError as error:  # the run itself will say so, if it lasts
                if writable:
                    _log.warning("%s cannot be written: %s", path, error.strerror, extra=event("board"))
                writable = False
        if over.wait(PERIOD_S):
            return
