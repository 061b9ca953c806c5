"""What both streams of a board share: one lock, the epoch and what began it, and what broke."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from radio.interface import EPOCH_LEN, EpochError
from radio.pluto_link import LinkError

ALIGNMENT = 256  # samples: blocks are whole multiples, so that DMA and network chunks are


@dataclass(frozen=True, kw_only=True)
class StreamShape:
    """Spans of the streams, in seconds of sample time.

    block_s: of one kernel block. tx_blocks, rx_blocks: kernel blocks a direction, and so how long the host may be busy
        with something else before the transmitter runs dry, or the receiver loses samples. Every burst waits for
        the transmit blocks before it.
    lead_s: how far `now()` lies behind the last sample that is already assembled: so long a caller may take between
        `now()` and `transmit()`. More than all receive blocks last: once a wait in `receive` is over, virtual time
        runs freely until they are full.
    ring_s: how far back `receive` reaches.

    idle_pace: times the sample rate, at most, at which blocks are taken while nobody waits for samples to come. More
        than any crystal is off, so that a real board's are taken as they come; where time is virtual and nobody else
        uses it, less leaves the processor to others.
    """

    block_s: float = 0.01
    tx_blocks: int = 8
    rx_blocks: int = 8
    lead_s: float = 0.1
    ring_s: float = 2.0
    idle_pace: float = 1.01

    def __post_init__(self) -> None:
        for name, (low, high) in {
            "block_s": (1e-4, 0.5),
            "lead_s": (0.0, 10.0),
            "ring_s": (1.0, 60.0),
            "idle_pace": (1e-3, 2.0),
        }.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {getattr(self, name):g}")
        for name in ("tx_blocks", "rx_blocks"):
            if not 2 <= getattr(self, name) <= 64:
                raise ValueError(f"{name} must be in [2, 64], got {getattr(self, name)}")

    def block_len(self, sample_rate_hz: float) -> int:
        """Samples of a kernel block."""
        return max(round(self.block_s * sample_rate_hz / ALIGNMENT), 1) * ALIGNMENT


class Timeline:
    """`changed` guards everything that streams and callers share, and is notified of every change."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.changed = threading.Condition(threading.RLock())
        self.epoch = 0
        self.broken: str | None = None
        self._why = "opening"
        self._on_epoch: list[Callable[[], None]] = []

    def watch(self, begin: Callable[[], None]) -> None:
        """begin: called under the lock as each epoch begins."""
        self._on_epoch.append(begin)

    def unwatch(self, begin: Callable[[], None]) -> None:
        """Not any more."""
        self._on_epoch.remove(begin)

    def upset(self, why: str) -> None:
        """Indices given out so far are void."""
        with self.changed:
            self.epoch += 1
            self._why = why
            for begin in self._on_epoch:
                begin()
            self.changed.notify_all()

    def fail(self, why: str) -> None:
        """The link broke: every call says so until it is opened anew."""
        with self.changed:
            self.broken = self.broken or why
            self.changed.notify_all()

    def check(self) -> None:
        """LinkError if the link broke."""
        if self.broken is not None:
            raise LinkError(self.broken)

    def index(self, count: int) -> int:
        """Of a stream's sample, in this epoch."""
        return self.epoch * EPOCH_LEN + count

    def count(self, index: int) -> int:
        """The inverse of `index`. EpochError if the epoch is another."""
        epoch = index // EPOCH_LEN
        self.check_epoch(epoch, f"index {index} belongs")
        return index - epoch * EPOCH_LEN

    def check_epoch(self, epoch: int, what: str = "that belonged") -> None:
        """EpochError if it is not the present one."""
        if epoch != self.epoch:
            raise EpochError(
                f"{self.name}: {what} to epoch {epoch}, this is epoch {self.epoch} (what began it: {self._why}); "
                "ask now() and sound again"
            )
