"""A virtual Pluto's settings and buffers on one radio of the simulated air.

What is modelled of the programmable filters is their frequency response within the band of the streams. The rounding
of the sample clock's fractional word, up to WORD_ERROR, is left out, so that radios that agree share a grid; the
carriers' is not.
"""

import errno
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

from radio.interface import RadioError
from radio.seeds import Use, stream
from sim_backend import pluto_engine, streaming
from sim_backend.leg import snap
from sim_backend.levels import RX_FULL_SCALE_DBM
from sim_backend.pluto_carriers import gain_table
from sim_backend.pluto_settings import Fir, PlutoSettings, Tone
from sim_backend.ports import port_key
from sim_backend.station_settings import NOMINAL_XO_HZ, DdsTone, StationSettings
from sim_backend.streams import RxStream, TxStream

RX_PORT, TX_PORT = "A_BALANCED", "A"  # the only ones that a Pluto brings out
WORD_ERROR = 1.4e-8  # half a step of the baseband PLL's word at the lowest VCO frequency
MAX_RSSI_DB = 127.75  # of the register
TEMPERATURE_C, TEMPERATURE_SPREAD_C = 36.0, 4.0
TEMPERATURE_PART = 3  # of a crystal's draws
SINC_REACH = 16  # samples of a filter's response beyond its own length


class StationEngine:
    """The `pluto_engine.Engine` of one radio. seed: of its temperature."""

    def __init__(self, engine: streaming.Engine, radio: int, seed: int = 0) -> None:
        self._engine, self._radio = engine, radio
        draws = stream(seed, Use.CRYSTAL, port_key(radio), TEMPERATURE_PART)
        self._temperature_c = TEMPERATURE_C + TEMPERATURE_SPREAD_C * float(draws.uniform(-1.0, 1.0))
        self._lock = threading.Lock()
        self._settings: PlutoSettings | None = None
        self._num_senders = 0

    def configure(self, settings: PlutoSettings) -> None:
        """EINVAL for what the air cannot do."""
        with self._lock:
            self._apply(settings)
            self._settings = settings

    def open_rx(self, num_samples: int, elements: tuple[int, ...], num_blocks: int) -> "RxBuffer":
        """EBUSY while one is open."""
        with as_os_error(errno.EBUSY):
            return RxBuffer(self._engine.open_rx(self._radio, num_samples, num_blocks), elements)

    def open_tx(
        self, num_samples: int, elements: tuple[int, ...], num_blocks: int, cyclic: bool
    ) -> "TxBuffer":
        """EBUSY while one is open."""
        with self._lock, as_os_error(errno.EBUSY):
            opened = self._engine.open_tx(self._radio, num_samples, num_blocks, cyclic)
            self._num_senders += 1
            self._apply(self._settings)
            return TxBuffer(opened, elements, self._engine.num_channels, self)

    def sender_closed(self) -> None:
        """A transmit buffer of its own is gone."""
        with self._lock:
            self._num_senders -= 1
            if self._settings is not None and self._settings.tx_interpolation != 1:
                self._apply(self._settings)

    def trigger(self) -> None:
        """This radio alone."""
        with as_os_error(errno.EIO):
            self._engine.trigger(self._radio)

    def is_running(self) -> bool:
        with as_os_error(errno.EIO):
            return self._engine.frames_run(self._radio)

    def flags(self) -> pluto_engine.Flags:
        with as_os_error(errno.EIO):
            return pluto_engine.Flags(*self._engine.flags(self._radio))

    def clear(self, flags: pluto_engine.Flags) -> None:
        with as_os_error(errno.EIO):
            self._engine.clear_flags(self._radio, streaming.Flags(*flags))

    def temperature_c(self) -> float:
        """Each radio's own."""
        return self._temperature_c

    def rssi_db(self, channel: int) -> float:
        with as_os_error(errno.EIO):
            below_db = RX_FULL_SCALE_DBM - self._engine.input_dbm(self._radio, channel)
        return min(max(below_db, 0.0), MAX_RSSI_DB)

    def rx_gain_db(self, channel: int) -> float:
        with as_os_error(errno.EIO):
            return self._engine.gain_db(self._radio, channel)

    def _apply(self, settings: PlutoSettings | None) -> None:
        """The generators sit behind the FPGA's interpolation, which buffers alone go through."""
        if settings is None:
            return
        with as_os_error(errno.EINVAL):
            self._engine.configure(self._radio, station_settings(settings, self._num_senders > 0))


class RxBuffer:
    """Little-endian frames of some scan elements; what a read leaves of a block is there for the next."""

    def __init__(self, opened: RxStream, elements: tuple[int, ...]) -> None:
        self._stream, self._elements = opened, list(elements)
        self._rest = memoryview(b"")

    def read(self, num_bytes: int, timeout_s: float) -> memoryview:
        """At most the rest of a block."""
        if not self._rest:
            with as_os_error(errno.EBADF):
                words = self._stream.read(timeout_s)
            self._rest = np.ascontiguousarray(words[:, self._elements], dtype="<i2").data.cast("B")
        given, self._rest = self._rest[:num_bytes], self._rest[num_bytes:]
        return given

    def write(self, block: bytearray, timeout_s: float) -> None:
        raise OSError(errno.EBADF, "a receiver")

    def close(self) -> None:
        self._stream.close()


