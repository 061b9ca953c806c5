"""What lies between virtual radios: pieces of streams, each through the path and the settings it was sent under.

The filters are numpy's and not GNU Radio's, whose flowgraph takes longer to start than a piece of some milliseconds
takes to filter; a test holds one against the other.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from radio.interface import Samples
from radio.measured_air import AirLaw
from sim_backend.bands import Band
from sim_backend.chain import Burst, Heard, prepare
from sim_backend.crystal import Crystal
from sim_backend.interpolate import weighted_sum
from sim_backend.leg import Leg
from sim_backend.medium import Sent
from sim_backend.path import USUAL_RECEIVER, Path, draw_path
from sim_backend.station_settings import of_channel
from sim_backend.transmitter import Transmitter

CABLE_DB = 30.0
MAX_PATHS = 1024  # that are remembered


@dataclass(frozen=True, eq=False)
class Radiator:
    """An antenna's share of a leg. radio: whose antenna it is."""

    leg: Leg
    radio: int
    channel: int


class StreamMedium:
    """radios: antenna's port -> its radio. Samples are what has left a converter; the rest is in the path.

    receiver: port that hears as `USUAL_RECEIVER` does elsewhere. isolation_db: from a radio's output to its own input.
    cable: through CABLE_DB instead, and nothing else is heard.
    """

    def __init__(
        self,
        air: AirLaw,
        seed: int,
        *,
        radios: Mapping[int, int],
        isolation_db: float,
        cable: bool,
        receiver: int | None,
        pool: Executor,
    ) -> None:
        self._air, self._seed, self._radios = air, seed, radios
        self._own_db = CABLE_DB if cable else isolation_db
        self._cable, self._receiver, self._pool = cable, receiver, pool
        self._paths: dict[tuple[Radiator, int], Path] = {}

    def hears(self, receiver: int, sender: int) -> bool:
        """Whether a receiving antenna is connected to a sending one at all."""
        return not self._cable or receiver == sender

    def path(self, radiator: Radiator, sender: int, receiver: int) -> Path:
        """From one antenna to another under the settings of a leg."""
        key = radiator, receiver
        if key not in self._paths:
            if len(self._paths) >= MAX_PATHS:
                self._paths.clear()
            self._paths[key] = self._make_path(radiator, sender, receiver)
        return self._paths[key]

    def _make_path(self, radiator: Radiator, sender: int, receiver: int) -> Path:
        carrier = radiator.leg.tx
        loss_db = of_channel(radiator.leg.settings.tx_attenuation_db, radiator.channel)
        ends = (USUAL_RECEIVER if port == self._receiver else port for port in (sender, receiver))
        drawn = draw_path(self._air, self._seed, next(ends), *carrier.band, next(ends))
        if self._radios.get(receiver) == radiator.radio:
            loss_db += self._own_db
            drawn = replace(
                drawn, delay_s=0.0, gain=1.0, tap_delays_s=(0.0,), steady=(1.0,), scattered=(), doppler_hz=0.0
            )
        gain = drawn.gain * 10.0 ** (-loss_db / 20.0) * np.exp(1j * carrier.turn)
        return replace(drawn, transmitter=Transmitter(), crystal=carrier.crystal, gain=complex(gain))

    def margin(self, band: Band) -> int:
        """Pieces go on the air when their time has come; the receivers lag behind."""
        return 0

    def clock(self, port: int, band: Band, index: int) -> int:
        """Indices are converted where settings are known."""
        return index

    def keeps_time(self, port: int) -> bool:
        return False

    def check(self, sent: Sent) -> None:
        """Any piece may be."""

    def span(self, sent: Sent, receiver: int) -> tuple[int, int]:
        if not self.hears(receiver, sent.port) and receiver >= 0:
            return 0, 0
        return self.path(_radiator(sent), sent.port, receiver).span(sent.start, len(sent.samples))

    def carry(self, bursts: Sequence[Sent], receiver: int) -> list[Heard]:
        paths = [self.path(_radiator(sent), sent.port, receiver) for sent in bursts]
        pieces = [Burst(path, s.samples, s.start) for path, s in zip(paths, bursts, strict=True)]
        return list(self._pool.map(carry_one, pieces))


def carry_one(burst: Burst) -> Heard:
    """`chain.carry` of one burst without GNU Radio."""
    stretch = prepare(burst)
    bank = np.stack([_filtered(stretch.samples, taps) for taps in stretch.filters])
    heard = bank[0] if stretch.weights is None else weighted_sum(stretch.weights, bank)
    rate_hz = burst.path.sample_rate_hz
    return Heard(stretch.start, turned(heard, burst.path.crystal, 0.0, stretch.start, rate_hz))


def turned(
    samples: Samples, crystal: Crystal, turn: float, start: int, rate_hz: float, back: bool = False
) -> Samples:
    """Samples from index `start` of the air's clock times an oscillator of phase `turn` at time 0, or its conjugate."""
    count = len(samples)
    if crystal.offset == 0.0 and crystal.drift is None:
        phase = np.full(count, np.float32(turn))
    else:
        cycles = crystal.cycles(start, count, rate_hz)
        phase = (2.0 * np.pi * (cycles - np.round(cycles)) + turn).astype(np.float32)
    if crystal.jitter is not None:
        phase += crystal.jitter.real_on_grid(start, count, rate_hz)
    elif crystal.offset == 0.0 and crystal.drift is None:
        return (
            samples
            if turn == 0.0
            else np.asarray(samples * np.complex64(np.exp(1j * (-turn if back else turn))))
        )
    rotation = np.empty(count, dtype=np.complex64)
    np.cos(phase, out=rotation.real)
    np.sin(-phase if back else phase, out=rotation.imag)
    rotation *= samples
    return rotation


def _filtered(samples: Samples, taps: NDArray[np.complex128]) -> Samples:
    if len(taps) == 1:
        return np.asarray(samples * np.complex64(taps[0]))
    return np.asarray(scipy.signal.oaconvolve(samples, taps.astype(np.complex64)), dtype=np.complex64)


def _radiator(sent: Sent) -> Radiator:
    assert isinstance(sent.leg, Radiator)  # the engine puts nothing else on this medium
    return sent.leg
