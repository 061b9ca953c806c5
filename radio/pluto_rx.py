"""The receive stream of a board: a ring of the last seconds, and the thread that fills it."""

import threading
import time

import numpy as np

from radio.interface import OverrunError, RadioError
from radio.pacing import Pacer
from radio.pluto_link import Frames, Link
from radio.pluto_timeline import StreamShape, Timeline
from radio.pluto_tx import end_thread

MAX_SETTLING = 20  # attempts to find a stretch without a hole


class Ring:
    """The last `capacity` samples of a stream, by count. `begin` to `end` can be read. No thread, no clock."""

    def __init__(self, capacity: int, width: int, first: int = 0) -> None:
        self._words = np.zeros((capacity, width), dtype=np.int16)
        self.begin = self.end = first

    def append(self, frames: Frames) -> None:
        """The oldest make room."""
        capacity = len(self._words)
        kept = frames[-capacity:]
        start = (self.end + len(frames) - len(kept)) % capacity
        head = min(len(kept), capacity - start)
        self._words[start : start + head] = kept[:head]
        self._words[: len(kept) - head] = kept[head:]
        self.end += len(frames)
        self.begin = max(self.begin, self.end - capacity)

    def read(self, start: int, count: int) -> Frames:
        """A copy of samples that are there."""
        capacity = len(self._words)
        first = start % capacity
        head = min(count, capacity - first)
        return np.concatenate([self._words[first : first + head], self._words[: count - head]])

    def forget(self) -> None:
        """Go on from here."""
        self.begin = self.end


class RxPump:
    """Keeps a ring from count `first` on until it is stopped.

    Samples become visible once the overflow bit has been read as clear after they arrived: then nothing is missing
    before them. If it is set, the hole is somewhere in blocks that still wait in the kernel, so that many blocks are
    thrown away, until none of them was preceded by another loss. The same is done at the start, where the kernel's
    blocks are stale.

    The pace. A real board must be read without a pause, or its kernel blocks overflow; a virtual one in virtual time
    lets time pass as fast as it is read, and holds time while its blocks are full. One rule is right for both: with
    nobody waiting for samples to come, read no faster than `idle_pace` times the sample rate by the wall clock; with
    somebody waiting, as fast as they come. A real board never reaches the limit. A virtual one keeps to the wall clock
    at most while a burst is being prepared, and so `now()` plus a lead that is good on a real board is good on it; it
    runs ahead when somebody waits in `receive`. So schedule first, receive then.
    """

    def __init__(
        self, link: Link, timeline: Timeline, shape: StreamShape, sample_rate_hz: float, first: int
    ) -> None:
        self._link, self._timeline = link, timeline
        self._block_len = shape.block_len(sample_rate_hz)
        self._num_blocks = shape.rx_blocks
        self._pacer = Pacer(shape.idle_pace * sample_rate_hz, self._num_blocks * self._block_len)
        self.ring = Ring(round(shape.ring_s * sample_rate_hz), 2 * link.num_channels, first)
        self._wanted = first  # count that somebody waits for
        self._stopping = False
        self.ready = False
        self.epoch_begin = first
        self.overflows = 0
        self._buffer = link.open_buffer("receive", self._block_len, self._num_blocks)
        timeline.watch(self._begin_epoch)
        self._thread = threading.Thread(target=self._run, name=f"receive {link.uri}", daemon=True)
        self._thread.start()

    def read(self, at: int, num_samples: int, deadline_s: float) -> Frames:
        """(num_samples, 2 num_channels) from index `at`. EpochError, OverrunError, TimeoutError, LinkError."""
        timeline, until_s = self._timeline, time.monotonic() + deadline_s
        with timeline.changed:
            while True:
                timeline.check()
                start = timeline.count(at)
                self._check_reach(start, num_samples, at)
                if start + num_samples <= self.ring.end:
                    return self.ring.read(start, num_samples)
                self._wanted = max(self._wanted, start + num_samples)
                timeline.changed.notify_all()
                left_s = until_s - time.monotonic()
                if left_s <= 0.0:
                    self._wanted = self.ring.end
                    missing = min(start + num_samples - self.ring.end, num_samples)
                    raise TimeoutError(
                        f"{timeline.name}: {missing} of {num_samples} samples from {at} have not come within "
                        f"{deadline_s:.3g} s"
                    )
                timeline.changed.wait(left_s)

    def stop(self) -> None:
        """Ends the thread and the stream; RadioError if the thread does not end. Twice is as good as once."""
        with self._timeline.changed:
            if self._stopping:
                return
            self._stopping = True
            self._timeline.changed.notify_all()
        self._timeline.unwatch(self._begin_epoch)
        end_thread(self._thread, self._buffer, self._link.timeout_s)
        self._buffer.destroy()

    def _check_reach(self, start: int, num_samples: int, at: int) -> None:
        name, ring = self._timeline.name, self.ring
        if start < self.epoch_begin:
            raise RadioError(
                f"{name}: index {at} lies before the epoch's start {self._timeline.index(self.epoch_begin)}"
            )
        if start < ring.begin:
            raise OverrunError(
                f"{name}: samples from {at} are gone: the ring reaches back to {self._timeline.index(ring.begin)}; "
                "receive sooner, or raise ring_s"
            )
        if num_samples > len(ring._words):
            raise RadioError(
                f"{name}: {num_samples} samples at once are more than the ring's {len(ring._words)}; raise ring_s"
            )

    def _begin_epoch(self) -> None:
        self.ring.forget()
        self.epoch_begin = self._wanted = self.ring.end

    def _run(self) -> None:
        try:
            self._settle()
            with self._timeline.changed:
                self.ready = True
                self._timeline.changed.notify_all()
            while self._await_turn():
                frames = self._refill()
                if self._link.take_flag("receive"):
                    with self._timeline.changed:
                        self.overflows += 1
                        self._timeline.upset(
                            f"the receiver lost samples (overflow) after sample {self.ring.end}"
                        )
                    self._settle()
                    continue
                with self._timeline.changed:
                    self.ring.append(frames)
                    self._timeline.changed.notify_all()
        except RadioError as error:
            if not self._stopping:
                self._timeline.fail(str(error))

    def _settle(self) -> None:
        for _ in range(MAX_SETTLING):
            self._link.take_flag("receive")
            for _ in range(self._num_blocks):
                self._refill()
            if not self._link.take_flag("receive"):
                return
        raise RadioError(
            f"{self._link.uri}: the receiver loses samples faster than they can be fetched; lower the sample rate "
            "(USB 2 carries about 4 Msamples/s)"
        )

    def _refill(self) -> Frames:
        frames = self._buffer.refill()
        self._pacer.spend(self._block_len)
        return frames

    def _await_turn(self) -> bool:
        """False once it is to stop."""
        with self._timeline.changed:
            while (
                not self._stopping
                and self._wanted <= self.ring.end
                and (pause_s := self._pacer.wait_s()) > 0.0
            ):
                self._timeline.changed.wait(pause_s)
            return not self._stopping
