"""When things happen in a round, in samples of the receiver's nominal clock, once a round period.

Sounding, gap, payload. Free-running clocks sound in blocks at growing distances, and those of which too little is known
are acquired before.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from radio.air_config import MAX_START_OFFSET_SAMPLES
from radio.correction import Correction
from radio.frame import frame_len
from radio.ofdm import OfdmConfig
from radio.pilots import check_num_devices
from radio.preamble import preamble_len
from radio.sounding import AcquisitionSlot, SoundingSlot

PILOT_SYMBOLS, MOST_PILOT_SYMBOLS = 8, 32
"""Of a block. On a shared reference the only block has as many as there are devices, from 8 to 32: fewer would know the
gains less well than the payload needs (32 devices: 0.3 dB of the decoded estimate's error with 8 symbols). Free clocks
have four blocks of 8: the distance of the first two bounds the offset that can be told, at 8 to 5 % of the spacing."""
TURN_SEARCH = (
    2 * MAX_START_OFFSET_SAMPLES
)  # samples on either side of its instant in which a device may be found
BLOCK_GAPS_S = (0.0, 0.0, 2.5e-3, 15e-3)
"""Silence before each block of a free-running sounding: each distance is short enough for the frequency known by then
to count whole turns, and the last is long enough to know it to a fraction of a hertz."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """round_s: period of rounds; gap_s: end of a slot to the start of what follows it; lead_s: silence at a round's
    start; free_clocks: whether clocks run free, within crystal_ppm of the receiver's. num_devices: of the fleet."""

    ofdm: OfdmConfig
    round_s: float
    gap_s: float
    lead_s: float = 2e-3
    free_clocks: bool = False
    crystal_ppm: float = 20.0
    num_devices: int = 0

    @property
    def round_len(self) -> int:
        """Samples of a round period."""
        return self._samples(self.round_s)

    @property
    def turn_len(self) -> int:
        """Samples of a device's turn in an acquisition."""
        return preamble_len(self.ofdm) + 2 * TURN_SEARCH

    def start_index(self, round_index: int) -> int:
        """First sample of a round's first slot."""
        return round_index * self.round_len + self._samples(self.lead_s)

    def after(self, end_index: int) -> int:
        """First sample of what follows a slot that ends at an index."""
        return end_index + self._samples(self.gap_s)

    def acquisition(
        self,
        round_index: int,
        devices: tuple[int, ...],
        sounding: tuple[int, ...],
        corrections: Mapping[int, Correction],
    ) -> AcquisitionSlot:
        """A round's first slot where `devices` have to be acquired before `sounding` sound."""
        return AcquisitionSlot(
            round=round_index,
            devices=devices,
            start_index=self.start_index(round_index),
            turn_len=self.turn_len,
            sounding=sounding,
            corrections=corrections,
        )

    def num_spare_turns(self, num_active: int) -> int:
        """Turns of a round for devices that do not take part: all of the fleet have to be met before a crystal that
        nobody has measured moves them out of their turns."""
        idle = max(0, self.num_devices - num_active)
        met_within_s = (TURN_SEARCH - MAX_START_OFFSET_SAMPLES) / (
            1e-6 * self.crystal_ppm * self.ofdm.sample_rate_hz
        )
        return math.ceil(idle * min(1.0, self.round_s / met_within_s))

    def sounding_after(
        self, slot: AcquisitionSlot, devices: tuple[int, ...], corrections: Mapping[int, Correction]
    ) -> SoundingSlot:
        """The joint slot that follows an acquisition."""
        end = slot.start_index + len(slot.devices) * slot.turn_len
        return self._sounding(slot.round, devices, self.after(end), corrections)

    def slot(
        self,
        round_index: int,
        devices: tuple[int, ...],
        corrections: Mapping[int, Correction] | None = None,
    ) -> SoundingSlot:
        """A round's only slot where enough is known of all devices."""
        return self._sounding(round_index, devices, self.start_index(round_index), corrections or {})

    def payload_index(self, slot: SoundingSlot) -> int:
        """First sample of the payload frame that follows a sounding."""
        return self.after(slot.end_index(self.ofdm))

    def longest_s(self, num_active: int, num_elements: int) -> float:
        """From the start of a round's first slot to the end of the payload, in a round that acquires all it can."""
        active = tuple(range(num_active))
        slot = self.slot(0, active)
        if self.free_clocks:
            turns = tuple(range(num_active + self.num_spare_turns(num_active)))
            slot = self.sounding_after(self.acquisition(0, turns, active, {}), active, {})
        end = self.payload_index(slot) + frame_len(num_elements, self.ofdm)
        return (end - self.start_index(0)) / self.ofdm.sample_rate_hz

    def check(self, num_active: int, num_elements: int) -> None:
        """ValueError unless the devices can sound at once, the frame has pilots for all, and a round, with its lead on
        both sides, fits its period."""
        self.check_devices(num_active)
        needed = 2.0 * self.lead_s + self.longest_s(num_active, num_elements)
        if needed > self.round_s:
            raise ValueError(
                f"link.round_s = {self.round_s:g} s is shorter than a round on the air, {needed:.4g} s "
                f"({num_elements} resource elements, {num_active} devices); "
                f"raise link.round_s to {math.ceil(needed * 1e3) / 1e3:g} or lower update.measurements"
            )

    def check_devices(self, num_active: int) -> None:
        """ValueError unless the devices can sound at once and the frame has pilots for all."""
        self._sounding(0, tuple(range(num_active)), 0, {}).layout(self.ofdm)
        check_num_devices(num_active, self.ofdm)

    def _sounding(
        self,
        round_index: int,
        devices: tuple[int, ...],
        start_index: int,
        corrections: Mapping[int, Correction],
    ) -> SoundingSlot:
        num_symbols = min(max(PILOT_SYMBOLS, len(devices)), MOST_PILOT_SYMBOLS)
        block_gaps: tuple[int, ...] = (0,)
        if self.free_clocks:
            symbol_s = self.ofdm.symbol_len / self.ofdm.sample_rate_hz
            num_symbols = PILOT_SYMBOLS
            block_gaps = tuple(round(gap_s / symbol_s) for gap_s in BLOCK_GAPS_S)
        return SoundingSlot(
            round=round_index,
            devices=devices,
            start_index=start_index,
            num_symbols=num_symbols,
            block_gaps=block_gaps,
            corrections=corrections,
        )

    def _samples(self, duration_s: float) -> int:
        return round(duration_s * self.ofdm.sample_rate_hz)
