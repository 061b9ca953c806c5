"""One virtual radio's place in air time: its legs, its streams, and what has left it but is not on the air yet."""

import math
from collections.abc import Callable
from typing import NamedTuple

from sim_backend.dma import RxRing, TxQueue, Words
from sim_backend.frames import Gate
from sim_backend.leg import Leg
from sim_backend.station_settings import StationSettings

LAG_S = (
    1e-3  # receivers run behind: further than all interpolators and filters reach at 520 ksamples/s together
)
REPEAT_S = 3.0 * LAG_S  # from receiver to transmitter, so that who hears it can be computed piece by piece
KEEP_S = 0.02  # of what has left while nobody listens


class Piece(NamedTuple):
    """Samples from index `start` of a leg's transmitter; words: None is the generators' tones. until_s: their end."""

    leg: Leg
    start: int
    length: int
    words: Words | None
    until_s: float


class StreamState:
    """begin: (settings, leg before, instant) -> leg. Everything is up to an air time that the engine keeps."""

    def __init__(
        self, begin: Callable[[StationSettings, Leg | None, float], Leg], settings: StationSettings
    ) -> None:
        self._begin = begin
        self.legs = [begin(settings, None, 0.0)]
        self.tx: TxQueue | None = None
        self.rx: RxRing | None = None
        self.writers = 0
        self.tape: list[Piece] = []
        self.underflow = self.overflow = False
        self._tx_next = self.leg.tx_index(0.0)
        self._rx_until = 0.0

    @property
    def leg(self) -> Leg:
        """What holds now."""
        return self.legs[-1]

    def configure(self, settings: StationSettings, now_s: float) -> None:
        """From now on; a rate or frequency that did not change goes on without a step."""
        if settings == self.leg.settings:
            return
        leg = self._begin(settings, self.leg, now_s)
        self.legs.append(leg)
        self._tx_next = leg.tx_index(now_s)

    def trigger(self, now_s: float) -> None:
        """A pulse at the frame engine."""
        leg = self.leg.triggered(now_s)
        if leg is not self.leg:
            self.legs.append(leg)

    def emit(self, to_s: float, heard: bool) -> None:
        """Samples leave up to an instant. heard: whether anybody listens."""
        leg = self.leg
        start, end = self._tx_next, leg.tx_index(to_s)
        self._tx_next = max(start, end)
        if self.tx is not None and self.tx.started and leg.tx_gate is not None:
            self._emit_gated(self.tx, leg, leg.tx_gate, start, end, to_s)
        elif self.tx is not None and self.tx.started:
            kept = math.ceil(KEEP_S * leg.tx.band.sample_rate_hz)
            if not heard and end - start > kept:
                skipped = self.tx.skip(end - start - kept)
                self.underflow |= skipped < end - start - kept
                start = end - kept
            for words in self.tx.take(end - start):
                self.tape.append(Piece(leg, start, len(words), words, to_s))
                start += len(words)
            self.underflow |= start < end
        elif start < end and any(tone.scale for tone in leg.settings.dds):
            self._sound(leg, start, end, to_s)
        if not heard:
            self.tape = [piece for piece in self.tape if piece.until_s > to_s - KEEP_S]

    def _emit_gated(self, queue: TxQueue, leg: Leg, gate: Gate, place: int, end: int, to_s: float) -> None:
        while place < end:
            if not queue.has_begun:
                opens = gate.next_open(place)
                if opens is None or opens >= end:
                    return
                if not queue.oldest:
                    self.underflow |= gate.stays_open(place)
                    return
                place = opens
            for words in queue.take(min(queue.oldest, end - place)):
                self.tape.append(Piece(leg, place, len(words), words, to_s))
                place += len(words)

    def _sound(self, leg: Leg, start: int, end: int, to_s: float) -> None:
        kept = math.ceil(KEEP_S * leg.tx.band.sample_rate_hz)
        start = max(start, end - 4 * kept)  # after long silence of everybody
        self.tape.append(Piece(leg, start, end - start, None, to_s))

    def deal(self, to_s: float) -> int:
        """Give the receive DMA what has arrived up to an instant; returns more than 0 if samples found no room."""
        lost = 0
        for place, leg in enumerate(self.legs):
            if self.rx is None:
                break
            low = max(self._rx_until, leg.start_s, self.rx.from_s)
            high = min(to_s, self.legs[place + 1].start_s) if place + 1 < len(self.legs) else to_s
            if low < high:
                first, end = leg.rx_index(low), leg.rx_index(high)
                if leg.rx_gate is None:
                    lost += self.rx.fill(leg, first, max(end - first, 0))
                else:
                    lost += _fill_gated(self.rx, leg, leg.rx_gate, first, end)
        self._rx_until = max(self._rx_until, to_s)
        while len(self.legs) > 1 and self.legs[1].start_s <= self._rx_until:
            self.legs.pop(0)
        self.overflow |= lost > 0
        return lost

    def read_time(self, num_blocks: int) -> float:
        """When the receiver has filled that many more blocks; never, if nobody opens its gate."""
        assert self.rx is not None
        place: int | None = self.leg.rx_index(max(self._rx_until, self.rx.from_s))
        for number in range(num_blocks):
            begun = number == 0 and self.rx.has_begun
            place = _after(self.leg.rx_gate, place, begun, self.rx.left if begun else self.rx.block_len)
        return math.inf if place is None else self.leg.rx_time(place) + LAG_S

    def _loss_time(self) -> float:
        """When a sample finds no block."""
        assert self.rx is not None
        if self.leg.rx_gate is None or self.rx.num_free:
            return self.read_time(self.rx.num_free)
        place = self.leg.rx_gate.next_open(self.leg.rx_index(max(self._rx_until, self.rx.from_s)))
        return math.inf if place is None else self.leg.rx_time(place) + LAG_S

    def write_time(self, num_blocks: int) -> float:
        """When that many of the blocks that wait have left; never, if nobody opens their gate."""
        place = self._behind(num_blocks)
        return math.inf if place is None else self.leg.tx_time(place)

    def _dry_time(self) -> float:
        """When a sample is asked for that no block has; never, while the gate stays shut."""
        assert self.tx is not None
        place = _after(self.leg.tx_gate, self._behind(len(self.tx.lengths)), False, 0)
        return math.inf if place is None else self.leg.tx_time(place)

    def _behind(self, num_blocks: int) -> int | None:
        """The sample behind that many of the blocks that wait."""
        assert self.tx is not None
        place: int | None = self._tx_next
        for number, length in enumerate(self.tx.lengths[:num_blocks]):
            place = _after(self.leg.tx_gate, place, number == 0 and self.tx.has_begun, length)
        return place

    def goals(self) -> list[float]:
        """Instants that somebody waits for."""
        goals = []
        if self.rx is not None and self.rx.readers and not self.rx.is_ready:
            goals.append(self.read_time(1))
        if self.tx is not None and self.writers and not self.tx.has_room:
            goals.append(self.write_time(1))
        return [goal for goal in goals if goal < math.inf]

    def holders(self) -> list[tuple[float, TxQueue | RxRing]]:
        """Streams that virtual time waits for, and the instants that it must not pass without them."""
        holders: list[tuple[float, TxQueue | RxRing]] = []
        if self.tx is not None and self.tx.started and self.tx.may_hold and not self.tx.cyclic:
            holders.append((self._dry_time(), self.tx))
        if self.rx is not None and self.rx.may_hold:
            holders.append((self._loss_time(), self.rx))
        return [holder for holder in holders if holder[0] < math.inf]


def _after(gate: Gate | None, place: int | None, begun: bool, length: int) -> int | None:
    """The sample behind a block."""
    if place is None:
        return None
    if gate is not None and not begun:
        place = gate.next_open(place)
    return None if place is None else place + length


def _fill_gated(ring: RxRing, leg: Leg, gate: Gate, place: int, end: int) -> int:
    """Whether an open gate offered samples when no block was free; one that has just opened may be missed."""
    while place < end:
        if not ring.has_begun:
            opens = gate.next_open(place)
            if opens is None or opens >= end:
                return 0
            if ring.num_free == 0:
                return int(gate.stays_open(place))
            place = opens
        count = min(ring.left, end - place)
        ring.fill(leg, place, count)
        place += count
    return 0
