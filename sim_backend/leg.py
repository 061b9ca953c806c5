"""A stretch of air time in which a virtual radio's settings hold: its clock, its bands, its carriers.

The clock reads c(t) = t + lead(t) nominal seconds at air time t, continuous over legs; sample n of a stream at nominal
rate R lies at c = n / R. A carrier is off its band's centre by what crystal and correction leave, and turned by a phase
that is new after each retune and goes on otherwise.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from radio.impairments import REFERENCE_HZ
from radio.measured_air import AirLaw
from radio.seeds import Use, stream
from sim_backend.bands import Band
from sim_backend.crystal import Crystal, draw_crystal
from sim_backend.frames import RX_CHANNEL, TX_CHANNEL, Gate, gate
from sim_backend.ports import port_key
from sim_backend.station_settings import NOMINAL_XO_HZ, StationSettings

GRID_HZ = (
    1e3  # bands lie on it, so that radios that mean the same share one; what is left counts as an offset
)
SAME = 1e-11  # relative: frequencies that differ by rounding alone
JUST_BEFORE_S = 1e-9  # less than a sample, more than rounding in a day


@dataclass(frozen=True)
class Carrier:
    """An oscillator and the band around it. crystal: against the band's centre; turn: its phase at time 0 in rad."""

    band: Band
    crystal: Crystal
    turn: float
    epoch: int

    @property
    def true_hz(self) -> float:
        """Frequency at time 0."""
        return (1.0 + self.crystal.offset) * self.band.center_hz


@dataclass(frozen=True, eq=False)
class Leg:
    """From air time `start_s` on. clock: of both streams. frames_from_s: its reading when a run of frames begins."""

    settings: StationSettings
    start_s: float
    clock: Crystal
    tx: Carrier
    rx: Carrier
    frames_from_s: float | None = None

    @property
    def chip_rate_hz(self) -> float:
        """Of the chip's samples, which are the frame engine's cycles."""
        return self.rx.band.sample_rate_hz * self.settings.rx_decimation

    @cached_property
    def tx_gate(self) -> Gate | None:
        """When the transmit DMA may begin a block; None is always."""
        return gate(self.settings.tdd, TX_CHANNEL, self._frames_from, self.settings.tx_interpolation)

    @cached_property
    def rx_gate(self) -> Gate | None:
        """When the receive DMA may begin a block; None is always."""
        return gate(self.settings.tdd, RX_CHANNEL, self._frames_from, self.settings.rx_decimation)

    @property
    def _frames_from(self) -> int | None:
        return None if self.frames_from_s is None else round(self.frames_from_s * self.chip_rate_hz)

    def frames_run(self, at_s: float) -> bool:
        """Whether a run of frames has begun and not ended at an instant."""
        return self.rx_gate is not None and self.rx_gate.is_running(self._index(at_s, self.chip_rate_hz))

    def triggered(self, at_s: float) -> "Leg":
        """This with a run of frames from the next sample on; itself where a trigger is not waited for."""
        tdd, cycle = self.settings.tdd, self._index(at_s, self.chip_rate_hz)
        if not tdd.enabled or (self.frames_run(at_s) and not tdd.sync_reset):
            return self
        return replace(self, start_s=at_s, frames_from_s=(cycle + tdd.delay_cycles) / self.chip_rate_hz)

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
    law: AirLaw,
    seed: int,
    port: int,
) -> Leg:
    """Settings from an instant on; `before` is the leg that they end, None at power-up.

    What is only believed to change, as when the crystal's correction alone is written, goes on untouched.
    """
    clock, rate_hz = _begin_clock(settings, before, at_s, draw_crystal(law, seed, port, REFERENCE_HZ))
    told = NOMINAL_XO_HZ / settings.xo_correction_hz
    carriers = []
    for part, (lo_hz, divider, epoch) in enumerate(
        (
            (settings.tx_lo_hz, settings.tx_interpolation, settings.tx_lo_epoch),
            (settings.rx_lo_hz, settings.rx_decimation, settings.rx_lo_epoch),
        )
    ):
        last = None if before is None else (before.tx, before.rx)[part]
        center_hz = snap(lo_hz)
        drawn = draw_crystal(law, seed, port, center_hz)
        offset = (1.0 + drawn.offset) * told * lo_hz / center_hz - 1.0
        kept = last is not None and last.epoch == epoch
        if last is not None and kept and _same((1.0 + offset) * center_hz, last.true_hz):
            center_hz, drawn, offset = last.band.center_hz, last.crystal, last.crystal.offset
        crystal = replace(drawn, offset=offset, sample_offset=clock.sample_offset, advance_s=clock.advance_s)
        if last is None or not kept or last.band.center_hz != center_hz:
            draws = stream(seed, Use.CARRIER_PHASE, port_key(port), part, epoch)
            turn = 2.0 * math.pi * float(draws.random())
        else:
            turn = last.turn + 2.0 * math.pi * math.fmod((last.crystal.cfo_hz - crystal.cfo_hz) * at_s, 1.0)
        carriers.append(Carrier(Band(rate_hz / divider, center_hz), crystal, turn, epoch))
    tx, rx = carriers
    leg = Leg(settings, at_s, clock, tx, rx)
    return replace(leg, frames_from_s=_frames_from_s(leg, before))


def _begin_clock(
    settings: StationSettings, before: Leg | None, at_s: float, crystal: Crystal
) -> tuple[Crystal, float]:
    """The sample clock, which goes on where the one before it stood, and the nominal rate that it counts."""
    rate_hz = snap(settings.sample_rate_hz)
    told = NOMINAL_XO_HZ / settings.xo_correction_hz
    clock = replace(
        crystal, sample_offset=(1.0 + crystal.sample_offset) * told * settings.sample_rate_hz / rate_hz - 1.0
    )
    if before is None:
        return clock, rate_hz
    if _same((1.0 + clock.sample_offset) * rate_hz, (1.0 + before.clock.sample_offset) * before.chip_rate_hz):
        return before.clock, before.chip_rate_hz
    now = np.array([at_s])
    return replace(clock, advance_s=float((before.clock.lead_s(now) - clock.lead_s(now))[0])), rate_hz


def _frames_from_s(leg: Leg, before: Leg | None) -> float | None:
    """Frames go on while the engine stays enabled; its own pulses begin a period after it was enabled."""
    tdd = leg.settings.tdd
    if not tdd.enabled:
        return None
    if before is not None and before.settings.tdd.enabled and before.frames_from_s is not None:
        return before.frames_from_s
    if not (tdd.sync_internal and tdd.period_cycles):
        return None
    first = leg._index(leg.start_s, leg.chip_rate_hz) + tdd.period_cycles + tdd.delay_cycles
    return first / leg.chip_rate_hz


def _same(one_hz: float, other_hz: float) -> bool:
    return abs(one_hz - other_hz) <= SAME * other_hz


def snap(frequency_hz: float) -> float:
    """The nearest frequency on the grid of bands."""
    return GRID_HZ * round(frequency_hz / GRID_HZ)
