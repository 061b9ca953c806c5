"""The air of virtual radios: takes what has left them, computes what they receive. Used by one thread."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from radio.impairments import Impairments
from radio.measured_air import AirLaw
from sim_backend.air import Air
from sim_backend.dma import Words
from sim_backend.leg import Leg
from sim_backend.station import RxSide, TxSide, dds_words
from sim_backend.stream_medium import StreamMedium
from sim_backend.stream_state import KEEP_S, LAG_S, REPEAT_S, Piece

CHANNEL_STRIDE = 1 << 16  # ports of a radio's further antennas lie that far apart


@dataclass(frozen=True, kw_only=True)
class StreamAirConfig:
    """impairments: what radios and paths are drawn from, or a measured air.

    isolation_db: between a radio's output and its own input. cable: they are joined by 30 dB, and to nothing else.
    noise_variance: of a receiver, a transmitter's full scale = 1; None is as measured, or follows from the noise
    figure. receiver: the radio that hears others as the receiver of an air in one process does, so that the same seed
    is the same channels.
    """

    seed: int = 0
    impairments: AirLaw = field(default_factory=Impairments)
    num_channels: int = 1
    isolation_db: float = 60.0
    cable: bool = False
    noise_figure_db: float = 3.0  # AD9363 data sheet, table 1: 3 dB at 2.4 GHz
    noise_variance: float | None = None
    receiver: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.num_channels <= 2:
            raise ValueError(f"num_channels must be 1 or 2, as an AD9361 has; got {self.num_channels}")
        for name in ("isolation_db", "noise_figure_db"):
            if not 0.0 <= getattr(self, name) <= 200.0:
                raise ValueError(f"{name} must be in [0, 200], got {getattr(self, name):g}")


class StreamAir:
    """Radios are numbered from 0."""

    def __init__(self, config: StreamAirConfig, num_radios: int, pool: Executor) -> None:
        self._config = config
        channels = range(config.num_channels)
        ports = [tuple(radio + CHANNEL_STRIDE * c for c in channels) for radio in range(num_radios)]
        radios: Mapping[int, int] = {port: radio for radio, own in enumerate(ports) for port in own}
        medium = StreamMedium(
            config.impairments,
            config.seed,
            radios=radios,
            isolation_db=config.isolation_db,
            cable=config.cable,
            receiver=config.receiver,
            pool=pool,
        )
        self._air = Air(medium, 0.0)
        self._tx = [TxSide(config.impairments, config.seed, radio, own) for radio, own in enumerate(ports)]
        self._rx = [
            [
                RxSide(
                    config.impairments,
                    config.seed,
                    port,
                    channel,
                    noise_figure_db=config.noise_figure_db,
                    noise_variance=config.noise_variance,
                )
                for channel, port in enumerate(own)
            ]
            for own in ports
        ]
        self._looped: list[list[tuple[int, Words, float]]] = [[] for _ in ports]
        self._repeated: list[list[tuple[int, Words, float]]] = [[] for _ in ports]

    def put(self, radio: int, pieces: Iterable[Piece]) -> None:
        """What has left a radio, in order."""
        for leg, start, words, until_s in join(pieces, self._config.num_channels):
            if leg.settings.digital_loopback:
                self._looped[radio].append((start, words, until_s))
            elif not leg.settings.repeats:
                for sent in self._tx[radio].radiate(leg, start, words):
                    self._air.put(sent)

    def receive(self, radio: int, leg: Leg, start: int, count: int) -> Words:
        """(count, 2 num_channels) of a radio's receive samples from index `start` of a leg."""
        if leg.settings.digital_loopback:
            return self._loop(radio, leg, start, count)
        if leg.settings.repeats:
            return _cut(self._repeated[radio], np.arange(start, start + count), 2 * self._config.num_channels)
        return self._hear(radio, leg, start, count)

    def repeat(self, radio: int, leg: Leg, start: int, count: int) -> None:
        """Send what a radio receives from index `start`, REPEAT_S later; keep it for `receive`."""
        words = self._hear(radio, leg, start, count)
        self._repeated[radio].append((start, words, leg.rx_time(start + count)))
        delay = round(REPEAT_S * leg.tx.band.sample_rate_hz)
        for sent in self._tx[radio].radiate(leg, start + delay, words << 4):
            self._air.put(sent)

    def _hear(self, radio: int, leg: Leg, start: int, count: int) -> Words:
        return np.concatenate([side.hear(self._air, leg, start, count) for side in self._rx[radio]], axis=1)

    def _loop(self, radio: int, leg: Leg, start: int, count: int) -> Words:
        """Bit by bit; a sample that the FPGA stretches or takes for several is held, or the first of them."""
        places = np.arange(start, start + count)
        if leg.settings.rx_decimation != leg.settings.tx_interpolation:
            places = places * leg.settings.rx_decimation // leg.settings.tx_interpolation
        return _cut(self._looped[radio], places, 2 * self._config.num_channels) >> 4

    def measure(self, radio: int, leg: Leg, now_s: float) -> list[float]:
        """Power at each input in dBm over the last millisecond that has arrived."""
        end = leg.rx_index(now_s - LAG_S)
        start = max(leg.rx_index(now_s - 2.0 * LAG_S), 0)
        return [side.measure(self._air, leg, start, max(end - start, 1)) for side in self._rx[radio]]

    def levels(self, radio: int) -> list[tuple[float, float]]:
        """(gain in dB, input in dBm) of each channel as of the last sample computed."""
        return [(side.gain_db, side.input_dbm) for side in self._rx[radio]]

    def saturated(self, radio: int) -> int:
        """Samples that exceeded a converter's range since power-up."""
        return sum(side.num_saturated for side in self._rx[radio])

    def forget(self, now_s: float) -> None:
        """Nothing before an instant is asked for any more."""
        self._air.advance(Fraction(max(now_s - KEEP_S, 0.0)))
        for kept in (self._looped, self._repeated):
            for radio, entries in enumerate(kept):
                kept[radio] = [entry for entry in entries if entry[2] > now_s - KEEP_S]


def _cut(pieces: Sequence[tuple[int, Words, float]], places: NDArray[np.int64], num_columns: int) -> Words:
    """(num_places, num_columns) samples at rising indices, of pieces that begin at one; zero where there is none."""
    out = np.zeros((len(places), num_columns), dtype=np.int16)
    for first, words, _ in pieces:
        low, high = np.searchsorted(places, (first, first + len(words)))
        if low < high:
            out[low:high] = words[places[low:high] - first]
    return out


def join(pieces: Iterable[Piece], num_channels: int) -> list[tuple[Leg, int, Words, float]]:
    """Adjacent pieces of one leg as one; tones as samples."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        last = groups[-1][-1] if groups else None
        if last is not None and last.leg is piece.leg and last.start + last.length == piece.start:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return [(g[0].leg, g[0].start, _words(g, num_channels), g[-1].until_s) for g in groups]


def _words(pieces: Sequence[Piece], num_channels: int) -> Words:
    parts = [
        dds_words(
            p.leg.settings,
            p.leg.settings.sample_rate_hz / p.leg.settings.tx_interpolation,
            p.start,
            p.length,
            num_channels,
        )
        if p.words is None
        else p.words
        for p in pieces
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
