"""When things happen in a round, in samples of the receiver's nominal clock, once a round period.

Clocks that share a reference: sounding, gap, payload. Free-running clocks: acquisition first, then sounding in
blocks at growing distances.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from radio.air_config import MAX_START_OFFSET_SAMPLES
from radio.correction import Correction
from radio.frame import frame_len
from radio.ofdm import OfdmConfig
from radio.preamble import preamble_len
from radio.sounding import AcquisitionSlot, SoundingSlot

PILOT_SYMBOLS, MOST_PILOT_SYMBOLS = 8, 32
"""Of a block. On a shared reference the only block has as many as there are devices, from 8 to 32: fewer would know the
gains less well than the payload needs (32 devices: 0.3 dB of the decoded estimate's error with 8 symbols). Free clocks
have four blocks of 8: the distance of the first two bounds the offset that can be told, at 8 to 5 % of the spacing."""
BLOCK_GAPS_S = (0.0, 0.0, 2.5e-3, 15e-3)
"""Silence before each block of a free-running sounding: each distance is short enough for the frequency known by then
to count whole turns, and the last is long enough to know it to a fraction of a hertz."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """round_s: period of rounds; gap_s: end of a slot to the start of what follows it; lead_s: silence at a round's
    start; free_clocks: whether devices have to be acquired."""

    ofdm: OfdmConfig
    round_s: float
    gap_s: float
    lead_s: float = 2e-3
    free_clocks: bool = False

    @property
    def round_len(self) -> int:
        """Samples of a round period."""
        return self._samples(self.round_s)

    def slot(self, round_index: int, devices: tuple[int, ...]) -> AcquisitionSlot | SoundingSlot:
        """The first slot of a round."""
        start = round_index * self.round_len + self._samples(self.lead_s)
        if not self.free_clocks:
            num_symbols = min(max(PILOT_SYMBOLS, len(devices)), MOST_PILOT_SYMBOLS)
            return SoundingSlot(
                round=round_index, devices=devices, start_index=start, num_symbols=num_symbols
            )
        turn_len = preamble_len(self.ofdm) + 4 * MAX_START_OFFSET_SAMPLES
        return AcquisitionSlot(round=round_index, devices=devices, start_index=start, turn_len=turn_len)

    def sounding_after(self, slot: AcquisitionSlot, corrections: Mapping[int, Correction]) -> SoundingSlot:
        """The joint slot that follows an acquisition, of the devices that were found."""
        end = slot.start_index + len(slot.devices) * slot.turn_len
        symbol_s = self.ofdm.symbol_len / self.ofdm.sample_rate_hz
        return SoundingSlot(
            round=slot.round,
            devices=tuple(corrections),
            start_index=end + self._samples(self.gap_s),
            num_symbols=PILOT_SYMBOLS,
            block_gaps=tuple(round(gap_s / symbol_s) for gap_s in BLOCK_GAPS_S),
            corrections=corrections,
        )

    def payload_index(self, slot: AcquisitionSlot | SoundingSlot) -> int:
        """First sample of the payload frame that follows a round's last slot."""
        if isinstance(slot, AcquisitionSlot):
            slot = self.sounding_after(slot, dict.fromkeys(slot.devices, Correction()))
        return slot.start_index + slot.num_samples(self.ofdm) + self._samples(self.gap_s)

    def airtime_s(self, slot: AcquisitionSlot | SoundingSlot, num_elements: int) -> float:
        """From the start of a round's first slot to the end of the payload."""
        end = self.payload_index(slot) + frame_len(num_elements, self.ofdm)
        return (end - slot.start_index) / self.ofdm.sample_rate_hz

    def check(self, num_devices: int, num_elements: int) -> None:
        """ValueError unless the devices can sound at once and a round, with its lead on both sides, fits its period."""
        slot = self.slot(0, tuple(range(num_devices)))
        if isinstance(slot, AcquisitionSlot):
            self.sounding_after(slot, dict.fromkeys(slot.devices, Correction())).layout(self.ofdm)
        else:
            slot.layout(self.ofdm)
        needed = 2.0 * self.lead_s + self.airtime_s(slot, num_elements)
        if needed > self.round_s:
            raise ValueError(
                f"link.round_s = {self.round_s:g} s is shorter than a round on the air, {needed:.4g} s "
                f"({num_elements} resource elements, {num_devices} devices); "
                f"raise link.round_s to {math.ceil(needed * 1e3) / 1e3:g} or lower update.measurements"
            )

    def _samples(self, duration_s: float) -> int:
        return round(duration_s * self.ofdm.sample_rate_hz)