class TxBuffer:
    """Elements that are not among its own carry zeros."""

    def __init__(
        self,
        opened: TxStream,
        elements: tuple[int, ...],
        num_channels: int,
        station: StationEngine,
    ) -> None:
        self._stream, self._elements, self._num_words = opened, list(elements), 2 * num_channels
        self._station: StationEngine | None = station

    def read(self, num_bytes: int, timeout_s: float) -> memoryview:
        raise OSError(errno.EBADF, "a transmitter")

    def write(self, block: bytearray, timeout_s: float) -> None:
        """EINVAL for a part of a frame, EBUSY for a second cyclic block."""
        if len(block) % (2 * len(self._elements)):
            raise OSError(errno.EINVAL, f"{len(block)} bytes are not whole frames")
        given = np.frombuffer(block, dtype="<i2").reshape(-1, len(self._elements))
        frames = np.zeros((len(given), self._num_words), dtype=np.int16)
        frames[:, self._elements] = given
        try:
            self._stream.write(frames, timeout_s)
        except RadioError as error:
            raise OSError(errno.EBUSY if self._stream.is_open else errno.EBADF, str(error)) from error
        except ValueError as error:
            raise OSError(errno.EINVAL, str(error)) from error

    def close(self) -> None:
        self._stream.close()
        station, self._station = self._station, None
        if station is not None:
            station.sender_closed()


@contextmanager
def as_os_error(code: int) -> Iterator[None]:
    """What the air refuses, as a client sees it."""
    try:
        yield
    except (RadioError, ValueError) as error:
        raise OSError(code, str(error)) from error


def station_settings(settings: PlutoSettings, sending: bool) -> StationSettings:
    """What a Pluto's settings mean for a radio on the air. sending: whether a transmit buffer is open. ValueError."""
    fir, interpolation = settings.fir, settings.tx_interpolation if sending else 1
    low_db, high_db, _ = gain_table(settings.rx_lo_hz)
    return StationSettings(
        sample_rate_hz=_clean(settings.sample_rate_hz, settings.xo_correction_hz),
        tx_lo_hz=settings.tx_lo_hz,
        rx_lo_hz=settings.rx_lo_hz,
        tx_lo_epoch=settings.tx_lo_epoch,
        rx_lo_epoch=settings.rx_lo_epoch,
        awake=settings.ensm_mode == "fdd",
        tx_on=tuple(port == TX_PORT and not settings.tx_lo_powerdown for port in settings.tx_port),
        rx_on=tuple(port == RX_PORT and not settings.rx_lo_powerdown for port in settings.rx_port),
        xo_correction_hz=float(settings.xo_correction_hz),
        rx_decimation=settings.rx_decimation,
        tx_interpolation=interpolation,
        tx_attenuation_db=settings.tx_attenuation_db,
        rx_gain_db=tuple(map(float, settings.rx_gain_db)),
        gain_mode=settings.gain_mode,
        gain_range_db=(low_db, high_db),
        tx_bandwidth_hz=float(settings.tx_bandwidth_hz),
        rx_bandwidth_hz=float(settings.rx_bandwidth_hz),
        digital_loopback=settings.loopback == 1,
        repeats=settings.loopback == 2,
        tx_fir=tx_taps(fir, fir.interpolation * interpolation),
        rx_fir=rx_taps(fir, fir.decimation * settings.rx_decimation),
        dds=tuple(_tone(tone) for tone in settings.dds),
        tdd=settings.tdd,
    )


def tx_taps(fir: Fir, factor: int) -> tuple[float, ...]:
    """Of a transmitter's programmable filter at the streams' rate, by which it runs `factor` times faster; none if it
    is off."""
    return stream_taps(fir.tx_taps, 2.0**16, fir.tx_gain_db, factor) if fir.tx_enabled else ()


def rx_taps(fir: Fir, factor: int) -> tuple[float, ...]:
    """Of a receiver's."""
    return stream_taps(fir.rx_taps, 2.0**15, fir.rx_gain_db, factor) if fir.rx_enabled else ()


@lru_cache(maxsize=64)
def stream_taps(taps: tuple[int, ...], one: float, gain_db: int, factor: int) -> tuple[float, ...]:
    """Taps at the streams' rate whose response there is that of `taps` at `factor` times the rate, without its delay.

    one: sum of taps that passes 0 Hz unchanged at 0 dB. Each tap is a sinc at its own place.
    """
    places = (np.arange(len(taps)) - (len(taps) - 1) / 2.0) / factor
    reach = math.ceil(places[-1]) + SINC_REACH
    found = np.sinc(np.arange(-reach, reach + 1)[:, None] - places) @ np.array(taps, dtype=np.float64)
    return tuple(float(tap) for tap in found * (10.0 ** (gain_db / 20.0) / one))


def _clean(rate_hz: float, xo_correction_hz: int) -> float:
    told = NOMINAL_XO_HZ / xo_correction_hz
    near_hz = snap(rate_hz * told)
    return near_hz / told if abs(rate_hz * told - near_hz) <= WORD_ERROR * near_hz else rate_hz


def _tone(tone: Tone) -> DdsTone:
    return DdsTone(tone.frequency_hz, tone.phase_deg, tone.scale if tone.enabled else 0.0)
