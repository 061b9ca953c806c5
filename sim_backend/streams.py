"""Open streams of virtual radios, as clients hold them. Samples: int16, (num_samples, 2 num_channels)."""

import time
from types import TracebackType

import numpy as np

from radio.interface import RadioError
from sim_backend.dma import RxRing, TxQueue, Words
from sim_backend.monitor import Monitor
from sim_backend.stream_state import StreamState
from sim_backend.timeline import TICK_S, Timeline


class TxStream:
    """Use it as a context manager. name: of the radio, for messages."""

    def __init__(
        self,
        monitor: Monitor,
        timeline: Timeline,
        station: StreamState,
        queue: TxQueue,
        name: str,
        num_columns: int,
    ) -> None:
        self._monitor, self._timeline, self._station, self._queue = monitor, timeline, station, queue
        self._name, self._num_columns = name, num_columns

    @property
    def is_open(self) -> bool:
        """Whether samples can still be written."""
        with self._monitor:
            return not self._monitor.is_over and self._station.tx is self._queue

    def write(self, words: Words, deadline_s: float = 5.0) -> int:
        """Queue samples in blocks as soon as there is room; returns how many by the deadline.

        TimeoutError if none, RadioError on a closed stream or a second cyclic buffer.
        """
        if words.ndim != 2 or words.shape[1] != self._num_columns or words.dtype != np.int16:
            raise ValueError(
                f"samples must be int16 of shape (num_samples, {self._num_columns}), got {words.dtype} {words.shape}"
            )
        if self._queue.cyclic and len(words) > self._queue.block_len:
            raise ValueError(f"a cyclic buffer of {self._queue.block_len} samples was given {len(words)}")
        words = words.copy()
        limit_s = time.monotonic() + deadline_s
        written = 0
        with self._monitor:
            self._timeline.catch_up()
            while written < len(words) and self._wait_for_room(limit_s):
                block = words[written : written + self._queue.block_len]
                self._queue.push(block)
                written += len(block)
                self._monitor.notify()
        if written == 0 and len(words):
            raise TimeoutError(f"{self._name}: no room for a block within {deadline_s:g} s")
        return written

    def _wait_for_room(self, limit_s: float) -> bool:
        """False if there is none by an instant of time.monotonic()."""
        if self._has_room():
            return True
        self._station.writers += 1
        self._monitor.notify()  # once: who waits wakes everybody
        try:
            while (left_s := limit_s - time.monotonic()) > 0.0:
                if self._timeline.is_real:
                    left_s = min(left_s, max(self._station.write_time(1) - self._timeline.now_s, TICK_S))
                self._monitor.pause(left_s)
                self._timeline.catch_up()
                if self._has_room():
                    return True
            return False
        finally:
            self._station.writers -= 1

    def _has_room(self) -> bool:
        if self._station.tx is not self._queue:
            raise RadioError(f"{self._name}: the transmit stream is closed")
        if self._queue.cyclic and not self._queue.has_room:
            raise RadioError(f"{self._name}: a cyclic buffer is on the air; close it first")
        return self._queue.has_room

    def close(self) -> None:
        """What has not left is dropped, zeros follow; twice is as good as once."""
        with self._monitor:
            if not self._monitor.is_over:
                self._timeline.catch_up()
            if self._station.tx is self._queue:
                self._station.tx = None
            self._monitor.notify()

    def __enter__(self) -> "TxStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RxStream:
    """Use it as a context manager. name: of the radio, for messages."""

    def __init__(
        self, monitor: Monitor, timeline: Timeline, station: StreamState, ring: RxRing, name: str
    ) -> None:
        self._monitor, self._timeline, self._station, self._ring = monitor, timeline, station, ring
        self._name = name

    def read(self, deadline_s: float = 5.0) -> Words:
        """(block_len, 2 num_channels) int16 within +-2047: the oldest block, however old. TimeoutError, RadioError."""
        with self._monitor:
            self._monitor.check()
            self._ring.readers += 1
            self._monitor.notify()
            try:
                self._monitor.wait(
                    lambda: self._station.rx is not self._ring or self._ring.is_ready,
                    deadline_s,
                    f"a block of {self._name}",
                )
            finally:
                self._ring.readers -= 1
            if self._station.rx is not self._ring:
                raise RadioError(f"{self._name}: the receive stream is closed")
            block = self._ring.pop()
            self._monitor.notify()
            return block

    def close(self) -> None:
        """Twice is as good as once."""
        with self._monitor:
            if not self._monitor.is_over:
                self._timeline.catch_up()
            if self._station.rx is self._ring:
                self._station.rx = None
            self._monitor.notify()

    def __enter__(self) -> "RxStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
