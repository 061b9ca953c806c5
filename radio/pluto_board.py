"""One AD936x board: a connection, its settings, its two streams, one or two channels; silent before and after."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Literal

import numpy as np

from radio.exit_guard import guard, release
from radio.interface import (
    FullScaleError,
    RadioConfig,
    RadioError,
    RadioStatus,
    Samples,
    check_full_scale,
)
from radio.pluto_link import RX_FULL_SCALE, TX_FULL_SCALE, Link, LinkError
from radio.pluto_rx import RxPump
from radio.pluto_settings import RATES_HZ, retune, silence, tune, unmute, write_rx_gain, write_tx_gain
from radio.pluto_timeline import StreamShape, Timeline
from radio.pluto_trigger import TriggeredTx
from radio.pluto_tx import TxFeed
from radio.safety import DutyLedger, SafetyLimits, preflight

Trigger = Literal["none", "external"]
SHARED = (
    "sample_rate_hz",
    "center_hz",
    "xo_correction_hz",
)  # by the channels of a board; gains are each one's own
log = logging.getLogger(__name__)


class Board:
    """configs: one a channel; they differ in gains only. connect: opens the link, at first and after a loss.

    Thread-safe. `close` may be called at any time, and again.
    """

    def __init__(
        self,
        connect: Callable[[], Link],
        name: str,
        configs: Sequence[RadioConfig],
        limits: SafetyLimits,
        *,
        transmits: bool,
        receives: bool,
        trigger: Trigger,
        shape: StreamShape,
        timeout_s: float,
    ) -> None:
        if not (transmits or receives):
            raise ValueError(f"{name}: neither transmits nor receives; open it for one of them")
        if trigger not in ("none", "external"):
            raise ValueError(f'{name}: trigger must be "none" or "external", got {trigger!r}')
        if trigger == "external" and not transmits:
            raise ValueError(
                f'{name}: trigger = "external" releases bursts; a radio that only receives has none'
            )
        self.name, self.configs = name, list(configs)
        self.transmits, self.receives = transmits, receives
        self.timeline = Timeline(name)
        self._connect, self._limits, self._trigger, self._shape = connect, limits, trigger, shape
        self._timeout_s = timeout_s
        self._link: Link | None = None
        self._tx: TxFeed | TriggeredTx | None = None
        self._rx: RxPump | None = None
        self._tx_count = self._rx_count = 0  # where the streams go on after a restart
        self._underflows = self._overflows = 0  # of streams that have ended
        self._ledgers = [DutyLedger(limits) for _ in configs]
        self._clock_count, self._clock_s = 0, 0.0  # a transmit count and its instant on the ledgers' clock
        self._closed = False
        self._changing = threading.RLock()  # open, configure and close, one at a time
        self.timeline.watch(self._void_bursts)
        for config in self.configs:
            self._check(config)
        with self._changing:
            guard(self)
            try:
                self._start()
            except BaseException:
                self.close()
                raise

    def configure(self, channel: int, settings: dict[str, float]) -> RadioConfig:
        """See `PlutoRadio.configure`."""
        known = {field.name for field in fields(RadioConfig)}
        if unknown := settings.keys() - known:
            raise RadioError(
                f"unknown radio setting {sorted(unknown)[0]!r}; known: {', '.join(sorted(known))}"
            )
        with self._changing:
            self._check_open()
            before = list(self.configs)
            shared = {name: value for name, value in settings.items() if name in SHARED}
            wanted = [replace(config, **shared) for config in before]
            wanted[channel] = replace(wanted[channel], **settings)
            for config in wanted:
                self._check(config)
            if self.timeline.broken is not None:
                self._shut_down()
                self.timeline.broken = None
                self.configs = wanted
                self._start()
                self.timeline.upset("connected anew")
                return self.configs[channel]
            self._change(channel, before, wanted)
            return self.configs[channel]

    def status(self) -> RadioStatus:
        """See `PlutoRadio.status`."""
        self._check_open()
        self.timeline.check()
        link = self._linked()
        return RadioStatus(
            epoch=self.timeline.epoch,
            serial=link.attributes.get("hw_serial", "unknown"),
            firmware=link.attributes.get("fw_version", "unknown"),
            temperature_c=float(link.get("temperature")),
            underflows=self._underflows + (self._tx.underflows if self._tx else 0),
            overflows=self._overflows + (self._rx.overflows if self._rx else 0),
        )

    def now(self) -> int:
        """See `PlutoRadio.now`."""
        self._check_open()
        with self.timeline.changed:
            self.timeline.check()
            return self.timeline.index(self._tx.earliest) if self._tx else self._latest()

    def latest(self) -> int:
        """See `PlutoRadio.latest`."""
        self._check_open()
        with self.timeline.changed:
            self.timeline.check()
            return self._latest()

    def transmit(self, channel: int, samples: Samples, at: int) -> None:
        """See `PlutoRadio.transmit`."""
        self._check_open()
        check_full_scale(samples)
        words = np.rint(samples.view(np.float32).reshape(-1, 2) * np.float32(TX_FULL_SCALE)).astype("<i2")
        with self.timeline.changed:
            tx = self._sender()
            start = self.timeline.count(at)
            tx.check(channel, start, len(words))
            rate_hz, ledger = self.configs[channel].sample_rate_hz, self._ledgers[channel]
            ledger.forget(self._instant(tx.next))
            ledger.admit(self._instant(start), len(words) / rate_hz)
            tx.add(channel, start, words)

    def flush(self, at: int, deadline_s: float) -> None:
        """See `PlutoRadio.flush`."""
        self._check_open()
        with self.timeline.changed:
            self._sender().flush(at, deadline_s)

    def receive(self, channel: int, at: int, num_samples: int, deadline_s: float) -> Samples:
        """See `PlutoRadio.receive`."""
        self._check_open()
        if self._rx is None:
            self.timeline.check()
            raise RadioError(f"{self.name} was opened with receives=False; open it for receiving")
        words = self._rx.read(at, num_samples, deadline_s)[:, 2 * channel : 2 * channel + 2]
        clipped = int(np.count_nonzero((np.abs(words) >= RX_FULL_SCALE - 1).any(axis=1)))
        if clipped:
            raise FullScaleError(
                f"{self.name}: {clipped} of {num_samples} samples from {at} reach the converter's full scale; "
                f"lower rx_gain_db from {self.configs[channel].rx_gain_db:g}, or the power that arrives"
            )
        scaled = words.astype(np.float32) / np.float32(RX_FULL_SCALE)
        return scaled.view(np.complex64)[:, 0]

    def close_channel(self, channel: int) -> None:
        """Silence of one, while the other goes on."""
        with self._changing:
            if self._closed:
                return
            with self.timeline.changed:
                if self._tx is not None:
                    self._tx.cancel(channel)
            if self._link is not None and self.timeline.broken is None and self.transmits:
                write_tx_gain(self._link, channel, -89.75)

    def close(self) -> None:
        """Silent, streams ended, connection closed. RadioError if the radio is not surely silent.

        Done in a thread of its own, which the interpreter waits for: a second Ctrl-C does not leave it half done.
        """
        closer = threading.Thread(target=self._close, name=f"close {self.name}")
        try:
            closer.start()
        except RuntimeError:  # the interpreter is past starting threads
            self._close()
        else:
            closer.join()
        if self._failure:
            failure, self._failure = self._failure, ""
            raise RadioError(failure)

    _failure = ""

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                self._shut_down()
            except RadioError as error:
                self._failure = str(error)
            release(self)

    # Opening and closing.

    def _start(self) -> None:
        self._link = link = self._connect()
        silence(link)
        self._share(tune(link, self.configs[0], self.transmits, self.receives))
        self._write_rx_gains()
        self._start_streams()
        self._sound()

    def _start_streams(self) -> None:
        link, rate_hz = self._linked(), self.configs[0].sample_rate_hz
        if self.transmits:
            self._clock_s, self._clock_count = self._instant(self._tx_count), self._tx_count
            if self._trigger == "external":
                self._tx = TriggeredTx(link, self.timeline, self._tx_count)
            else:
                self._tx = TxFeed(link, self.timeline, self._shape, rate_hz, self._tx_count)
        if self.receives:
            self._rx = RxPump(link, self.timeline, self._shape, rate_hz, self._rx_count)
        limit_s = 4.0 * self._timeout_s
        with self.timeline.changed:
            ready = self.timeline.changed.wait_for(
                lambda: (
                    self.timeline.broken is not None
                    or all(stream.ready for stream in (self._tx, self._rx) if stream is not None)
                ),
                limit_s,
            )
            self.timeline.check()
        if not ready:
            raise LinkError(
                f"{self.name}: the streams do not run within {limit_s:g} s; power the radio off and on"
            )

    def _sound(self) -> None:
        """The carrier stays off where nothing is to be sent."""
        link = self._linked()
        if not self.transmits:
            link.set("tx_lo_powerdown", 1)
            return
        gains_db = unmute(link, [config.tx_gain_db for config in self.configs])
        self.configs = [replace(c, tx_gain_db=gain) for c, gain in zip(self.configs, gains_db, strict=True)]

    def _stop_streams(self) -> None:
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
            self._tx_count, self._underflows = tx.next, self._underflows + tx.underflows
        if rx is not None:
            self._rx_count, self._overflows = rx.ring.end, self._overflows + rx.overflows
        if failures:
            raise RadioError("; ".join(failures))

    def _shut_down(self) -> None:
        """Silence first, while the link stands; over another one if it has been lost. Every step is tried."""
        link, self._link = self._link, None
        failures: list[str] = []
        silent = link is None
        if link is not None:
            silent = self._try(lambda: silence(link), [])
            if self._try(self._stop_streams, failures):
                link.close()
            else:
                link.abandon()
        if not silent and self.transmits:
            self._try(self._silence_anew, failures)
        with self.timeline.changed:
            self.timeline.changed.notify_all()
        if failures:
            raise RadioError(f"{self.name}: " + "; ".join(failures))

    def _silence_anew(self) -> None:
        link = self._connect()
        try:
            silence(link)
        finally:
            link.close()

    def _try(self, step: Callable[[], None], failures: list[str]) -> bool:
        try:
            step()
        except RadioError as error:
            failures.append(str(error))
            return False
        return True

    # Changes while it is open.

    def _change(self, channel: int, before: list[RadioConfig], wanted: list[RadioConfig]) -> None:
        old, new = before[channel], wanted[channel]
        restart = (old.sample_rate_hz, old.xo_correction_hz) != (new.sample_rate_hz, new.xo_correction_hz)
        try:
            if restart or old.center_hz != new.center_hz:
                self._retune(wanted, restart, "a new sample rate" if restart else "a new carrier frequency")
            else:
                if self._trigger == "external":
                    self.timeline.upset("the next edge")
                self._regain(channel, old, new)
        except LinkError as error:
            self.timeline.fail(str(error))
            raise
        except RadioError:
            self._put_back(channel, before, new)
            raise

    def _retune(self, wanted: list[RadioConfig], restart: bool, why: str) -> None:
        """Silent meanwhile. restart: with streams that begin anew, which a change of clocks asks for."""
        link = self._linked()
        silence(link)
        if restart:
            self._stop_streams()
        self.timeline.upset(why)
        self.configs = list(wanted)
        if restart:
            self._share(tune(link, wanted[0], self.transmits, self.receives))
        else:
            held_hz = retune(link, wanted[0].center_hz, self.transmits, self.receives)
            self._share(replace(wanted[0], center_hz=held_hz))
        self._write_rx_gains()  # what a gain may be depends on the carrier
        if restart:
            self._start_streams()
        self._sound()

    def _regain(self, channel: int, old: RadioConfig, new: RadioConfig) -> None:
        if self.receives and old.rx_gain_db != new.rx_gain_db:
            held_db = write_rx_gain(self._linked(), channel, new.rx_gain_db)
            self.configs[channel] = replace(self.configs[channel], rx_gain_db=held_db)
        if self.transmits and old.tx_gain_db != new.tx_gain_db:
            held_db = write_tx_gain(self._linked(), channel, new.tx_gain_db)
            self.configs[channel] = replace(self.configs[channel], tx_gain_db=held_db)

    def _put_back(self, channel: int, before: list[RadioConfig], refused: RadioConfig) -> None:
        """The settings that held before one was refused; if that fails too, the radio stays silent and unusable."""
        try:
            if all(getattr(before[channel], name) == getattr(refused, name) for name in SHARED):
                self._regain(channel, refused, before[channel])
            else:
                self._retune(before, True, "settings that were refused")
            self.configs = list(before)
        except RadioError as error:
            silence(self._linked())
            self.timeline.fail(f"{self.name}: {error}; it is silent, configure() connects anew")

    def _write_rx_gains(self) -> None:
        if self.receives:
            for channel, config in enumerate(self.configs):
                held_db = write_rx_gain(self._linked(), channel, config.rx_gain_db)
                self.configs[channel] = replace(config, rx_gain_db=held_db)

    def _share(self, held: RadioConfig) -> None:
        """What the channels have in common, as the board holds it."""
        shared = {name: getattr(held, name) for name in SHARED}
        self.configs = [replace(config, **shared) for config in self.configs]

    def _check(self, config: RadioConfig) -> None:
        """Before anything is written. RadioError, SafetyError."""
        if not RATES_HZ[0] <= config.sample_rate_hz <= RATES_HZ[1]:
            raise RadioError(
                f"{self.name}: sample_rate_hz must be in [{RATES_HZ[0]:g}, {RATES_HZ[1]:g}], asked for "
                f"{config.sample_rate_hz:g}"
            )
        if self.transmits:
            preflight(
                self._limits,
                center_hz=config.center_hz,
                sample_rate_hz=config.sample_rate_hz,
                attenuation_db=-config.tx_gain_db,
            )

    def _check_open(self) -> None:
        if self._closed:
            raise RadioError(f"{self.name} is closed; open it again")

    def _linked(self) -> Link:
        link = self._link
        if link is None:
            raise RadioError(f"{self.name} is not connected; configure() connects anew")
        return link

    def _sender(self) -> TxFeed | TriggeredTx:
        self.timeline.check()
        if self._tx is None:
            raise RadioError(f"{self.name} was opened with transmits=False; open it for transmitting")
        return self._tx

    def _latest(self) -> int:
        if self._rx is None:
            raise RadioError(f"{self.name} was opened with receives=False; open it for receiving")
        return self.timeline.index(self._rx.ring.end)

    def _instant(self, tx_count: int) -> float:
        """Of a transmit sample, on the clock of the duty ledgers."""
        if self._trigger == "external":
            return time.monotonic()  # the edge comes when it comes
        return self._clock_s + (tx_count - self._clock_count) / self.configs[0].sample_rate_hz

    def _void_bursts(self) -> None:
        if self._tx is not None and self._trigger == "none":
            for ledger in self._ledgers:
                ledger.cancel(self._instant(self._tx.next))
