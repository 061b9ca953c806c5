"""Kernel blocks of a transmit and of a receive stream: bookkeeping without locks, threads or clocks.

Samples are int16, (num_samples, 2 num_channels): I and Q of each channel in turn, as on the wire.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim_backend.leg import Leg

Words = NDArray[np.int16]


class TxQueue:
    """Blocks that wait for the converter. may_hold: whether virtual time waits for it when it has run dry."""

    def __init__(self, block_len: int, num_blocks: int, cyclic: bool) -> None:
        _check_blocks(block_len, num_blocks)
        self.block_len, self.num_blocks, self.cyclic = block_len, num_blocks, cyclic
        self.started = self.may_hold = False
        self.held_since: float | None = None
        self._blocks: deque[Words] = deque()
        self._used = 0  # samples of the first block that have left

    @property
    def has_room(self) -> bool:
        """For one more block."""
        return len(self._blocks) < (1 if self.cyclic else self.num_blocks)

    @property
    def oldest(self) -> int:
        """Samples until the first block is free; 0 if there is none."""
        return len(self._blocks[0]) - self._used if self._blocks else 0

    @property
    def has_begun(self) -> bool:
        """Whether a part of the first block has left."""
        return self._used > 0

    @property
    def lengths(self) -> list[int]:
        """Samples of each block that have not left."""
        return [len(block) - (self._used if place == 0 else 0) for place, block in enumerate(self._blocks)]

    def push(self, block: Words) -> None:
        """A block of the client's, which may not be empty."""
        self._blocks.append(block)
        self.started = self.may_hold = True
        self.held_since = None

    def take(self, count: int) -> list[Words]:
        """The next `count` samples in pieces, or all there are."""
        taken = []
        while count > 0 and self._blocks:
            block = self._blocks[0]
            piece = block[self._used : self._used + count]
            taken.append(piece)
            count -= len(piece)
            self._used += len(piece)
            if self._used == len(block):
                self._used = 0
                if not self.cyclic:
                    self._blocks.popleft()
        return taken

    def skip(self, count: int) -> int:
        """`take` without the samples; returns how many there were."""
        if self.cyclic and self._blocks:
            self._used = (self._used + count) % len(self._blocks[0])
            return count
        return sum(map(len, self.take(count)))


@dataclass(eq=False)
class Segment:
    """Receive samples from index `start` under a leg; `done` of `count` are computed."""

    leg: Leg
    start: int
    count: int
    done: int = 0


@dataclass(eq=False)
class RxBlock:
    """segments: of the `filled` samples that belong to it; pieces: what is computed of them."""

    filled: int = 0
    computed: int = 0
    segments: list[Segment] = field(default_factory=list)
    pieces: list[Words] = field(default_factory=list)


class RxRing:
    """Blocks that the DMA fills from air time `from_s` on. spare: further blocks that may wait to be computed."""

    def __init__(self, block_len: int, num_blocks: int, from_s: float, spare: int = 0) -> None:
        _check_blocks(block_len, num_blocks)
        self.block_len, self.num_blocks, self.from_s, self.spare = block_len, num_blocks, from_s, spare
        self.may_hold = True
        self.held_since: float | None = None
        self.readers = 0
        self.blocks: deque[RxBlock] = deque()

    @property
    def num_ready(self) -> int:
        """Blocks that can be read."""
        return sum(block.computed == self.block_len for block in self.blocks)

    @property
    def is_ready(self) -> bool:
        """Whether the oldest block can be read."""
        return bool(self.blocks) and self.blocks[0].computed == self.block_len

    @property
    def num_free(self) -> int:
        """Blocks that are not full."""
        return self.num_blocks + self.spare - len(self.blocks) + self.has_begun

    @property
    def has_begun(self) -> bool:
        """Whether a block is partly filled."""
        return bool(self.blocks) and self.blocks[-1].filled < self.block_len

    @property
    def left(self) -> int:
        """Samples until the block that is being filled, or the next, is full."""
        return self.block_len - (self.blocks[-1].filled if self.has_begun else 0)

    def fill(self, leg: Leg, start: int, count: int) -> int:
        """Give samples to blocks; returns how many find none."""
        while count > 0:
            if not self.blocks or self.blocks[-1].filled == self.block_len:
                if len(self.blocks) >= self.num_blocks + self.spare:
                    return count
                self.blocks.append(RxBlock())
            block = self.blocks[-1]
            taken = min(count, self.block_len - block.filled)
            last = block.segments[-1] if block.segments else None
            if last is not None and last.leg is leg and last.start + last.count == start:
                last.count += taken
            else:
                block.segments.append(Segment(leg, start, taken))
            block.filled += taken
            start, count = start + taken, count - taken
        return 0

    def due(self) -> list[tuple[RxBlock, Segment]]:
        """Segments with samples to compute."""
        return [(b, s) for b in self.blocks for s in b.segments if s.done < s.count]

    def drop_excess(self) -> bool:
        """Give up computed blocks that no slot was free for; whether there were any."""
        ready = [block for block in self.blocks if block.computed == self.block_len]
        excess = ready[self.num_blocks :]
        self.blocks = deque(block for block in self.blocks if not any(block is other for other in excess))
        return bool(excess)

    def pop(self) -> Words:
        """The oldest block, which must be ready."""
        self.may_hold = True
        self.held_since = None
        return np.concatenate(self.blocks.popleft().pieces)


def _check_blocks(block_len: int, num_blocks: int) -> None:
    if not (block_len >= 1 and num_blocks >= 1):
        raise ValueError(f"block_len and num_blocks must be at least 1, got {block_len} and {num_blocks}")
