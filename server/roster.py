"""Which process hosts which devices, and whether it is alive. Sockets and threads are elsewhere."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from devices.wire.envelope import MAX_COUNT, Hello, Pulse
from devices.wire.keys import NAME

BEATS_APART = 2.0  # beats of silence, after which a process that is started again takes its own place


class Rejected(ValueError):
    """A process that there is no use for; the text says why."""


class Busy(ValueError):
    """A process that may come back in a moment."""


@dataclass
class Peer:
    """A device process. routing: what its connection is called; numbers: of the devices it hosts."""

    hello: Hello
    routing: bytes
    numbers: tuple[int, ...]
    seen_s: float
    ready: bool = False
    lost: bool = False
    since_s: float = 0.0  # when it said hello, was ready, or, of a lost one, was heard last

    @property
    def name(self) -> str:
        """As it presented itself."""
        return self.hello.name


class Roster:
    """num_devices, held_out: training devices are numbered first. with_radios: training devices need radios, and only
    processes without any host held-out ones."""

    def __init__(
        self, num_devices: int, held_out: int, with_radios: bool, pulse: Pulse, now: Callable[[], float]
    ) -> None:
        self._num_devices, self._num_all = num_devices, num_devices + held_out
        self._with_radios, self._pulse, self._now = with_radios, pulse, now
        self._peers: dict[str, Peer] = {}
        self._by_routing: dict[bytes, Peer] = {}
        self._hosts: dict[int, Peer] = {}  # of devices whose process is not lost

    def admit(self, routing: bytes, hello: Hello) -> Peer:
        """A process that says hello, for the first time or again. Raises Rejected, Busy."""
        known = self._peers.get(hello.name)
        another = known is not None and not known.lost and known.hello.incarnation != hello.incarnation
        if known is not None and another and self._now() - known.seen_s < BEATS_APART * self._pulse.beat_s:
            raise Busy(f"a process called {hello.name} is there already; give each --id a name of its own")
        numbers = self._numbers_for(hello, known)
        if known is not None:
            self._let_go(known)
        peer = Peer(hello, routing, numbers, self._now(), since_s=self._now())
        self._peers[hello.name] = self._by_routing[routing] = peer
        self._hosts |= dict.fromkeys(numbers, peer)
        return peer

    def heard(self, routing: bytes) -> Peer | None:
        """A sign of life; None of a connection that belongs to nobody, or to one that was given up."""
        peer = self._by_routing.get(routing)
        if peer is None or peer.lost:
            return None
        peer.seen_s = self._now()
        return peer

    def is_there(self, peer: Peer) -> bool:
        """It is ready; whether that is news."""
        news = not peer.ready
        if news:
            peer.ready, peer.since_s = True, self._now()
        return news

    def give_up(self, peer: Peer) -> None:
        """It is lost until it says hello again."""
        peer.lost, peer.ready, peer.since_s = True, False, peer.seen_s
        self._let_go(peer)

    def newly_lost(self) -> list[Peer]:
        """Those who have kept quiet for too long, from now on lost."""
        limit_s = self._now() - self._pulse.lost_s
        silent = [peer for peer in self._by_routing.values() if peer.seen_s < limit_s]
        for peer in silent:
            self.give_up(peer)
        return silent

    def host(self, device: int) -> Peer | None:
        """The process of a device, if it is not lost; it may not be ready yet."""
        return self._hosts.get(device)

    def is_ready(self, device: int) -> bool:
        """Whether it can be asked."""
        peer = self._hosts.get(device)
        return peer is not None and peer.ready

    def connected(self) -> list[Peer]:
        """All who are not lost."""
        return list(self._by_routing.values())

    def known(self) -> list[Peer]:
        """All who ever came in, lost ones too."""
        return list(self._peers.values())

    def missing(self) -> list[int]:
        """Devices that no process has ready."""
        there = {number for peer in self._peers.values() if peer.ready for number in peer.numbers}
        return [number for number in range(self._num_all) if number not in there]

    def _let_go(self, peer: Peer) -> None:
        self._by_routing.pop(peer.routing, None)
        for number in peer.numbers:
            if self._hosts.get(number) is peer:
                del self._hosts[number]

    def _numbers_for(self, hello: Hello, known: Peer | None) -> tuple[int, ...]:
        if not NAME.fullmatch(hello.name) or not 1 <= hello.count <= MAX_COUNT:
            raise Rejected(
                f"{hello.name[:80]!r} with {hello.count} devices cannot be; see airmeta device --help"
            )
        eligible = self._eligible(hello)
        if known is not None and len(known.numbers) == hello.count and set(known.numbers) <= set(eligible):
            return known.numbers
        taken = {number for peer in self._peers.values() if peer is not known for number in peer.numbers}
        if hello.first >= 0:
            wanted = tuple(range(hello.first, hello.first + hello.count))
            if set(wanted) <= set(eligible) - taken:
                return wanted
        free = [number for number in eligible if number not in taken]
        if len(free) < hello.count:
            kind = "devices"
            if self._with_radios:
                kind = (
                    "training devices, with radios," if hello.radios else "held-out devices, without radios,"
                )
            raise Rejected(
                f"{hello.name} brings {hello.count} {kind} and {len(free)} of {len(eligible)} are not taken; "
                "lower --count, or see fleet.devices and fleet.held_out"
            )
        return tuple(free[: hello.count])

    def _eligible(self, hello: Hello) -> range:
        if not self._with_radios:
            return range(self._num_all)
        return range(self._num_devices) if hello.radios else range(self._num_devices, self._num_all)


def ranges(numbers: Iterable[int]) -> str:
    """Rising numbers in words: "0 to 3, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in runs)
