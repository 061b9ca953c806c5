"""Virtual radios with gapless transmit and receive streams on clocks of their own, all on one air.

One thread moves air time and computes. At pace "virtual" time advances only while somebody waits for a block or for
room, to the instant that is waited for, and waits itself for streams that would lose samples, up to `patience_s` of
wall time. At pace "real" the wall clock drives.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Literal, NamedTuple

import numpy as np

from radio.interface import RadioError
from sim_backend.dma import RxBlock, RxRing, Segment, TxQueue, Words
from sim_backend.leg import Leg, begin_leg
from sim_backend.station_settings import StationSettings, of_channel
from sim_backend.stream_air import StreamAir, StreamAirConfig
from sim_backend.stream_state import LAG_S, StreamState

log = logging.getLogger(__name__)

Pace = Literal["virtual", "real"]
STEP_S = 0.05  # of air time at most between computations
TICK_S = 1e-3  # of wall time at least between two looks at the wall clock
SPARE_S = 0.25  # by how much computation may lag behind the wall clock before samples are lost
IDLE_S = 60.0  # between looks when nothing is to be done
JOIN_S = 30.0
NUM_WORKERS = 2


class Flags(NamedTuple):
    """Sticky until cleared: samples were missing in a transmit stream, or lost by a receive stream."""

    underflow: bool
    overflow: bool


@dataclass
class _Job:
    radio: int
    ring: RxRing
    block: RxBlock
    segment: Segment
    first: int
    count: int


class Engine:
    """clock: seconds of wall time, for pace "real". Everything may be called from any thread."""

    def __init__(
        self,
        config: StreamAirConfig,
        num_radios: int,
        settings: StationSettings | None = None,
        *,
        pace: Pace = "virtual",
        patience_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if pace not in ("virtual", "real"):
            raise ValueError(f'pace must be "virtual" or "real", got {pace!r}')
        if not (num_radios >= 1 and patience_s >= 0.0):
            raise ValueError(
                f"num_radios must be at least 1 and patience_s at least 0, got {num_radios}, {patience_s:g}"
            )
        self._config, self._pace, self._patience_s, self._clock = config, pace, patience_s, clock
        self._pool = ThreadPoolExecutor(NUM_WORKERS, "air-worker")
        self._air = StreamAir(config, num_radios, self._pool)
        self._stations = [
            StreamState(partial(_begin, config, radio), StationSettings() if settings is None else settings)
            for radio in range(num_radios)
        ]
        self._cond = threading.Condition()
        self._now_s = 0.0
        self._computed_s = 0.0
        self._origin_s = clock()
        self._computing = False
        self._measures: dict[int, list[float] | None] = {}
        self._spent_s = self._worked_off_s = 0.0
        self._told = self._closed = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="air", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all streams and the thread; twice is as good as once."""
        with self._cond:
            self._closed = True
            self._cond.notify_all()
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            raise RadioError(f"the air's thread did not end within {JOIN_S:g} s")
        self._pool.shutdown()

    @property
    def num_channels(self) -> int:
        """Receive, and as many transmit, channels of each radio."""
        return self._config.num_channels

    @property
    def now_s(self) -> float:
        """Air time."""
        with self._cond:
            self._catch_up()
            return self._now_s

    def settings(self, radio: int) -> StationSettings:
        """What holds now."""
        with self._cond:
            return self._station(radio).leg.settings

    def configure(self, radio: int, settings: StationSettings) -> None:
        """From now on. Raises RadioError for a radio that is not there."""
        with self._cond:
            self._catch_up()
            self._station(radio).configure(settings, self._now_s)
            self._cond.notify_all()

    def open_tx(self, radio: int, block_len: int, num_blocks: int = 4, cyclic: bool = False) -> "TxStream":
        """Converter gives zeros until the first block comes. RadioError if a transmit stream is open."""
        _check_blocks(block_len, num_blocks)
        with self._cond:
            self._catch_up()
            station = self._station(radio)
            if station.tx is not None:
                raise RadioError(f"virtual radio {radio}: a transmit stream is open; close it first")
            station.tx = TxQueue(block_len, num_blocks, cyclic)
            return TxStream(self, radio, station.tx)

    def open_rx(self, radio: int, block_len: int, num_blocks: int = 4) -> "RxStream":
        """Blocks fill from now on. RadioError if a receive stream is open."""
        _check_blocks(block_len, num_blocks)
        with self._cond:
            self._catch_up()
            station = self._station(radio)
            if station.rx is not None:
                raise RadioError(f"virtual radio {radio}: a receive stream is open; close it first")
            spare = 0
            if self._pace == "real":
                spare = math.ceil(SPARE_S * station.leg.rx.band.sample_rate_hz / block_len)
            if not any(other.rx for other in self._stations):
                self._computed_s = self._now_s
            station.rx = RxRing(block_len, num_blocks, self._now_s, spare)
            self._cond.notify_all()
            return RxStream(self, radio, station.rx)

    def flags(self, radio: int) -> Flags:
        """What went wrong since they were cleared."""
        with self._cond:
            self._catch_up()
            station = self._station(radio)
            return Flags(station.underflow, station.overflow)

    def clear_flags(self, radio: int, flags: Flags = Flags(True, True)) -> None:  # noqa: B008 - a constant
        """Those that are set in `flags`."""
        with self._cond:
            self._catch_up()
            station = self._station(radio)
            station.underflow &= not flags.underflow
            station.overflow &= not flags.overflow

    def trigger(self, radio: int) -> None:
        """A software pulse at a radio's frame engine: its run begins with the next sample."""
        with self._cond:
            self._catch_up()
            self._station(radio).trigger(self._now_s)
            self._cond.notify_all()

    def pulse(self) -> None:
        """An edge on the trigger line that all radios share: each that listens begins with its next sample."""
        with self._cond:
            self._catch_up()
            for station in self._stations:
                if station.leg.settings.tdd.sync_external:
                    station.trigger(self._now_s)
            self._cond.notify_all()

    def gain_db(self, radio: int, channel: int = 0) -> float:
        """What the gain control has chosen, or what was set by hand."""
        with self._cond:
            settings = self._station(radio).leg.settings
            if of_channel(settings.gain_mode, channel) == "manual":
                return of_channel(settings.rx_gain_db, channel)
            return self._air.levels(radio)[channel][0]

    def saturated(self, radio: int) -> int:
        """Received samples that the converter clipped, since the start."""
        with self._cond:
            self._station(radio)
            return self._air.saturated(radio)

    def input_dbm(self, radio: int, channel: int = 0, deadline_s: float = 5.0) -> float:
        """Power at a receiver's input: of its stream's last samples, or measured now. TimeoutError."""
        with self._cond:
            self._catch_up()
            if self._station(radio).rx is not None and self._air.levels(radio)[channel][1] > -200.0:
                return self._air.levels(radio)[channel][1]
            self._measures[radio] = None
            self._cond.notify_all()
            self._wait(lambda: self._measures.get(radio) is not None, deadline_s, "a level")
            measured = self._measures[radio]
            assert measured is not None
            return measured[channel]

    def tick(self, deadline_s: float = 10.0) -> None:
        """Look at the clock, and wait until all that is due by now is computed. TimeoutError."""
        with self._cond:
            self._catch_up()
            self._cond.notify_all()
            self._wait(lambda: not self._computing and not self._is_due(), deadline_s, "the air")

    # What streams ask for.

    def _write(self, radio: int, queue: TxQueue, words: Words, deadline_s: float) -> int:
        limit_s = time.monotonic() + deadline_s
        written = 0
        with self._cond:
            station = self._station(radio)
            while written < len(words):
                self._catch_up()
                if station.tx is not queue:
                    raise RadioError(f"virtual radio {radio}: the transmit stream is closed")
                if queue.has_room:
                    block = words[written : written + queue.block_len]
                    queue.push(block)
                    written += len(block)
                    self._cond.notify_all()
                    continue
                if queue.cyclic:
                    raise RadioError(f"virtual radio {radio}: a cyclic buffer is on the air; close it first")
                left_s = limit_s - time.monotonic()
                if left_s <= 0.0:
                    break
                if self._pace == "real":
                    left_s = min(left_s, max(station.write_time(1) - self._now_s, TICK_S))
                station.writers += 1
                self._cond.notify_all()
                try:
                    self._sleep(left_s)
                finally:
                    station.writers -= 1
        if written == 0 and len(words):
            raise TimeoutError(f"virtual radio {radio}: no room for a block within {deadline_s:g} s")
        return written

    def _read(self, radio: int, ring: RxRing, deadline_s: float) -> Words:
        with self._cond:
            station = self._station(radio)
            ring.readers += 1
            self._cond.notify_all()
            try:
                self._wait(
                    lambda: station.rx is not ring or ring.is_ready,
                    deadline_s,
                    f"a block of virtual radio {radio}",
                )
            finally:
                ring.readers -= 1
            if station.rx is not ring:
                raise RadioError(f"virtual radio {radio}: the receive stream is closed")
            block = ring.pop()
            self._cond.notify_all()
            return block

    def _is_open(self, radio: int, queue: TxQueue) -> bool:
        with self._cond:
            return not self._closed and self._failure is None and self._stations[radio].tx is queue

    def _close_stream(self, radio: int, stream: TxQueue | RxRing) -> None:
        with self._cond:
            if self._failure is None and not self._closed:
                self._catch_up()
            station = self._stations[radio]
            if station.tx is stream:
                station.tx = None
            if station.rx is stream:
                station.rx = None
            self._cond.notify_all()

    # Under the lock.

    def _station(self, radio: int) -> StreamState:
        self._check()
        if not 0 <= radio < len(self._stations):
            raise RadioError(f"there is no virtual radio {radio}; there are {len(self._stations)}")
        return self._stations[radio]

    def _check(self) -> None:
        if self._failure is not None:
            raise RadioError(f"the simulated air failed: {self._failure}") from self._failure
        if self._closed:
            raise RadioError("the simulated air is closed")

    def _sleep(self, seconds: float) -> None:
        self._cond.wait(seconds)
        self._check()

    def _wait(self, ready: Callable[[], bool], deadline_s: float, what: str) -> None:
        limit_s = time.monotonic() + deadline_s
        while not ready():
            left_s = limit_s - time.monotonic()
            if left_s <= 0.0:
                raise TimeoutError(f"waited {deadline_s:g} s for {what}")
            self._sleep(left_s)

    def _catch_up(self) -> None:
        """Pace "real": let time pass to the wall clock's."""
        self._check()
        if self._pace == "real":
            self._advance(self._clock() - self._origin_s)

    def _advance(self, to_s: float) -> None:
        if to_s <= self._now_s:
            return
        heard = any(station.rx for station in self._stations)
        self._now_s = to_s
        for radio, station in enumerate(self._stations):
            station.emit(to_s, heard)
            lost = station.deal(to_s - LAG_S)
            if lost and station.rx is not None and station.rx.num_ready < station.rx.num_blocks:
                self._tell(radio)

    def _tell(self, radio: int) -> None:
        if self._told or self._pace == "virtual":
            return
        self._told = True
        log.warning(
            "the simulated air cannot keep up: a second takes %.2f s to compute, so virtual radio %d loses samples; "
            'lower sample rates, use fewer radios, or pace "virtual"',
            self._spent_s / max(self._worked_off_s, 1e-9),
            radio,
        )

    def _is_due(self) -> bool:
        """Whether there is something to compute: a block that is full, or much of others."""
        if any(value is None for value in self._measures.values()):
            return True
        rings = [station.rx for station in self._stations if station.rx is not None]
        if any(b.filled == ring.block_len > b.computed for ring in rings for b in ring.blocks):
            return True
        return self._now_s - self._computed_s > STEP_S and any(ring.due() for ring in rings)

    # The thread.

    def _run(self) -> None:
        try:
            with self._cond:
                while not self._closed:
                    self._catch_up()
                    if self._is_due():
                        self._compute()
                        continue
                    pause_s = self._look() if self._pace == "real" else self._step()
                    if pause_s > 0.0:
                        self._cond.wait(pause_s)
        except Exception as error:
            log.exception("the simulated air failed")
            with self._cond:
                self._failure = error
                self._computing = False
                self._cond.notify_all()

    def _look(self) -> float:
        """Pace "real": wall time until something can be due."""
        waits_s = [station.read_time(1) - self._now_s for station in self._stations if station.rx]
        return min(max(min(waits_s), TICK_S), STEP_S) if waits_s else IDLE_S

    def _step(self) -> float:
        """Pace "virtual": move time, or return for how long to wait."""
        goals = [goal for station in self._stations for goal in station.goals()]
        holders = [holder for station in self._stations for holder in station.holders()]
        if not goals:
            for _, stream in holders:
                stream.held_since = None
            return IDLE_S
        goal_s = max(min(min(goals), self._now_s + STEP_S), math.nextafter(self._now_s, math.inf))
        limit_s = min((instant for instant, _ in holders), default=math.inf)
        if min(goal_s, limit_s) > self._now_s:
            self._advance(min(goal_s, limit_s))
            self._cond.notify_all()
            return 0.0
        wall_s = time.monotonic()
        pause_s = self._patience_s
        for instant, stream in holders:
            if instant > self._now_s:
                stream.held_since = None
                continue
            if stream.held_since is None:
                stream.held_since = wall_s
            left_s = stream.held_since + self._patience_s - wall_s
            if left_s <= 0.0:
                stream.may_hold = False
                return 0.0
            pause_s = min(pause_s, left_s)
        return pause_s

    def _compute(self) -> None:
        """All that has arrived so far; the lock is free meanwhile."""
        until_s = self._now_s
        tapes = [station.tape for station in self._stations]
        for station in self._stations:
            station.tape = []
        jobs = [
            _Job(
                radio, station.rx, block, segment, segment.start + segment.done, segment.count - segment.done
            )
            for radio, station in enumerate(self._stations)
            if station.rx is not None
            for block, segment in station.rx.due()
        ]
        measures = [(radio, self._stations[radio].leg) for radio, m in self._measures.items() if m is None]
        self._computing = True
        self._cond.release()
        try:
            began_s = time.monotonic()
            for radio, tape in enumerate(tapes):
                self._air.put(radio, tape)
            outputs = [self._air.receive(job.radio, job.segment.leg, job.first, job.count) for job in jobs]
            levels = {radio: self._air.measure(radio, leg, until_s) for radio, leg in measures}
            self._air.forget(until_s - LAG_S)
        finally:
            self._cond.acquire()
        self._computing = False
        self._spent_s += time.monotonic() - began_s
        self._worked_off_s += max(until_s - self._computed_s, 0.0)
        self._computed_s = until_s
        self._measures.update(levels)
        for job, words in zip(jobs, outputs, strict=True):
            job.segment.done += len(words)
            job.block.computed += len(words)
            job.block.pieces.append(words)
        for station in self._stations:
            if station.rx is not None and station.rx.drop_excess():
                station.overflow = True
        self._cond.notify_all()


