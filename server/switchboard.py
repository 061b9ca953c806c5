"""Who of the devices is asked what, and what becomes of it: every request has an end, a reply or Failed.

A device that was lost in a round is out of it; what asks for everybody (`PATIENT`) waits for its return. Nothing here
waits: letters come in, requests go out, and `look` is told of the time. Not for several threads at once.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from devices.wire.json_log import event
from devices.wire.packing import Buffer, Parcel, WireError, pack, unpack
from devices.wire.thinning import whole
from server.door import Door, Letter
from server.ledger import Ledger
from server.reply_checks import fault_of, round_of
from server.roster import Busy, Peer, Rejected, Roster, ranges

LOOK_S = 0.05  # between looks at deadlines
PATIENT = (messages.Initialise, messages.Evaluate, messages.Probe, messages.Save, messages.Memory)
REPEATABLE = (*PATIENT, messages.Train)  # by a process that was started again: they need the memory alone
_log = logging.getLogger(__name__)


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
class Call:
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


class Switchboard:
    """roster: who is there. radios: what every process that was ever ready said of its own, by name. unable: by name,
    why a process cannot host its devices. round: that was asked for last."""

    def __init__(self, terms: Terms, run: str, door: Door, with_keys: bool, now: Callable[[], float]) -> None:
        settings = terms.settings
        self.roster = Roster(settings.devices, settings.held_out, terms.radio is not None, terms.pulse, now)
        self.radios: dict[str, tuple[dict[str, Any], ...]] = {}
        self.unable: dict[str, str] = {}
        self.round: int | None = None
        self._terms, self._run, self._door, self._with_keys, self._now = terms, run, door, with_keys, now
        self._ledger = Ledger()
        self._calls: dict[int, Call] = {}
        self._stale: set[int] = set()  # devices that may not remember what the ledger says
        self._restores: dict[int, _Restore] = {}  # by device, that are under way
        self._number = 0
        self._beaten_s = self._looked_s = now()
        self._is_due = False  # whether there may be something to send

    def begin(self, device: int, request: Request, parcel: Parcel, arrays: Sequence[Buffer]) -> Call:
        """A request that goes out as soon as its device is there."""
        now = self._now()
        deadline_s = now + self._terms.reply_s + self._patience_s(request)
        call = Call(device, request, parcel, arrays, now, deadline_s)
        self._ledger.asked(device, request)
        number = round_of(request)
        self.round = self.round if number == NO_ROUND else number
        known = self._ledger.memory(device) if isinstance(request, messages.Save) else None
        if known is not None:
            call.reply = messages.Memory(known)
        else:
            self._calls[device] = call
            self._is_due = True
        return call

    def at_work(self) -> dict[int, tuple[str, float]]:
        """By device: what it is asked, and since when."""
        return {
            call.device: (type(call.request).__name__.lower(), call.asked_s)
            for call in self._calls.values()
            if (peer := self.roster.host(call.device)) is not None and call.routing == peer.routing
        }

    def read(self, letter: Letter) -> None:
        """What somebody sent."""
        try:
            content, arrays = envelope.unseal(letter.frames)
        except WireError as error:
            self._door.complain("frames", f"a message from {letter.user or 'somebody'} was dropped: {error}")
            return
        if isinstance(content, Hello):
            self._greet(letter, content)
            return
        peer = self.roster.heard(letter.routing)
        if peer is None:
            self._door.send(letter.routing, envelope.seal(envelope.Unknown()))
            return
        match content:
            case Answer():
                self._take(peer, content, arrays)
            case Ready(run, radios) if run == self._run:
                if self.roster.is_there(peer):
                    facts = event("arrival", name=peer.name, devices=peer.numbers, said=peer.hello.facts)
                    _log.info("%s is ready with devices %s", peer.name, ranges(peer.numbers), extra=facts)
                self._is_due = True
                self.unable.pop(peer.name, None)
                self.radios[peer.name] = radios
            case Unable(run, reason) if run == self._run:
                _log.warning(
                    "%s cannot host devices %s: %s", peer.name, ranges(peer.numbers), reason,
                    extra=event("unable", name=peer.name, devices=peer.numbers),
                )  # fmt: skip
                self.unable[peer.name] = reason
                self.roster.give_up(peer)
            case Leave():
                facts = event("departure", name=peer.name, devices=peer.numbers)
                _log.info("%s has left with devices %s", peer.name, ranges(peer.numbers), extra=facts)
                self.roster.give_up(peer)

    def look(self) -> None:
        """What time brings: beats, the lost, requests that can go out, and those that have waited long enough."""
        now = self._now()
        if not self._is_due and now - self._looked_s < LOOK_S:
            return
        self._looked_s, self._is_due = now, False
        for peer in self.roster.newly_lost():
            lost_s = self._terms.pulse.lost_s
            self._tell_lost(peer, f"is lost: silent for {lost_s:g} s")
        if now - self._beaten_s >= self._terms.pulse.beat_s:
            self._beaten_s = now
            for peer in self.roster.connected():
                self._send(peer, envelope.Beat())
        for call in list(self._calls.values()):
            self._advance(call, now)

    def dismiss(self, ending: Leave) -> None:
        """Let everybody go."""
        for peer in self.roster.connected():
            self._send(peer, ending)

    def _greet(self, letter: Letter, hello: Hello) -> None:
        if self._with_keys and hello.name != letter.user:
            self._door.complain("name", f"{letter.user} called itself {hello.name[:80]!r} and was not let in")
            reason = f"the key is {letter.user}'s; give --id {letter.user}"
            self._door.send(letter.routing, envelope.seal(envelope.Refused(reason)))
            return
        before = next((peer for peer in self.roster.connected() if peer.name == hello.name), None)
        try:
            peer = self.roster.admit(letter.routing, hello)
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
        self._send(peer, Welcome(self._run, peer.numbers, terms.settings, terms.pulse, terms.radio))

    def _take(self, peer: Peer, answer: Answer, arrays: Sequence[Buffer]) -> None:
        device = answer.device
        is_its_own = device in peer.numbers
        call = self._calls.get(device) if is_its_own else None
        restore = self._restores.get(device) if is_its_own else None
        if answer.run == self._run and restore is not None and restore.number == answer.number:
            self._restored(device, restore, answer.parcel, arrays)
        elif answer.run != self._run:
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

    def _judge(self, call: Call, parcel: Parcel, arrays: Sequence[Buffer]) -> None:
        reply, fault = self._opened(call.request, parcel, arrays)
        if fault is not None:
            self._fail(call, f"refused: {fault}")
            return
        self._ledger.answered(call.device, call.request, reply)
        self._end(call, reply)

    def _patience_s(self, request: Request) -> float:
        """How long a lost device is waited for."""
        return self._terms.return_s if isinstance(request, PATIENT) else 0.0

    def _advance(self, call: Call, now: float) -> None:
        peer = self.roster.host(call.device)
        if peer is None:
            call.lost_since_s = now if call.lost_since_s is None else call.lost_since_s
            if now - call.lost_since_s >= self._patience_s(call.request):
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

    def _dispatch(self, call: Call, peer: Peer, again: bool) -> None:
        """again: the same process may have it already; it then repeats its reply."""
        memory = self._ledger.memories.get(call.device)
        if not again:
            gives_memory = isinstance(call.request, messages.Memory)
            if call.device in self._stale and memory is not None and not gives_memory:
                self._restore(call.device, memory, peer)
                return
            self._stale.discard(call.device)
            call.number = self._next_number()
        ask = Ask(self._run, call.device, call.number, round_of(call.request), call.parcel)
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
        if self._send(peer, Ask(self._run, device, number, NO_ROUND, parcel), arrays):
            self._restores[device] = _Restore(number, peer, memory)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _send(self, peer: Peer, content: envelope.Content, arrays: Sequence[Buffer] = ()) -> bool:
        sent = self._door.send(peer.routing, envelope.seal(content, arrays))
        if sent is None:
            self.roster.give_up(peer)
            self._tell_lost(peer, "is lost: its connection has ended")
        return bool(sent)

    def _tell_lost(self, peer: Peer, why: str) -> None:
        facts = event("lost", name=peer.name, devices=peer.numbers)
        _log.warning("%s %s; devices %s", peer.name, why, ranges(peer.numbers), extra=facts)

    def _fail(self, call: Call, why: str) -> None:
        self._stale.add(call.device)
        self._end(call, Failed(f"device {call.device}, {type(call.request).__name__.lower()}: {why}"))

    def _end(self, call: Call, reply: Reply) -> None:
        call.reply = reply
        del self._calls[call.device]
