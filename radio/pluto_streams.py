"""The streams of a board that run between one configuration and the next, behind indices that outlive them."""

import time
from typing import Literal

from radio.interface import RadioError
from radio.pluto_link import Frames, Link, LinkError
from radio.pluto_rx import RxPump
from radio.pluto_timeline import StreamShape, Timeline
from radio.pluto_trigger import TriggeredTx
from radio.pluto_tx import TxFeed
from radio.safety import DutyLedger, SafetyLimits

Trigger = Literal["none", "external"]


class Streams:
    """None run until `start`. Everything but `start` and `stop` may be called from any thread."""

    def __init__(
        self,
        timeline: Timeline,
        limits: SafetyLimits,
        num_channels: int,
        *,
        transmits: bool,
        receives: bool,
        trigger: Trigger,
        shape: StreamShape,
    ) -> None:
        self._timeline, self._transmits, self._receives = timeline, transmits, receives
        self._trigger, self._shape = trigger, shape
        self._tx: TxFeed | TriggeredTx | None = None
        self._rx: RxPump | None = None
        self._tx_count = self._rx_count = 0  # where the streams go on after a restart
        self._ended_underflows = self._ended_overflows = 0
        self._ledgers = [DutyLedger(limits) for _ in range(num_channels)]
        self._mark = (
            0,
            0.0,
            1.0,
        )  # a transmit count, its instant on the ledgers' clock, samples a second from there
        timeline.watch(self._void_bursts)

    @property
    def underflows(self) -> int:
        """Of all streams so far."""
        return self._ended_underflows + (self._tx.underflows if self._tx else 0)

    @property
    def overflows(self) -> int:
        """Of all streams so far."""
        return self._ended_overflows + (self._rx.overflows if self._rx else 0)

    def start(self, link: Link, sample_rate_hz: float) -> None:
        """Returns when both run: the transmitter fed, the receiver past what was stale. LinkError, RadioError."""
        timeline = self._timeline
        self._mark = self._tx_count, self._instant(self._tx_count), sample_rate_hz
        if self._transmits and self._trigger == "external":
            self._tx = TriggeredTx(link, timeline, self._tx_count)
        elif self._transmits:
            self._tx = TxFeed(link, timeline, self._shape, sample_rate_hz, self._tx_count)
        if self._receives:
            self._rx = RxPump(link, timeline, self._shape, sample_rate_hz, self._rx_count)
        limit_s = 4.0 * link.timeout_s
        with timeline.changed:
            ready = timeline.changed.wait_for(lambda: timeline.broken is not None or self._ready(), limit_s)
            timeline.check()
        if not ready:
            raise LinkError(
                f"{timeline.name}: the streams do not run within {limit_s:g} s; power the radio off and on"
            )

    def stop(self) -> None:
        """RadioError if a thread does not end: it may be inside libiio. Twice is as good as once."""
        tx, self._tx = self._tx, None
        rx, self._rx = self._rx, None
        failures = []
        for stream in (tx, rx):
            try:
                if stream is not None:
                    stream.stop()
            except RadioError as error:
                failures.append(str(error))
        if tx is not None:
            self._tx_count = tx.next
            self._ended_underflows += tx.underflows
        if rx is not None:
            self._rx_count = rx.ring.end
            self._ended_overflows += rx.overflows
        if failures:
            raise RadioError("; ".join(failures))

    def now(self) -> int:
        """Earliest transmit index, or, of a receiver, `latest`."""
        with self._timeline.changed:
            return self._timeline.index(self._sender().earliest) if self._transmits else self.latest()

    def latest(self) -> int:
        """Receive index behind the newest sample."""
        with self._timeline.changed:
            return self._timeline.index(self._receiver().ring.end)

    def transmit(self, channel: int, words: Frames, at: int) -> None:
        """words: (num_samples, 2). LateError, EpochError, SafetyError, RadioError; then nothing is kept of it."""
        with self._timeline.changed:
            tx, ledger = self._sender(), self._ledgers[channel]
            start = self._timeline.count(at)
            tx.check(channel, start, len(words))
            ledger.forget(self._instant(tx.next))
            ledger.admit(self._instant(start), len(words) / self._mark[2])
            tx.add(channel, start, words)

    def flush(self, at: int, deadline_s: float) -> None:
        """Until all samples before transmit index `at` have left. EpochError, TimeoutError."""
        with self._timeline.changed:
            self._sender().flush(at, deadline_s)

    def read(self, at: int, num_samples: int, deadline_s: float) -> Frames:
        """(num_samples, 2 num_channels). EpochError, OverrunError, TimeoutError."""
        return self._receiver().read(at, num_samples, deadline_s)

    def cancel(self, channel: int) -> None:
        """What a channel has not sent yet is not sent."""
        with self._timeline.changed:
            if self._tx is not None:
                self._tx.cancel(channel)

    def _sender(self) -> TxFeed | TriggeredTx:
        self._check_use(self._transmits, "transmits")
        if self._tx is None:
            raise self._paused()
        return self._tx

    def _receiver(self) -> RxPump:
        self._check_use(self._receives, "receives")
        if self._rx is None:
            raise self._paused()
        return self._rx

    def _check_use(self, opened: bool, word: str) -> None:
        self._timeline.check()
        if not opened:
            raise RadioError(f"{self._timeline.name} was opened with {word}=False; open it with {word}=True")

    def _paused(self) -> RadioError:
        return RadioError(f"{self._timeline.name} is being configured by another thread; wait for it")

    def _ready(self) -> bool:
        return all(stream.ready for stream in (self._tx, self._rx) if stream is not None)

    def _instant(self, tx_count: int) -> float:
        """Of a transmit sample, on the clock of the duty ledgers."""
        if self._trigger == "external":
            return time.monotonic()  # the edge comes when it comes
        count, instant_s, rate_hz = self._mark
        return instant_s + (tx_count - count) / rate_hz

    def _void_bursts(self) -> None:
        if self._tx is not None and self._trigger == "none":
            for ledger in self._ledgers:
                ledger.cancel(self._instant(self._tx.next))
