"""Devices in other processes, asked over the network. The round code cannot tell them from devices in this one.

A thread owns the socket. It knows who is there (`Roster`), what each device remembers (`Ledger`), and sees to it that
every request has an end: a reply, or Failed. A device that was lost in a round is out of it; what asks for everybody
(`PATIENT`) waits for its return.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices import messages
from devices.messages import DeviceSettings, Failed, Reply, Request
from devices.wire import envelope
from devices.wire.envelope import (
    NO_ROUND,
    Answer,
    Ask,
    Hello,
    Leave,
    Pulse,
    RadioSetup,
    Ready,
    Unable,
    Welcome,
)
from devices.wire.json_log import about, event
from devices.wire.packing import Buffer, Parcel, WireError, pack, unpack
from devices.wire.thinning import whole
from server.board import FleetNow, fleet_now
from server.door import Door, Letter
from server.ledger import Ledger
from server.reply_checks import fault_of, round_of
from server.roster import Busy, Peer, Rejected, Roster, ranges

LOOK_S = 0.05  # between looks at deadlines
PATIENT = (messages.Initialise, messages.Evaluate, messages.Probe, messages.Save, messages.Memory)
REPEATABLE = (*PATIENT, messages.Train)  # by a process that was started again: they need the memory alone
_log = logging.getLogger(__name__)


class FleetError(RuntimeError):
    """Devices that did not come, or a fleet that broke."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What device processes are told, and how long they are waited for: reply_s for an answer, return_s for those who
    are lost where all are needed, or where fewer than `quorum` are left."""

    settings: DeviceSettings
    pulse: Pulse
    reply_s: float
    return_s: float
    radio: RadioSetup | None = None
    quorum: int = 1


@dataclass
class _Call:
    """A request under way. number, incarnation, routing: of its last dispatch."""

    device: int
    request: Request
    parcel: Parcel
    arrays: Sequence[Buffer]
    asked_s: float
    late_s: float
    lost_since_s: float | None = None
    number: int = -1
    incarnation: str = ""
    routing: bytes = b""
    reply: Reply | None = None


class _Restore(NamedTuple):
    """A request of that number, to that process, which gives a device back its memory."""

    number: int
    peer: Peer
    memory: NDArray[np.float32]


class Fleet:
    """A `DeviceProxy`. Listens from construction to `close`; bind, keys: see `server/door.py`."""

    def __init__(
        self, terms: Terms, bind: str, keys: Path | None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._terms, self._with_keys, self._now = terms, keys is not None, now
        self.run = secrets.token_hex(8)
        settings = terms.settings
        self._roster = Roster(settings.devices, settings.held_out, terms.radio is not None, terms.pulse, now)
        self._ledger = Ledger()
        self._calls: dict[int, _Call] = {}
        self._stale: set[int] = set()  # devices that may not remember what the ledger says
        self._restores: dict[int, _Restore] = {}  # by device, that are under way
        self._number = 0
        self._round: int | None = None  # that was asked for last
        self._beaten_s = self._looked_s = now()
        self._epoch_s = time.time() - now()  # of Unix time, when that clock began
        self._is_due = False  # whether there may be something to send
        self._unable: dict[str, str] = {}
        self._radios: dict[str, tuple[dict[str, Any], ...]] = {}
        self._changed = threading.Condition()
        self._ending: Leave | None = None
        self._failure: BaseException | None = None
        self._door = Door(bind, keys, settings.devices + settings.held_out)
        self.url = self._door.url
        self._waker = self._door.waker()
        self._thread = threading.Thread(target=self._serve, name="fleet", daemon=True)
        self._thread.start()

    def ask(self, requests: Mapping[int, Request]) -> dict[int, Reply]:
        """One reply a request; a device that is late, lost, or answers what cannot be gives Failed."""
        packed = {id(request): pack(request) for request in requests.values()}
        with self._changed:
            self._wait_for_quorum(requests)
            calls = [
                self._begin(device, request, *packed[id(request)]) for device, request in requests.items()
            ]
            self._wake()
            while any(call.reply is None for call in calls):
                self._changed.wait(1.0)
                self._check()
        return {call.device: call.reply for call in calls if call.reply is not None}

    def wait_for_all(self, deadline_s: float, look: Callable[[], None] = lambda: None) -> None:
        """Until a process has every device ready. look: raises where that cannot come about any more.

        FleetError, which names those missing, after the deadline.
        """
        until = self._now() + deadline_s
        with self._changed:
            while missing := self._roster.missing():
                self._check()
                look()
                if self._now() > until:
                    reasons = "".join(f"; {name}: {reason}" for name, reason in self._unable.items())
                    raise FleetError(
                        f"devices {ranges(missing)} did not come within {deadline_s:g} s{reasons}; start their "
                        f"processes with airmeta device --server {self.url} --id NAME, or raise fleet.return_s"
                    )
                self._changed.wait(LOOK_S)

    def hosts(self) -> dict[str, dict[str, Any]]:
        """What every process that was ever ready said of itself, its devices and its radios, by name."""
        with self._changed:
            return {
                peer.name: {
                    **peer.hello.facts, "devices": list(peer.numbers), "radios": list(self._radios[peer.name])
                }
                for peer in self._roster.known()
                if peer.name in self._radios
            }  # fmt: skip

    def look(self) -> FleetNow:
        """Who is there and at what."""
        settings = self._terms.settings
        with self._changed:
            at_work = {
                call.device: (type(call.request).__name__.lower(), call.asked_s)
                for call in self._calls.values()
                if (peer := self._roster.host(call.device)) is not None and call.routing == peer.routing
            }
            numbers = range(settings.devices + settings.held_out)
            return fleet_now(numbers, self._roster.known(), at_work, self._round, self._epoch_s)

    def close(self, over: bool = False) -> None:
        """Let the processes go, for good if it is `over`, otherwise to come back; twice is as good as once."""
        with self._changed:
            self._ending = self._ending or Leave(over)
            self._wake()
        self._thread.join()

    def _wait_for_quorum(self, requests: Mapping[int, Request]) -> None:
        """A round that too few could take part in is not begun before return_s have passed."""
        training = [device for device, request in requests.items() if isinstance(request, messages.Train)]
        needed = min(self._terms.quorum, len(training))
        until, told = self._now() + self._terms.return_s, False
        while sum(self._roster.is_ready(device) for device in training) < needed and self._now() < until:
            if not told:
                told = True
                away = [device for device in training if not self._roster.is_ready(device)]
                _log.warning(
                    "waits for %d of devices %s, %g s at most", needed - len(training) + len(away), ranges(away),
                    self._terms.return_s, extra=event("waiting", devices=away),
                )  # fmt: skip
            self._check()
            self._changed.wait(LOOK_S)
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise FleetError(f"the fleet's connection broke: {self._failure!r}") from self._failure

    def _wake(self) -> None:
        if not self._waker.closed:
            self._waker.send(b"")

    def _begin(self, device: int, request: Request, parcel: Parcel, arrays: Sequence[Buffer]) -> _Call:
        now = self._now()
        patience_s = self._terms.return_s if isinstance(request, PATIENT) else 0.0
        call = _Call(device, request, parcel, arrays, now, now + self._terms.reply_s + patience_s)
        self._ledger.asked(device, request)
        number = round_of(request)
        self._round = self._round if number == NO_ROUND else number
        known = self._ledger.memory(device) if isinstance(request, messages.Save) else None
        if known is not None:
            call.reply = messages.Memory(known)
        else:
            self._calls[device] = call
            self._is_due = True
        return call

    # All below runs in the thread.

    def _serve(self) -> None:
        try:
            while self._ending is None:
                letters = self._door.poll(LOOK_S)
                with self._changed, about(round=self._round):
                    for letter in letters:
                        self._read(letter)
                    if self._is_due or self._now() - self._looked_s >= LOOK_S:
                        self._look()
                    self._changed.notify_all()
            for peer in self._roster.connected():
                self._send(peer, self._ending)
        except BaseException as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()
        finally:
            with self._changed:
                self._waker.close()
            self._door.close()

    def _read(self, letter: Letter) -> None:
        try:
            content, arrays = envelope.unseal(letter.frames)
        except WireError as error:
            self._door.complain("frames", f"a message from {letter.user or 'somebody'} was dropped: {error}")
            return
        if isinstance(content, Hello):
            self._greet(letter, content)
            return
        peer = self._roster.heard(letter.routing)
        if peer is None:
            self._door.send(letter.routing, envelope.seal(envelope.Unknown()))
            return
        match content:
            case Answer():
                self._take(peer, content, arrays)
            case Ready(run, radios) if run == self.run:
                if self._roster.is_there(peer):
                    facts = event("arrival", name=peer.name, devices=peer.numbers, said=peer.hello.facts)
                    _log.info("%s is ready with devices %s", peer.name, ranges(peer.numbers), extra=facts)
                self._is_due = True
                self._unable.pop(peer.name, None)
                self._radios[peer.name] = radios
            case Unable(run, reason) if run == self.run:
                _log.warning(
                    "%s cannot host devices %s: %s", peer.name, ranges(peer.numbers), reason,
                    extra=event("unable", name=peer.name, devices=peer.numbers),
                )  # fmt: skip
                self._unable[peer.name] = reason
                self._roster.give_up(peer)
            case Leave():
                facts = event("departure", name=peer.name, devices=peer.numbers)
                _log.info("%s has left with devices %s", peer.name, ranges(peer.numbers), extra=facts)
                self._roster.give_up(peer)

    def _greet(self, letter: Letter, hello: Hello) -> None:
        if self._with_keys and hello.name != letter.user:
            self._door.complain("name", f"{letter.user} called itself {hello.name[:80]!r} and was not let in")
            reason = f"the key is {letter.user}'s; give --id {letter.user}"
            self._door.send(letter.routing, envelope.seal(envelope.Refused(reason)))
            return
        before = next((peer for peer in self._roster.connected() if peer.name == hello.name), None)
        try:
            peer = self._roster.admit(letter.routing, hello)
        except Busy as error:
            self._door.complain(f"busy {hello.name}", str(error))
            return
        except Rejected as error:
            self._door.complain("rejected", str(error))
            self._door.send(letter.routing, envelope.seal(envelope.Refused(str(error))))
            return
        if before is None or before.hello.incarnation != hello.incarnation:
            self._stale.update(peer.numbers)
        terms = self._terms
        self._send(peer, Welcome(self.run, peer.numbers, terms.settings, terms.pulse, terms.radio))

    def _take(self, peer: Peer, answer: Answer, arrays: Sequence[Buffer]) -> None:
        device = answer.device
        is_its_own = device in peer.numbers
        call = self._calls.get(device) if is_its_own else None
        restore = self._restores.get(device) if is_its_own else None
        if answer.run == self.run and restore is not None and restore.number == answer.number:
            self._restored(device, restore, answer.parcel, arrays)
        elif answer.run != self.run:
            self._door.complain("old run", f"{peer.name} answered for a run that is over; dropped")
        elif call is None or (answer.number, answer.round) != (call.number, round_of(call.request)):
            self._door.complain(
                "stale",
                f"{peer.name} answered request {answer.number} of round {answer.round} to device {device}, which "
                "is not waited for; dropped",
            )
        else:
            self._judge(call, answer.parcel, arrays)

    def _restored(self, device: int, restore: _Restore, parcel: Parcel, arrays: Sequence[Buffer]) -> None:
        del self._restores[device]
        reply, fault = self._opened(messages.Memory(restore.memory), parcel, arrays)
        if fault is None and isinstance(reply, messages.Done):
            if self._ledger.memories.get(device) is restore.memory:
                self._stale.discard(device)
            self._is_due = True
        elif (call := self._calls.get(device)) is not None:
            self._fail(call, f"its memory could not be restored: {fault or reply}")

    def _opened(self, request: Request, parcel: Parcel, arrays: Sequence[Buffer]) -> tuple[Reply, str | None]:
        """(reply, what is wrong with it)."""
        try:
            reply = unpack(parcel, arrays)
        except WireError as error:
            return messages.Done(), str(error)
        fault = fault_of(request, reply)  # type: ignore[arg-type]
        if fault is None and isinstance(request, messages.Transmit):
            reply = whole(reply, request.plan.dimension)  # type: ignore[arg-type]
        return reply, fault  # type: ignore[return-value]

    def _judge(self, call: _Call, parcel: Parcel, arrays: Sequence[Buffer]) -> None:
        reply, fault = self._opened(call.request, parcel, arrays)
        if fault is not None:
            self._fail(call, f"refused: {fault}")
            return
        self._ledger.answered(call.device, call.request, reply)
        self._end(call, reply)

    def _look(self) -> None:
        """What time brings: beats, the lost, requests that can go out, and those that have waited long enough."""
        now = self._looked_s = self._now()
        self._is_due = False
        for peer in self._roster.newly_lost():
            lost_s = self._terms.pulse.lost_s
            self._tell_lost(peer, f"is lost: silent for {lost_s:g} s")
        if now - self._beaten_s >= self._terms.pulse.beat_s:
            self._beaten_s = now
            for peer in self._roster.connected():
                self._send(peer, envelope.Beat())
        for call in list(self._calls.values()):
            self._advance(call, now)

    def _advance(self, call: _Call, now: float) -> None:
        peer = self._roster.host(call.device)
        if peer is None:
            call.lost_since_s = now if call.lost_since_s is None else call.lost_since_s
            patience_s = self._terms.return_s if isinstance(call.request, PATIENT) else 0.0
            if now - call.lost_since_s >= patience_s:
                self._fail(call, "its process is not there")
            return
        call.lost_since_s = None
        if now >= call.late_s:
            self._fail(call, f"no answer within {call.late_s - call.asked_s:g} s")
        elif peer.ready and (peer.routing, peer.hello.incarnation) != (call.routing, call.incarnation):
            same = call.incarnation == peer.hello.incarnation
            if call.incarnation and not same and not isinstance(call.request, REPEATABLE):
                self._fail(call, "its process was started again in the middle of the round")
            else:
                self._dispatch(call, peer, again=same)

    def _dispatch(self, call: _Call, peer: Peer, again: bool) -> None:
        """again: the same process may have it already; it then repeats its reply."""
        memory = self._ledger.memories.get(call.device)
        if not again:
            gives_memory = isinstance(call.request, messages.Memory)
            if call.device in self._stale and memory is not None and not gives_memory:
                self._restore(call.device, memory, peer)
                return
            self._stale.discard(call.device)
            call.number = self._next_number()
        ask = Ask(self.run, call.device, call.number, round_of(call.request), call.parcel)
        call.incarnation = peer.hello.incarnation
        if self._send(peer, ask, call.arrays):
            call.routing = peer.routing

    def _restore(self, device: int, memory: NDArray[np.float32], peer: Peer) -> None:
        """What it is asked waits for the answer: nothing depends on the order in which messages arrive."""
        under_way = self._restores.get(device)
        if under_way is not None and under_way.peer is peer and under_way.memory is memory:
            return
        parcel, arrays = pack(messages.Memory(memory))
        number = self._next_number()
        if self._send(peer, Ask(self.run, device, number, NO_ROUND, parcel), arrays):
            self._restores[device] = _Restore(number, peer, memory)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _send(self, peer: Peer, content: envelope.Content, arrays: Sequence[Buffer] = ()) -> bool:
        sent = self._door.send(peer.routing, envelope.seal(content, arrays))
        if sent is None:
            self._roster.give_up(peer)
            self._tell_lost(peer, "is lost: its connection has ended")
        return bool(sent)

    def _tell_lost(self, peer: Peer, why: str) -> None:
        facts = event("lost", name=peer.name, devices=peer.numbers)
        _log.warning("%s %s; devices %s", peer.name, why, ranges(peer.numbers), extra=facts)

    def _fail(self, call: _Call, why: str) -> None:
        self._stale.add(call.device)
        self._end(call, Failed(f"device {call.device}, {type(call.request).__name__.lower()}: {why}"))

    def _end(self, call: _Call, reply: Reply) -> None:
        call.reply = reply
        del self._calls[call.device]
