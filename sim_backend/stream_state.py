"""One virtual radio's place in air time: its legs, its streams, and what has left it but is not on the air yet."""

import math
from collections.abc import Callable
from typing import NamedTuple

from sim_backend.dma import RxRing, TxQueue, Words
from sim_backend.leg import Leg
from sim_backend.station_settings import StationSettings

LAG_S = (
    1e-3  # receivers run behind: further than all interpolators and filters reach at 520 ksamples/s together
)
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

    def emit(self, to_s: float, heard: bool) -> None:
        """Samples leave up to an instant. heard: whether anybody listens."""
        leg = self.leg
        start, end = self._tx_next, leg.tx_index(to_s)
        self._tx_next = max(start, end)
        if self.tx is not None and self.tx.started:
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

    def _sound(self, leg: Leg, start: int, end: int, to_s: float) -> None:
        kept = math.ceil(KEEP_S * leg.tx.band.sample_rate_hz)
        start = max(start, end - 4 * kept)  # after long silence of everybody
        self.tape.append(Piece(leg, start, end - start, None, to_s))

    def deal(self, to_s: float) -> int:
        """Give the receive DMA what has arrived up to an instant; returns how many samples found no room."""
        lost = 0
        for place, leg in enumerate(self.legs):
            if self.rx is None:
                break
            low = max(self._rx_until, leg.start_s, self.rx.from_s)
            high = min(to_s, self.legs[place + 1].start_s) if place + 1 < len(self.legs) else to_s
            if low < high:
                first = leg.rx_index(low)
                lost += self.rx.fill(leg, first, max(leg.rx_index(high) - first, 0))
        self._rx_until = max(self._rx_until, to_s)
        while len(self.legs) > 1 and self.legs[1].start_s <= self._rx_until:
            self.legs.pop(0)
        self.overflow |= lost > 0
        return lost

    def read_time(self, num_samples: int) -> float:
        """When the receiver has dealt that many more."""
        assert self.rx is not None
        index = self.leg.rx_index(max(self._rx_until, self.rx.from_s)) + num_samples
        return self.leg.rx_time(index) + LAG_S

    def write_time(self, num_samples: int) -> float:
        """When that many more have left."""
        return self.leg.tx_time(self._tx_next + num_samples)

    def goals(self) -> list[float]:
        """Instants that somebody waits for."""
        goals = []
        if self.rx is not None and self.rx.readers and not self.rx.is_ready:
            goals.append(self.read_time(self.rx.wanted))
        if self.tx is not None and self.writers and not self.tx.has_room:
            goals.append(self.write_time(self.tx.oldest))
        return goals

    def holders(self) -> list[tuple[float, TxQueue | RxRing]]:
        """Streams that virtual time waits for, and the instants that it must not pass without them."""
        holders: list[tuple[float, TxQueue | RxRing]] = []
        if self.tx is not None and self.tx.started and self.tx.may_hold and not self.tx.cyclic:
            holders.append((self.write_time(self.tx.queued), self.tx))
        if self.rx is not None and self.rx.may_hold:
            holders.append((self.read_time(self.rx.room), self.rx))
        return holders
