"""Samples to amplitudes: the server's end of an uplink that runs over radios."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from calibration.channel import estimate_channels
from calibration.timing import estimate_timing
from radio.air_config import MAX_START_OFFSET_SAMPLES
from radio.frame import demodulate_frame, element_level, frame_len
from radio.interface import Radio, Samples
from radio.ofdm import OfdmConfig
from radio.preamble import REPETITIONS, device_identity, preamble, preamble_len
from radio.schedule import Schedule
from radio.sounding import SoundingSlot, separate
from radio.uplink import ChannelState, Plan, Reception, Sounding, SyncError

SEARCH = MAX_START_OFFSET_SAMPLES  # samples on either side of the nominal instant in which a slot may start
DEADLINE_S = 10.0


def window_lead(ofdm: OfdmConfig) -> int:
    """Samples by which the demodulator's window is early, so that a path found late stays inside the prefix."""
    return ofdm.prefix_len // 8


def num_channel_taps(ofdm: OfdmConfig) -> int:
    """Span of the channel model, from the window's start: the lead and most of the delay spread a prefix allows."""
    return max(1, min(ofdm.prefix_len // 2, ofdm.num_active // 2))


class RadioUplink:
    """The server's receiver, and the transmitters whose air lives in this process.

    receiver: hears the superposition. transmitters: one a device where the air is simulated here; devices with
    radios of their own transmit by themselves and are not in it.
    """

    def __init__(
        self, receiver: Radio, transmitters: Mapping[int, Radio], schedule: Schedule, backoff_db: float
    ) -> None:
        self._receiver, self._transmitters, self._schedule = receiver, transmitters, schedule
        self._ofdm = schedule.ofdm
        self._level = element_level(backoff_db, self._ofdm)
        self._offset = 0  # receiver's index minus the transmitters', from the last sounding
        self._noise_variance = 0.0  # of a resource element, from the last sounding

    def slot(self, round_index: int, devices: tuple[int, ...]) -> SoundingSlot:
        """The round's slot on the transmitters' clock."""
        return self._schedule.slot(round_index, devices)

    def payload_index(self, slot: SoundingSlot) -> int:
        """The payload's start on the transmitters' clock."""
        return self._schedule.payload_index(slot)

    def sound(self, slot: SoundingSlot, sent: Mapping[int, NDArray[np.complexfloating]]) -> Sounding:
        """Find the slot, separate the pilots, fit a channel to each device. Raises SyncError.

        Timing is found non-coherently over the devices' own preambles, and holds for the payload too: gains and
        payload refer to the same instant, or subcarriers would turn against each other.
        """
        ofdm = self._ofdm
        self._transmit(slot.devices, sent, slot.start_index)
        references = [preamble(ofdm, device_identity(device)) for device in slot.devices]
        searched = self._receive(slot.start_index - SEARCH, 2 * SEARCH + preamble_len(ofdm))
        timing = estimate_timing(searched, references)
        if not timing.detected:
            raise SyncError(
                f"round {slot.round}: no sounding preamble within {SEARCH} samples of its instant (correlation "
                f"{timing.quality:.3f}); check the receiver's gain, cable and center_hz, or raise link.snr_db"
            )
        self._offset = timing.start_index - SEARCH - window_lead(ofdm)
        received = self._receive(slot.start_index + self._offset, slot.num_samples(ofdm))
        observed = separate(received, slot, ofdm) / self._level
        estimate = estimate_channels(observed, ofdm, num_channel_taps(ofdm), lead_samples=0)
        self._noise_variance = estimate.noise_variance * len(slot.devices)  # separating averages over symbols
        return Sounding(
            channels={d: ChannelState(gains) for d, gains in zip(slot.devices, estimate.gains, strict=True)},
            noise_variance=self._noise_variance,
            error_variances=dict.fromkeys(slot.devices, estimate.error_variance),
            overhead_elements=(REPETITIONS + len(slot.devices)) * ofdm.num_active,
            airtime_s=slot.num_samples(ofdm) / ofdm.sample_rate_hz,
        )

    def collect(self, plan: Plan, sent: Mapping[int, NDArray[np.complexfloating]]) -> Reception:
        """Receive a frame where the sounding put it, check that it is there, demodulate. Raises SyncError."""
        ofdm = self._ofdm
        self._transmit(plan.devices, sent, plan.start_index)
        samples = self._receive(plan.start_index + self._offset, frame_len(plan.num_elements, ofdm))
        head = samples[: preamble_len(ofdm) + 2 * window_lead(ofdm)]
        found = estimate_timing(head, [preamble(ofdm)])
        if not found.detected:
            raise SyncError(
                f"round {plan.round}: no payload preamble where the sounding put it (correlation "
                f"{found.quality:.3f}); the clock slipped or nobody transmitted"
            )
        amplitudes = demodulate_frame(samples, plan.num_elements, self._level, ofdm)
        return Reception(
            amplitudes,
            self._noise_variance,
            quality=found.quality,
            overhead_elements=REPETITIONS * ofdm.num_active,
            airtime_s=len(samples) / ofdm.sample_rate_hz,
            samples=samples,
        )

    def close(self) -> None:
        """Close every radio, the receiver last."""
        for radio in (*self._transmitters.values(), self._receiver):
            radio.close()

    def _transmit(
        self, devices: tuple[int, ...], sent: Mapping[int, NDArray[np.complexfloating]], at: int
    ) -> None:
        for device in devices:
            if device in self._transmitters:
                self._transmitters[device].transmit(np.asarray(sent[device], dtype=np.complex64), at)

    def _receive(self, at: int, num_samples: int) -> Samples:
        return self._receiver.receive(at, num_samples, DEADLINE_S)
