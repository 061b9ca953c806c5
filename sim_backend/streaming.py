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
from functools import partial
from types import TracebackType
from typing import NamedTuple

from radio.interface import RadioError
from sim_backend.backlog import Backlog
from sim_backend.dma import RxRing, TxQueue
from sim_backend.leg import begin_leg
from sim_backend.levels import SILENCE_DBM
from sim_backend.monitor import Monitor
from sim_backend.station_settings import StationSettings, of_channel
from sim_backend.stream_air import StreamAir, StreamAirConfig
from sim_backend.stream_state import LAG_S, StreamState
from sim_backend.streams import RxStream, TxStream
from sim_backend.timeline import Pace, Timeline

log = logging.getLogger(__name__)

SPARE_S = 0.25  # by how much computation may lag behind the wall clock before samples are lost
JOIN_S = 30.0
MEASURE_S = 2.0 * LAG_S  # for what was just set to have arrived
NUM_WORKERS = 2


class Flags(NamedTuple):
    """Sticky until cleared: samples were missing in a transmit stream, or lost by a receive stream."""

    underflow: bool
    overflow: bool


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
        self.num_channels = config.num_channels
        self._pool = ThreadPoolExecutor(NUM_WORKERS, "air-worker")
        self._air = StreamAir(config, num_radios, self._pool)
        begin = partial(begin_leg, law=config.impairments, seed=config.seed)
        self._stations = [
            StreamState(partial(begin, port=radio), settings or StationSettings())
            for radio in range(num_radios)
        ]
        self._monitor = Monitor()
        self._backlog = Backlog(self._stations)
        self._timeline = Timeline(
            self._monitor,
            self._stations,
            pace,
            patience_s,
            clock,
            self._tell,
            self._backlog.asked.values,
        )
        self._computing = self._told = False
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
        with self._monitor:
            self._monitor.close()
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            raise RadioError(f"the air's thread did not end within {JOIN_S:g} s")
        self._pool.shutdown()

    @property
    def now_s(self) -> float:
        """Air time."""
        with self._monitor:
            self._timeline.catch_up()
            return self._timeline.now_s

    def settings(self, radio: int) -> StationSettings:
        """What holds now."""
        with self._monitor:
            return self._station(radio).leg.settings

    def configure(self, radio: int, settings: StationSettings) -> None:
        """From now on. Raises RadioError for a radio that is not there."""
        with self._monitor:
            self._timeline.catch_up()
            self._station(radio).configure(settings, self._timeline.now_s)
            self._monitor.notify()

    def open_tx(self, radio: int, block_len: int, num_blocks: int = 4, cyclic: bool = False) -> TxStream:
        """Converter gives zeros until the first block comes. RadioError if a transmit stream is open, ValueError."""
        with self._monitor:
            self._timeline.catch_up()
            station, name = self._station(radio), f"virtual radio {radio}"
            if station.tx is not None:
                raise RadioError(f"{name}: a transmit stream is open; close it first")
            station.tx = TxQueue(block_len, num_blocks, cyclic)
            return TxStream(self._monitor, self._timeline, station, station.tx, name, 2 * self.num_channels)

    def open_rx(self, radio: int, block_len: int, num_blocks: int = 4) -> RxStream:
        """Blocks fill from now on. RadioError if a receive stream is open, ValueError."""
        with self._monitor:
            self._timeline.catch_up()
            station, name = self._station(radio), f"virtual radio {radio}"
            if station.rx is not None:
                raise RadioError(f"{name}: a receive stream is open; close it first")
            spare = 0
            if self._timeline.is_real:
                spare = math.ceil(SPARE_S * station.leg.rx.band.sample_rate_hz / max(block_len, 1))
            if not any(other.rx for other in self._stations):
                self._backlog.computed_s = self._timeline.now_s
            station.rx = RxRing(block_len, num_blocks, self._timeline.now_s, spare)
            self._monitor.notify()
            return RxStream(self._monitor, self._timeline, station, station.rx, name)

    def trigger(self, radio: int) -> None:
        """A software pulse at a radio's frame engine: its run begins with the next sample."""
        with self._monitor:
            self._timeline.catch_up()
            self._station(radio).trigger(self._timeline.now_s)
            self._monitor.notify()

    def pulse(self) -> None:
        """An edge on the trigger line that all radios share: each that listens begins with its next sample."""
        with self._monitor:
            self._timeline.catch_up()
            for station in self._stations:
                if station.leg.settings.tdd.sync_external:
                    station.trigger(self._timeline.now_s)
            self._monitor.notify()

    def frames_run(self, radio: int) -> bool:
        """Whether a radio's frame engine was triggered and has not come to the end of its frames."""
        with self._monitor:
            self._timeline.catch_up()
            return self._station(radio).leg.frames_run(self._timeline.now_s)

    def flags(self, radio: int) -> Flags:
        """What went wrong since they were cleared."""
        with self._monitor:
            self._timeline.catch_up()
            station = self._station(radio)
            return Flags(station.underflow, station.overflow)

    def clear_flags(self, radio: int, flags: Flags = Flags(True, True)) -> None:  # noqa: B008 - a constant
        """Those that are set in `flags`."""
        with self._monitor:
            self._timeline.catch_up()
            station = self._station(radio)
            station.underflow &= not flags.underflow
            station.overflow &= not flags.overflow

    def gain_db(self, radio: int, channel: int = 0) -> float:
        """What the gain control has chosen, or what was set by hand."""
        with self._monitor:
            settings = self._station(radio).leg.settings
            if of_channel(settings.gain_mode, channel) == "manual":
                return of_channel(settings.rx_gain_db, channel)
            return self._air.levels(radio)[channel][0]

    def saturated(self, radio: int) -> int:
        """Received samples that the converter clipped, since the start."""
        with self._monitor:
            self._station(radio)
            return self._air.saturated(radio)

    def input_dbm(self, radio: int, channel: int = 0, deadline_s: float = 5.0) -> float:
        """Power at a receiver's input: of its stream's last samples, or of a moment to wait for. TimeoutError."""
        with self._monitor:
            self._timeline.catch_up()
            if self._station(radio).rx is not None and self._air.levels(radio)[channel][1] > SILENCE_DBM:
                return self._air.levels(radio)[channel][1]
            asked = self._backlog.asked
            asked[radio] = self._timeline.now_s + MEASURE_S
            self._monitor.notify()
            self._monitor.wait(lambda: radio not in asked, deadline_s, "a level")
            return self._backlog.measured[radio][channel]

    def tick(self, deadline_s: float = 10.0) -> None:
        """Look at the clock, and wait until all that is due by now is computed. TimeoutError."""
        with self._monitor:
            self._timeline.catch_up()
            self._monitor.notify()
            self._monitor.wait(lambda: not self._computing and not self._is_due(), deadline_s, "the air")

    def _station(self, radio: int) -> StreamState:
        self._monitor.check()
        if not 0 <= radio < len(self._stations):
            raise RadioError(f"there is no virtual radio {radio}; there are {len(self._stations)}")
        return self._stations[radio]

    def _is_due(self) -> bool:
        return self._backlog.is_due(self._timeline.now_s)

    def _tell(self, radio: int) -> None:
        if self._told or not self._timeline.is_real:
            return
        self._told = True
        log.warning(
            "the simulated air cannot keep up: a second takes %.2f s to compute, so virtual radio %d loses samples; "
            'lower sample rates, use fewer radios, or pace "virtual"',
            self._backlog.cost,
            radio,
        )

    # The thread.

    def _run(self) -> None:
        try:
            with self._monitor:
                while not self._monitor.closed:
                    self._timeline.catch_up()
                    if self._is_due():
                        self._compute()
                    elif (pause_s := self._timeline.move()) > 0.0:
                        self._monitor.pause(pause_s)
        except Exception as error:
            log.exception("the simulated air failed")
            with self._monitor:
                self._computing = False
                self._monitor.fail(error)

    def _compute(self) -> None:
        """All that has arrived so far; the lock is free meanwhile."""
        work = self._backlog.take(self._timeline.now_s)
        self._computing = True
        self._monitor.release()
        try:
            work.compute(self._air)
        finally:
            self._monitor.acquire()
        self._computing = False
        self._backlog.deliver(work)
        self._monitor.notify()
