"""Where the frames and the devices of a round lie in what was received."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from radio.capture import Capture, SentBurst
from radio.frame import frame_len, payload_offset
from radio.interface import RadioConfig
from radio.ofdm import OfdmConfig
from radio.preamble import preamble_len
from radio.recording_fields import Annotation
from radio.sounding import AcquisitionSlot, SoundingSlot
from radio.tee_radio import Heard, join
from server.receiver import SEARCH
from server.round_facts import ACQUISITION, PAYLOAD, SOUNDING
from server.taped_uplink import TapedPayload, TapedSlot


class Marked(NamedTuple):
    """A step of a round, as a recording has it."""

    captures: list[Capture]
    frames: list[Annotation]


@dataclass(frozen=True, kw_only=True)
class Marker:
    """Cuts what was heard to what belongs to a step. config: of the receiver; tx_gain_db, level: of all devices."""

    ofdm: OfdmConfig
    config: RadioConfig
    tx_gain_db: float
    level: float

    def slot(self, taped: TapedSlot) -> Marked:
        """Of an acquisition or a sounding."""
        slot = taped.slot
        start = taped.origin + slot.start_index
        if isinstance(slot, AcquisitionSlot):
            end, length = start + len(slot.devices) * slot.turn_len, preamble_len(self.ofdm)
            turns = [
                self._burst(device, taped.origin + slot.turn_index(device, self.ofdm), length, "turn")
                for device in taped.sent
            ]
            return Marked(self._captures(taped.heard, start, end, turns, ACQUISITION), [])
        frames = self._sounding_frames(slot, taped.origin + taped.lateness)
        bursts = [self._burst(d, at, length, "pilots") for d in taped.sent for at, length in _runs(frames)]
        end = frames[-1].start_index + frames[-1].num_samples + SEARCH
        return Marked(self._captures(taped.heard, start - SEARCH, end, bursts, SOUNDING), frames)

    def payload(self, taped: TapedPayload) -> Marked:
        """Of a payload."""
        start = taped.origin + taped.plan.start_index + taped.lateness
        length = frame_len(taped.plan.num_elements, self.ofdm)
        bursts = [self._burst(device, start, length, "payload") for device in taped.sent]
        captures = self._captures(taped.heard, start - SEARCH, start + length + SEARCH, bursts, PAYLOAD)
        return Marked(captures, self._payload_frames(start, length))

    @property
    def _band_hz(self) -> tuple[float, float]:
        """Of the active subcarriers, over the carrier."""
        half_hz = (self.ofdm.num_active + 1) / 2.0 * self.ofdm.sample_rate_hz / self.ofdm.fft_len
        return -half_hz, half_hz

    def _burst(self, device: int, start_index: int, num_samples: int, label: str) -> SentBurst:
        return SentBurst(
            device=device,
            start_index=start_index,
            num_samples=num_samples,
            label=label,
            tx_gain_db=self.tx_gain_db,
            level=self.level,
            band_hz=self._band_hz,
        )

    def _captures(
        self, heard: Sequence[Heard], first: int, end: int, bursts: Sequence[SentBurst], step: str
    ) -> list[Capture]:
        return [
            Capture(
                samples=part.samples,
                start_index=part.start_index,
                config=self.config,
                step=step,
                sent=tuple(burst for burst in bursts if _reaches(burst, part)),
                unix_s=part.unix_s,
            )
            for part in join(heard, first, end)
        ]

    def _sounding_frames(self, slot: SoundingSlot, late: int) -> list[Annotation]:
        ofdm, parts = self.ofdm, [("preambles", slot.start_index, preamble_len(self.ofdm))]
        for block in range(len(slot.block_gaps)):
            parts.append((f"pilots {block + 1}", slot.block_index(block, ofdm), slot.block_len(ofdm)))
        comment = f"round {slot.round}, sounding: pilots of all devices at once"
        return [self._frame(late + at, length, label, comment) for label, at, length in parts]

    def _payload_frames(self, start: int, length: int) -> list[Annotation]:
        head, symbol_len = preamble_len(self.ofdm), self.ofdm.symbol_len
        begin, tail = payload_offset(self.ofdm), length - symbol_len
        return [
            self._frame(start, head, "preamble", "the same from all devices"),
            self._frame(start + head, symbol_len, "header pilots", "each device on subcarriers of its own"),
            self._frame(start + begin, tail - begin, "payload", "analog amplitudes of all devices, added up"),
            self._frame(start + tail, symbol_len, "tail pilots", "each device on subcarriers of its own"),
        ]

    def _frame(self, start_index: int, num_samples: int, label: str, comment: str) -> Annotation:
        return Annotation(
            start_index=start_index,
            num_samples=num_samples,
            label=label,
            comment=comment,
            band_hz=self._band_hz,
        )


def _runs(frames: Sequence[Annotation]) -> list[tuple[int, int]]:
    """(first index, length) of what is sent without a pause."""
    runs: list[tuple[int, int]] = []
    for frame in frames:
        if runs and sum(runs[-1]) == frame.start_index:
            runs[-1] = runs[-1][0], runs[-1][1] + frame.num_samples
        else:
            runs.append((frame.start_index, frame.num_samples))
    return runs


def _reaches(burst: SentBurst, part: Heard) -> bool:
    return burst.start_index < part.end_index and part.start_index < burst.start_index + burst.num_samples
