"""Devices in other processes, asked over the network. The round code cannot tell them from devices in this one.

A thread owns the socket and works the switchboard; whoever asks waits until all answers are there.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from devices import messages
from devices.messages import Reply, Request
from devices.wire.envelope import Leave
from devices.wire.json_log import about, event
from devices.wire.packing import pack
from server.bell import Bell
from server.board import FleetNow, fleet_now
from server.door import Door
from server.roster import ranges
from server.switchboard import LOOK_S, Switchboard, Terms

_log = logging.getLogger(__name__)


class FleetError(RuntimeError):
    """Devices that did not come, or a fleet that broke."""


class Fleet:
    """A `DeviceProxy`. Listens from construction to `close`; bind, keys: see `server/door.py`."""

    def __init__(
        self, terms: Terms, bind: str, keys: Path | None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._terms, self._now = terms, now
        self.run = secrets.token_hex(8)
        self._num_devices = terms.settings.devices + terms.settings.held_out
        self._epoch_s = time.time() - now()  # of Unix time, when that clock began
        self._lock, self._news = threading.Lock(), Bell()
        self._ending: Leave | None = None
        self._failure: BaseException | None = None
        self._door = Door(bind, keys, self._num_devices)
        self._switchboard = Switchboard(terms, self.run, self._door, keys is not None, now)
        self.url = self._door.url
        self._waker = self._door.waker()
        self._thread = threading.Thread(target=self._serve, name="fleet", daemon=True)
        self._thread.start()

    def ask(self, requests: Mapping[int, Request]) -> dict[int, Reply]:
        """One reply a request; a device that is late, lost, or answers what cannot be gives Failed."""
        packed = {id(request): pack(request) for request in requests.values()}
        self._wait_for_quorum(requests)
        with self._lock:
            calls = [
                self._switchboard.begin(device, request, *packed[id(request)])
                for device, request in requests.items()
            ]
            self._wake()
        while any(call.reply is None for call in calls):
            self._news.wait(1.0)
            self._check()
        return {call.device: call.reply for call in calls if call.reply is not None}

    def wait_for_all(self, deadline_s: float, look: Callable[[], None] = lambda: None) -> None:
        """Until a process has every device ready. look: raises where that cannot come about any more.

        FleetError, which names those missing, after the deadline.
        """
        until = self._now() + deadline_s
        while missing := self._missing():
            self._check()
            look()
            if self._now() > until:
                with self._lock:
                    unable = self._switchboard.unable.items()
                    reasons = "".join(f"; {name}: {reason}" for name, reason in unable)
                raise FleetError(
                    f"devices {ranges(missing)} did not come within {deadline_s:g} s{reasons}; start their "
                    f"processes with airmeta device --server {self.url} --id NAME, or raise fleet.return_s"
                )
            self._news.wait(LOOK_S)

    def hosts(self) -> dict[str, dict[str, Any]]:
        """What every process that was ever ready said of itself, its devices and its radios, by name."""
        known = self._switchboard
        with self._lock:
            return {
                peer.name: {
                    **peer.hello.facts, "devices": list(peer.numbers), "radios": list(known.radios[peer.name])
                }
                for peer in known.roster.known()
                if peer.name in known.radios
            }  # fmt: skip

    def look(self) -> FleetNow:
        """Who is there and at what."""
        known, numbers = self._switchboard, range(self._num_devices)
        with self._lock:
            return fleet_now(numbers, known.roster.known(), known.at_work(), known.round, self._epoch_s)

    def close(self, over: bool = False) -> None:
        """Let the processes go, for good if it is `over`, otherwise to come back; twice is as good as once."""
        with self._lock:
            self._ending = self._ending or Leave(over)
            self._wake()
        self._thread.join()

    def _wait_for_quorum(self, requests: Mapping[int, Request]) -> None:
        """A round that too few could take part in is not begun before return_s have passed."""
        training = [device for device, request in requests.items() if isinstance(request, messages.Train)]
        needed = min(self._terms.quorum, len(training))
        until, told = self._now() + self._terms.return_s, False
        while len(training) - len(away := self._away(training)) < needed and self._now() < until:
            if not told:
                told = True
                _log.warning(
                    "waits for %d of devices %s, %g s at most", needed - len(training) + len(away), ranges(away),
                    self._terms.return_s, extra=event("waiting", devices=away),
                )  # fmt: skip
            self._check()
            self._news.wait(LOOK_S)
        self._check()

    def _missing(self) -> list[int]:
        with self._lock:
            return self._switchboard.roster.missing()

    def _away(self, devices: Sequence[int]) -> list[int]:
        with self._lock:
            return [device for device in devices if not self._switchboard.roster.is_ready(device)]

    def _check(self) -> None:
        if self._failure is not None:
            raise FleetError(f"the fleet's connection broke: {self._failure!r}") from self._failure

    def _wake(self) -> None:
        if not self._waker.closed:
            self._waker.send(b"")

    def _serve(self) -> None:
        try:
            while self._ending is None:
                letters = self._door.poll(LOOK_S)
                with self._lock, about(round=self._switchboard.round):
                    for letter in letters:
                        self._switchboard.read(letter)
                    self._switchboard.look()
                self._news.ring()
            self._switchboard.dismiss(self._ending)
        except BaseException as error:
            self._failure = error
            self._news.ring()
        finally:
            with self._lock:
                self._waker.close()
            self._door.close()
