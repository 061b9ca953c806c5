"""The transmit stream of a board: a thread that never lets the DMA run dry, and the bursts that it weaves in."""

import threading

import numpy as np

from radio.interface import LateError, RadioError
from radio.pacing import Pacer
from radio.pluto_link import Frames, Link, SampleBuffer
from radio.pluto_timeline import StreamShape, Timeline

HASTE = 10.0
"""No stream is fed faster than so many times the sample rate. A real board's blocks are free at its own rate. Virtual
time may pass as fast as it can be computed, and where nobody listens that is without end: this bounds it."""

GRACE_S = 0.25
"""For a block that is under way when a stream is stopped; then it is cancelled, of which libiio complains on stderr."""


class TxSchedule:
    """Bursts of each channel that have not left, by the stream's sample count. No thread, no clock."""

    def __init__(self, num_channels: int) -> None:
        self._bursts: list[list[tuple[int, int, Frames]]] = [[] for _ in range(num_channels)]

    def conflict(self, channel: int, start: int, end: int) -> int | None:
        """Where a burst begins that overlaps."""
        return next((first for first, last, _ in self._bursts[channel] if start < last and first < end), None)

    def add(self, channel: int, start: int, words: Frames) -> None:
        """words: (num_samples, 2), I and Q."""
        self._bursts[channel].append((start, start + len(words), words))

    def render(self, start: int, count: int) -> Frames:
        """(count, 2 num_channels) from `start`, zeros between bursts. What lies before is forgotten."""
        frames = np.zeros((count, 2 * len(self._bursts)), dtype="<i2")
        for channel, bursts in enumerate(self._bursts):
            for first, last, words in bursts:
                low, high = max(first, start), min(last, start + count)
                if low < high:
                    frames[low - start : high - start, 2 * channel : 2 * channel + 2] = words[
                        low - first : high - first
                    ]
            self._bursts[channel] = [burst for burst in bursts if burst[1] > start + count]
        return frames

    def clear(self, channel: int | None = None) -> None:
        """Nothing more is sent, of one channel or of all."""
        for place in range(len(self._bursts)) if channel is None else (channel,):
            self._bursts[place].clear()


class TxFeed:
    """Feeds zeros and bursts from count `first` on until it is stopped.

    `next` is the first sample that is not yet assembled: what lies before cannot be changed. A burst's air time is
    `next` plus the kernel's blocks, all of which are full, as the thread is held up by them alone.
    """

    def __init__(
        self, link: Link, timeline: Timeline, shape: StreamShape, sample_rate_hz: float, first: int
    ) -> None:
        self._link, self._timeline = link, timeline
        self._block_len = shape.block_len(sample_rate_hz)
        self._num_blocks = shape.tx_blocks
        self._lead = round(shape.lead_s * sample_rate_hz)
        self._pacer = Pacer(HASTE * sample_rate_hz, self._num_blocks * self._block_len)
        self._schedule = TxSchedule(link.num_channels)
        self.next = self.begin = first
        self._certain = first  # samples before have left, or wait in blocks that cannot run dry any more
        self._stopping = False
        self.ready = False
        self.underflows = 0
        self._buffer = link.open_buffer("transmit", self._block_len, self._num_blocks)
        timeline.watch(self._begin_epoch)
        self._thread = threading.Thread(target=self._run, name=f"transmit {link.uri}", daemon=True)
        self._thread.start()

    @property
    def earliest(self) -> int:
        """What a caller can schedule if it does so within the lead."""
        return self.next + self._lead

    def check(self, channel: int, start: int, num_samples: int) -> None:
        """LateError, or RadioError for an overlap."""
        name, index = self._timeline.name, self._timeline.index
        if start < self.next:
            raise LateError(
                f"{name}: burst at {index(start)} is late, the clock reads {index(self.next)}; ask now()"
            )
        other = self._schedule.conflict(channel, start, start + num_samples)
        if other is not None:
            raise RadioError(
                f"{name}: burst at {index(start)} overlaps its burst at {index(other)}; move one of them"
            )

    def add(self, channel: int, start: int, words: Frames) -> None:
        """After `check`, under the same lock."""
        self._schedule.add(channel, start, words)

    def cancel(self, channel: int) -> None:
        """What is not assembled yet is not sent."""
        self._schedule.clear(channel)

    def flush(self, at: int, deadline_s: float) -> None:
        """Wait until all samples before index `at` have left. Call it under the lock."""
        timeline = self._timeline
        end, epoch = timeline.count(at), timeline.epoch
        done = timeline.changed.wait_for(
            lambda: self._certain >= end or timeline.epoch != epoch or timeline.broken is not None,
            deadline_s,
        )
        timeline.check()
        timeline.count(at)
        if not done:
            raise TimeoutError(
                f"{timeline.name}: samples before {at} have not left within {deadline_s:g} s, "
                f"the stream is at {timeline.index(self._certain)}"
            )

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

    def _begin_epoch(self) -> None:
        self._schedule.clear()
        self.begin = self.next

    def _run(self) -> None:
        try:
            for _ in range(self._num_blocks):
                self._feed()
            self._link.take_flag("transmit")  # that it was dry before the first block is no news
            with self._timeline.changed:
                self.begin, self.ready = self.next, True
                self._timeline.changed.notify_all()
            while self._feed():
                if self._link.take_flag("transmit"):
                    with self._timeline.changed:
                        self.underflows += 1
                        self._timeline.upset(
                            f"the transmitter ran dry (underflow) between samples {self._certain} and {self.next}"
                        )
                with self._timeline.changed:
                    self._certain = self.next - self._num_blocks * self._block_len
                    self._timeline.changed.notify_all()
        except RadioError as error:
            if not self._stopping:
                self._timeline.fail(str(error))

    def _feed(self) -> bool:
        """One block; False once it is to stop."""
        with self._timeline.changed:
            while not self._stopping and (pause_s := self._pacer.wait_s()) > 0.0:
                self._timeline.changed.wait(pause_s)
            if self._stopping:
                return False
            frames = self._schedule.render(self.next, self._block_len)
            self.next += self._block_len
        self._pacer.spend(self._block_len)
        self._buffer.push(frames)
        return True


def end_thread(thread: threading.Thread, buffer: SampleBuffer, timeout_s: float) -> None:
    """Waits for a thread that was told to end; the buffer must not be touched if it does not: then RadioError."""
    thread.join(GRACE_S)
    if thread.is_alive():
        buffer.cancel()
        thread.join(2.0 * timeout_s)
    if thread.is_alive():
        raise RadioError(f"thread '{thread.name}' does not end within {2.0 * timeout_s:g} s; end the process")
