"""One AD936x board: its connection, its settings, its streams; silent before and after."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import fields, replace

from radio.exit_guard import guard, release
from radio.interface import RadioConfig, RadioError, RadioStatus
from radio.pluto_link import Link, LinkError
from radio.pluto_settings import (
    MUTED_DB,
    RATES_HZ,
    retune,
    silence,
    tune,
    unmute,
    write_rx_gain,
    write_tx_gain,
)
from radio.pluto_streams import Streams, Trigger
from radio.pluto_timeline import StreamShape, Timeline
from radio.safety import SafetyLimits, preflight

SHARED = (
    "sample_rate_hz",
    "center_hz",
    "xo_correction_hz",
)  # by the channels of a board; gains are each one's own


class Board:
    """configs: one a channel, as read back; they differ in gains only. connect: opens the link, also after a loss.

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
        self.timeline = Timeline(name)
        self.streams = Streams(
            self.timeline,
            limits,
            len(self.configs),
            transmits=transmits,
            receives=receives,
            trigger=trigger,
            shape=shape,
        )
        self._transmits, self._receives, self._trigger = transmits, receives, trigger
        self._connect, self._limits, self._timeout_s = connect, limits, timeout_s
        self._link: Link | None = None
        self._closed = False
        self._failure = ""  # of closing
        self._changing = threading.RLock()  # configure and close, one at a time
        for config in self.configs:
            self._check(config)
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
            self.check_open()
            shared = {name: value for name, value in settings.items() if name in SHARED}
            wanted = [replace(config, **shared) for config in self.configs]
            wanted[channel] = replace(wanted[channel], **settings)
            for config in wanted:
                self._check(config)
            if self.timeline.broken is None:
                self._change(channel, list(self.configs), wanted)
            else:
                self._reconnect(wanted)
            return self.configs[channel]

    def status(self) -> RadioStatus:
        """See `PlutoRadio.status`."""
        self.timeline.check()
        link = self._linked()
        return RadioStatus(
            epoch=self.timeline.epoch,
            serial=link.attributes.get("hw_serial", "unknown"),
            firmware=link.attributes.get("fw_version", "unknown"),
            temperature_c=float(link.get("temperature")),
            underflows=self.streams.underflows,
            overflows=self.streams.overflows,
        )

    def check_open(self) -> None:
        """RadioError once it is closed."""
        if self._closed:
            raise RadioError(f"{self.name} is closed; open it again")

    def close_channel(self, channel: int) -> None:
        """Silence of one, while the other goes on."""
        with self._changing:
            if self._closed:
                return
            self.streams.cancel(channel)
            if self._link is not None and self.timeline.broken is None and self._transmits:
                write_tx_gain(self._link, channel, MUTED_DB)

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

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        alone = self._changing.acquire(
            timeout=4.0 * self._timeout_s
        )  # a change under way ends first, or is stuck
        try:
            self._shut_down()
        except RadioError as error:
            self._failure = str(error)
        finally:
            self.timeline.fail(f"{self.name} is closed; open it again")  # for those who wait for samples
            if alone:
                self._changing.release()
            release(self)

    # The connection.

    def _start(self) -> None:
        self._link = link = self._connect()
        silence(link)
        self._share(tune(link, self.configs[0], self._transmits, self._receives))
        self._write_rx_gains()
        self.streams.start(link, self.configs[0].sample_rate_hz)
        self._sound()

    def _reconnect(self, wanted: list[RadioConfig]) -> None:
        self._shut_down()
        self.timeline.upset("connecting anew")
        self.timeline.broken, self.configs = None, wanted
        try:
            self._start()
        except RadioError as error:
            self.timeline.fail(f"{self.name}: {error}")
            _try(self._shut_down, [])  # what matters has been said
            raise

    def _shut_down(self) -> None:
        """Silence first, while the link stands; over another one if it has been lost. Every step is tried."""
        link, self._link = self._link, None
        failures: list[str] = []
        if link is None:
            return
        silent = _try(lambda: silence(link), [])
        if _try(self.streams.stop, failures):
            link.close()
        else:
            link.abandon()
        if not silent and self._transmits:
            _try(self._silence_anew, failures)
        if failures:
            raise RadioError(f"{self.name}: " + "; ".join(failures))

    def _silence_anew(self) -> None:
        link = self._connect()
        try:
            silence(link)
        finally:
            link.close()

    def _linked(self) -> Link:
        link = self._link
        if link is None:
            raise LinkError(f"{self.name} is not connected; configure() connects anew")
        return link

    # Settings.

    def _check(self, config: RadioConfig) -> None:
        """Before anything is written. RadioError, SafetyError."""
        if not RATES_HZ[0] <= config.sample_rate_hz <= RATES_HZ[1]:
            raise RadioError(
                f"{self.name}: sample_rate_hz must be in [{RATES_HZ[0]:g}, {RATES_HZ[1]:g}], asked for "
                f"{config.sample_rate_hz:g}"
            )
        if self._transmits:
            preflight(
                self._limits,
                center_hz=config.center_hz,
                sample_rate_hz=config.sample_rate_hz,
                attenuation_db=-config.tx_gain_db,
            )

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
            self.streams.stop()
        self.timeline.upset(why)
        self.configs = list(wanted)
        if restart:
            self._share(tune(link, wanted[0], self._transmits, self._receives))
        else:
            held_hz = retune(link, wanted[0].center_hz, self._transmits, self._receives)
            self._share(replace(wanted[0], center_hz=held_hz))
        self._write_rx_gains()  # what a gain may be depends on the carrier
        if restart:
            self.streams.start(link, self.configs[0].sample_rate_hz)
        self._sound()

    def _regain(self, channel: int, old: RadioConfig, new: RadioConfig) -> None:
        if self._receives and old.rx_gain_db != new.rx_gain_db:
            held_db = write_rx_gain(self._linked(), channel, new.rx_gain_db)
            self.configs[channel] = replace(self.configs[channel], rx_gain_db=held_db)
        if self._transmits and old.tx_gain_db != new.tx_gain_db:
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
            self.timeline.fail(f"{self.name}: {error}; it is silenced, configure() connects anew")
            silence(self._linked())

    def _sound(self) -> None:
        """The carrier stays off where nothing is to be sent."""
        link = self._linked()
        if not self._transmits:
            link.set("tx_lo_powerdown", 1)
            return
        gains_db = unmute(link, [config.tx_gain_db for config in self.configs])
        self.configs = [replace(c, tx_gain_db=gain) for c, gain in zip(self.configs, gains_db, strict=True)]

    def _write_rx_gains(self) -> None:
        if self._receives:
            for channel, config in enumerate(self.configs):
                held_db = write_rx_gain(self._linked(), channel, config.rx_gain_db)
                self.configs[channel] = replace(config, rx_gain_db=held_db)

    def _share(self, held: RadioConfig) -> None:
        """What the channels have in common, as the board holds it."""
        shared = {name: getattr(held, name) for name in SHARED}
        self.configs = [replace(config, **shared) for config in self.configs]


def _try(step: Callable[[], None], failures: list[str]) -> bool:
    try:
        step()
    except RadioError as error:
        failures.append(str(error))
        return False
    return True
