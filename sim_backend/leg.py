"""A stretch of air time in which a virtual radio's settings hold: its clock, its bands, its carriers.

The clock reads c(t) = t + lead(t) nominal seconds at air time t, continuous over legs; sample n of a stream at nominal
rate R lies at c = n / R. A carrier is off its band's centre by what crystal and correction leave, and turned by a phase
that is new after each retune and goes on otherwise.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from radio.impairments import REFERENCE_HZ, Impairments
from radio.seeds import Use, stream
from sim_backend.bands import Band
from sim_backend.crystal import Crystal, draw_crystal
from sim_backend.ports import port_key
from sim_backend.station_settings import NOMINAL_XO_HZ, StationSettings

GRID_HZ = (
    1e3  # bands lie on it, so that radios that mean the same share one; what is left counts as an offset
)
JUST_BEFORE_S = 1e-9  # less than a sample, more than rounding in a day


@dataclass(frozen=True)
class Carrier:
    """An oscillator and the band around it. crystal: against the band's centre; turn: its phase at time 0 in rad."""

    band: Band
    crystal: Crystal
    turn: float
    epoch: int


@dataclass(frozen=True, eq=False)
class Leg:
    """From air time `start_s` on. clock: of both streams."""

    settings: StationSettings
    start_s: float
    clock: Crystal
    tx: Carrier
    rx: Carrier

    def tx_index(self, time_s: float) -> int:
        """First transmit sample not before an instant."""
        return self._index(time_s, self.tx.band.sample_rate_hz)

    def rx_index(self, time_s: float) -> int:
        """First receive sample not before an instant."""
        return self._index(time_s, self.rx.band.sample_rate_hz)

    def tx_time(self, index: int) -> float:
        """An instant at which all samples before `index` have left, and `index` has not."""
        return self.clock.true_time(index / self.tx.band.sample_rate_hz) - JUST_BEFORE_S

    def rx_time(self, index: int) -> float:
        """The same of the receiver."""
        return self.clock.true_time(index / self.rx.band.sample_rate_hz) - JUST_BEFORE_S

    def _index(self, time_s: float, rate_hz: float) -> int:
        return math.ceil((time_s + float(self.clock.lead_s(np.array([time_s]))[0])) * rate_hz)


def begin_leg(
    settings: StationSettings,
    before: Leg | None,
    at_s: float,
    *,
    impairments: Impairments,
    seed: int,
    port: int,
) -> Leg:
    """Settings from an instant on; `before` is the leg that they end, None at power-up."""
    rate_hz = snap(settings.sample_rate_hz)
    told = NOMINAL_XO_HZ / settings.xo_correction_hz
    clock = draw_crystal(impairments, seed, port, REFERENCE_HZ)
    stretch = told * settings.sample_rate_hz / rate_hz
    clock = replace(clock, sample_offset=(1.0 + clock.sample_offset) * stretch - 1.0)
    if before is not None:
        now = np.array([at_s])
        behind_s = float((before.clock.lead_s(now) - clock.lead_s(now))[0])
        clock = replace(clock, advance_s=behind_s)
    carriers = []
    for part, (lo_hz, divider, epoch) in enumerate(
        (
            (settings.tx_lo_hz, settings.tx_interpolation, settings.tx_lo_epoch),
            (settings.rx_lo_hz, settings.rx_decimation, settings.rx_lo_epoch),
        )
    ):
        band = Band(rate_hz / divider, snap(lo_hz))
        crystal = draw_crystal(impairments, seed, port, band.center_hz)
        crystal = replace(
            crystal,
            offset=(1.0 + crystal.offset) * told * lo_hz / band.center_hz - 1.0,
            sample_offset=clock.sample_offset,
            advance_s=clock.advance_s,
        )
        last = None if before is None else (before.tx, before.rx)[part]
        if last is None or last.epoch != epoch or last.band.center_hz != band.center_hz:
            draws = stream(seed, Use.CARRIER_PHASE, port_key(port), part, epoch)
            turn = 2.0 * math.pi * float(draws.random())
        else:
            turn = last.turn + 2.0 * math.pi * math.fmod((last.crystal.cfo_hz - crystal.cfo_hz) * at_s, 1.0)
        carriers.append(Carrier(band, crystal, turn, epoch))
    return Leg(settings, at_s, clock, *carriers)


def snap(frequency_hz: float) -> float:
    """The nearest frequency on the grid of bands."""
    return GRID_HZ * round(frequency_hz / GRID_HZ)
