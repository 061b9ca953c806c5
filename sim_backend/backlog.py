"""What virtual radios have sent and are to receive, and is not computed: taken under the lock, computed without it."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sim_backend.dma import RxBlock, Segment, Words
from sim_backend.leg import Leg
from sim_backend.stream_air import StreamAir
from sim_backend.stream_state import KEEP_S, LAG_S, Piece, StreamState
from sim_backend.timeline import STEP_S


@dataclass(frozen=True)
class _Job:
    radio: int
    block: RxBlock
    segment: Segment
    first: int
    count: int


@dataclass(frozen=True)
class _Repeat:
    radio: int
    leg: Leg
    first: int
    end: int


@dataclass
class Work:
    """Up to air time `until_s`: what has left each radio, what is to be received, whose level is asked for.

    repeats: what radios receive that send it again.
    """

    until_s: float
    tapes: list[list[Piece]]
    jobs: list[_Job]
    measures: list[tuple[int, Leg]]
    repeats: list[_Repeat]
    outputs: list[Words] = field(default_factory=list)
    levels: dict[int, list[float]] = field(default_factory=dict)
    spent_s: float = 0.0

    def compute(self, air: StreamAir) -> None:
        """Without the lock."""
        began_s = time.monotonic()
        for radio, tape in enumerate(self.tapes):
            air.put(radio, tape)
        self._repeat(air)
        self.outputs = [air.receive(job.radio, job.segment.leg, job.first, job.count) for job in self.jobs]
        self.levels = {radio: air.measure(radio, leg, self.until_s) for radio, leg in self.measures}
        air.forget(self.until_s - LAG_S)
        self.spent_s = time.monotonic() - began_s

    def _repeat(self, air: StreamAir) -> None:
        """In pieces so short that none holds what a repeater sent on in the same piece."""
        longest_s = max(((r.end - r.first) / r.leg.chip_rate_hz for r in self.repeats), default=0.0)
        num_pieces = math.ceil(longest_s / LAG_S)
        for piece in range(num_pieces):
            for r in self.repeats:
                low, high = (r.first + (r.end - r.first) * (piece + i) // num_pieces for i in (0, 1))
                air.repeat(r.radio, r.leg, low, high - low)


class Backlog:
    """asked: radio -> air time at which its input powers are to be measured; measured: in dBm, by channel."""

    def __init__(self, stations: Sequence[StreamState]) -> None:
        self._stations = stations
        self.asked: dict[int, float] = {}
        self.measured: dict[int, list[float]] = {}
        self._repeated_s = [0.0] * len(stations)
        self.computed_s = self._spent_s = self._worked_off_s = 0.0

    @property
    def cost(self) -> float:
        """Seconds of computing a second of air."""
        return self._spent_s / max(self._worked_off_s, 1e-9)

    def is_due(self, now_s: float) -> bool:
        """Whether there is something to compute: a block that is full, or much of others."""
        if any(instant <= now_s for instant in self.asked.values()):
            return True
        rings = [station.rx for station in self._stations if station.rx is not None]
        if any(b.filled == ring.block_len > b.computed for ring in rings for b in ring.blocks):
            return True
        return now_s - self.computed_s > STEP_S and any(ring.due() for ring in rings)

    def take(self, now_s: float) -> Work:
        """All that has arrived so far."""
        tapes = [station.tape for station in self._stations]
        for station in self._stations:
            station.tape = []
        jobs = [
            _Job(radio, block, segment, segment.start + segment.done, segment.count - segment.done)
            for radio, station in enumerate(self._stations)
            if station.rx is not None
            for block, segment in station.rx.due()
        ]
        asked = [(radio, self._stations[radio].leg) for radio, at_s in self.asked.items() if at_s <= now_s]
        return Work(now_s, tapes, jobs, asked, self._take_repeats(now_s - LAG_S))

    def _take_repeats(self, to_s: float) -> list[_Repeat]:
        repeats = []
        for radio, station in enumerate(self._stations):
            leg = station.leg
            from_s = max(self._repeated_s[radio], leg.start_s, to_s - STEP_S - KEEP_S)
            if leg.settings.repeats and from_s < to_s:
                repeats.append(_Repeat(radio, leg, leg.rx_index(from_s), leg.rx_index(to_s)))
                self._repeated_s[radio] = to_s
        return repeats

    def deliver(self, work: Work) -> None:
        """Give what was computed to blocks, and drop what no slot is free for."""
        self._spent_s += work.spent_s
        self._worked_off_s += max(work.until_s - self.computed_s, 0.0)
        self.computed_s = work.until_s
        for radio, levels in work.levels.items():
            self.asked.pop(radio, None)
            self.measured[radio] = levels
        for job, words in zip(work.jobs, work.outputs, strict=True):
            job.segment.done += len(words)
            job.block.computed += len(words)
            job.block.pieces.append(words)
        for station in self._stations:
            if station.rx is not None and station.rx.drop_excess():
                station.overflow = True