class TxStream:
    """An open transmit stream; use it as a context manager. Samples: int16, (num_samples, 2 num_channels)."""

    def __init__(self, engine: Engine, radio: int, queue: TxQueue) -> None:
        self._engine, self._radio, self._queue = engine, radio, queue

    def write(self, words: Words, deadline_s: float = 5.0) -> int:
        """Queue samples in blocks as soon as there is room; returns how many by the deadline.

        TimeoutError if none, RadioError on a closed stream or a second cyclic buffer.
        """
        num_columns = 2 * self._engine.num_channels
        if words.ndim != 2 or words.shape[1] != num_columns or words.dtype != np.int16:
            raise ValueError(
                f"samples must be int16 of shape (num_samples, {num_columns}), got {words.dtype} {words.shape}"
            )
        if self._queue.cyclic and len(words) > self._queue.block_len:
            raise ValueError(f"a cyclic buffer of {self._queue.block_len} samples was given {len(words)}")
        return self._engine._write(self._radio, self._queue, words.copy(), deadline_s)

    @property
    def is_open(self) -> bool:
        """Whether samples can still be written."""
        return self._engine._is_open(self._radio, self._queue)

    def close(self) -> None:
        """What has not left is dropped, zeros follow; twice is as good as once."""
        self._engine._close_stream(self._radio, self._queue)

    def __enter__(self) -> "TxStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RxStream:
    """An open receive stream; use it as a context manager."""

    def __init__(self, engine: Engine, radio: int, ring: RxRing) -> None:
        self._engine, self._radio, self._ring = engine, radio, ring

    def read(self, deadline_s: float = 5.0) -> Words:
        """(block_len, 2 num_channels) int16 within +-2047: the oldest block, however old. TimeoutError, RadioError."""
        return self._engine._read(self._radio, self._ring, deadline_s)

    def close(self) -> None:
        """Twice is as good as once."""
        self._engine._close_stream(self._radio, self._ring)

    def __enter__(self) -> "RxStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _begin(
    config: StreamAirConfig, radio: int, settings: StationSettings, before: Leg | None, at_s: float
) -> Leg:
    return begin_leg(settings, before, at_s, impairments=config.impairments, seed=config.seed, port=radio)


def _check_blocks(block_len: int, num_blocks: int) -> None:
    if not (block_len >= 1 and num_blocks >= 1):
        raise ValueError(f"block_len and num_blocks must be at least 1, got {block_len} and {num_blocks}")
