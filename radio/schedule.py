"""When things happen in a round, in samples of the air clock: sounding, gap, payload, once a round period."""

import math
from dataclasses import dataclass

from radio.frame import frame_len
from radio.ofdm import OfdmConfig
from radio.sounding import SoundingSlot


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """round_s: period of rounds; gap_s: end of sounding to start of payload; lead_s: silence at a round's start."""

    ofdm: OfdmConfig
    round_s: float
    gap_s: float
    lead_s: float = 2e-3

    @property
    def round_len(self) -> int:
        """Samples of a round period."""
        return self._samples(self.round_s)

    def slot(self, round_index: int, devices: tuple[int, ...]) -> SoundingSlot:
        """The sounding slot of a round."""
        start = round_index * self.round_len + self._samples(self.lead_s)
        return SoundingSlot(round=round_index, devices=devices, start_index=start)

    def payload_index(self, slot: SoundingSlot) -> int:
        """First sample of the payload frame that follows a slot."""
        return slot.start_index + slot.num_samples(self.ofdm) + self._samples(self.gap_s)

    def airtime_s(self, slot: SoundingSlot, num_elements: int) -> float:
        """From the start of sounding to the end of the payload."""
        end = self.payload_index(slot) + frame_len(num_elements, self.ofdm)
        return (end - slot.start_index) / self.ofdm.sample_rate_hz

    def check(self, num_devices: int, num_elements: int) -> None:
        """ValueError unless a round, with its lead on both sides, fits into its period."""
        slot = self.slot(0, tuple(range(num_devices)))
        needed = 2.0 * self.lead_s + self.airtime_s(slot, num_elements)
        if needed > self.round_s:
            raise ValueError(
                f"link.round_s = {self.round_s:g} s is shorter than a round on the air, {needed:.4g} s "
                f"({num_elements} resource elements, {num_devices} devices); "
                f"raise link.round_s to {math.ceil(needed * 1e3) / 1e3:g} or lower update.measurements"
            )

    def _samples(self, duration_s: float) -> int:
        return round(duration_s * self.ofdm.sample_rate_hz)
