"""What a device does with an update, wherever it comes from: sound, say what power it needs, transmit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices import messages
from radio.channel_state import ChannelState
from radio.frame import modulate_frame, payload_peak
from radio.interface import Burst, check_full_scale
from radio.ofdm import OfdmConfig
from radio.pilots import Place
from radio.schemes.registry import is_on_air, pack_bits
from radio.sounding import (
    AcquisitionSlot,
    MeetingSlot,
    SoundingSlot,
    acquisition_burst,
    meeting_burst,
    sounding_bursts,
)
from radio.uplink import Plan, Scheme, Slot

Update = NDArray[np.float32]


@dataclass(frozen=True)
class Sender:
    """Of a device by number. waveform: as of `DeviceSettings`."""

    device: int
    scheme: Scheme
    waveform: tuple[OfdmConfig, float] | None

    def sounding(self, slot: Slot) -> tuple[Burst, ...]:
        """What leaves in a slot; nothing where amplitudes travel."""
        if self.waveform is None:
            return ()
        ofdm, level = self.waveform
        match slot:
            case MeetingSlot():
                bursts: tuple[Burst, ...] = (meeting_burst(slot, ofdm),)
            case AcquisitionSlot():
                bursts = (acquisition_burst(slot, self.device, ofdm),)
            case SoundingSlot():
                bursts = sounding_bursts(slot, self.device, ofdm)
        return tuple(Burst(np.float32(level) * burst.samples, burst.start_index) for burst in bursts)

    def prepare(self, draft: Plan, update: Update, channel: ChannelState) -> messages.Prepared:
        """What the payload would need at scale 1."""
        amplitudes, sent = self.scheme.encode(update, channel, draft)
        power = float(np.vdot(amplitudes, amplitudes).real) / max(1, draft.num_elements)
        sent_norm2 = float(np.dot(sent, sent))
        if self.waveform is None or not is_on_air(self.scheme):
            return messages.Prepared(power, sent_norm2=sent_norm2)
        ofdm, level = self.waveform
        return messages.Prepared(power, payload_peak(amplitudes, channel, level, ofdm), sent_norm2)

    def transmit(
        self, plan: Plan, update: Update, channel: ChannelState
    ) -> tuple[messages.Sent, NDArray[np.floating]]:
        """What is put on the air, and what it stands for. Raises FullScaleError."""
        amplitudes, sent = self.scheme.encode(update, channel, plan)
        if not is_on_air(self.scheme):
            bits = pack_bits(self.scheme, update, plan)
            packed = np.packbits(bits)
            return messages.Sent((), amplitudes, sent, bits=packed, num_bits=len(bits)), sent
        if self.waveform is None:
            emitted = Burst(np.asarray(amplitudes), 0)
        else:
            ofdm, level = self.waveform
            place = Place(plan.devices.index(self.device), len(plan.devices))
            emitted = modulate_frame(amplitudes, channel, plan.start_index, level, ofdm, place)
            check_full_scale(emitted.samples)  # here, where it is this device's failure and not the round's
        return messages.Sent((emitted,), amplitudes, sent), sent
