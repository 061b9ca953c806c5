"""Gates of the frame engine: at which samples of a radio's clock a DMA may begin a block.

A block that has begun runs to its end. After ADI's HDL, projects/pluto: channel 1 of axi_tdd is the receive DMA's
`sync`; here channel 2 is the transmit DMA's in the same way, once for each block and each turn of a cyclic one.
"""

from dataclasses import dataclass
from math import inf

from sim_backend.pluto_settings import Tdd

RX_CHANNEL, TX_CHANNEL = 1, 2


@dataclass(frozen=True)
class Gate:
    """spans: [low, high) cycles of a frame at which the gate is open; idle: whether it is open outside of frames.

    start: cycle at which the first frame begins, None before a trigger. count: frames of a run, 0 for ever.
    repeat: cycles between the starts of runs, 0 for a single one. divider: cycles a sample.
    """

    spans: tuple[tuple[int, int], ...]
    idle: bool
    frame: int
    start: int | None = None
    count: int = 0
    repeat: int = 0
    divider: int = 1

    def next_open(self, index: int) -> int | None:
        """First sample from `index` on at which the gate is open; None if it stays closed."""
        if self.start is None or not self.frame:
            return index if self.idle else None
        cycle = index * self.divider
        run = max(cycle - self.start, 0) // self.repeat if self.repeat else 0
        for begins in (self.start + run * self.repeat, self.start + (run + 1) * self.repeat):
            ends = begins + min(self.count * self.frame or inf, self.repeat or inf)
            if self.idle and not begins <= cycle < ends:
                return index
            found = self._within(index, begins, ends)
            if found is not None:
                return found
        return None

    def stays_open(self, index: int) -> bool:
        """Whether it is open at a sample and was at the one before."""
        return self.next_open(index - 1) == index - 1 and self.next_open(index) == index

    def _within(self, index: int, begins: int, ends: float) -> int | None:
        frame = max(index * self.divider - begins, 0) // self.frame
        for offset in (begins + frame * self.frame, begins + (frame + 1) * self.frame):
            for low, high in self.spans:
                sample = max(index, (offset + low) // self.divider)
                if offset + low < ends and sample * self.divider < min(offset + high, ends):
                    return sample
        return None

    def is_running(self, cycle: int) -> bool:
        """Whether a run was triggered, be it ahead by its delay, and has not ended."""
        if self.start is None:
            return False
        return self.count == 0 or bool(self.repeat) or cycle < self.start + self.count * self.frame


def gate(tdd: Tdd, channel: int, start: int | None, divider: int) -> Gate | None:
    """Of one channel; None, which is always open, while the engine is not enabled."""
    if not tdd.enabled:
        return None
    own, frame = tdd.channels[channel], tdd.frame_cycles
    edges = [(own.on_cycles, own.off_cycles)]
    if own.on_cycles > own.off_cycles:
        edges = [(0, own.off_cycles), (own.on_cycles, frame)]
    spans = [(low, min(high, frame)) for low, high in edges if own.enabled and low < min(high, frame)]
    if own.inverted:
        bounds = [0, *(edge for span in spans for edge in span), frame]
        spans = [(low, high) for low, high in zip(bounds[::2], bounds[1::2], strict=True) if low < high]
    repeat = tdd.period_cycles if tdd.sync_internal else 0
    if repeat and not tdd.sync_reset:  # pulses during a run are ignored
        repeat *= -(-max(tdd.burst_count * frame, 1) // repeat) if tdd.burst_count else 0
    return Gate(tuple(spans), own.inverted, frame, start, tdd.burst_count, repeat, divider)
