"""The amplitude-level channel: y = sum_i h_i x_i + n per resource element, for Monte Carlo.

With no fading and no noise it is the error-free uplink. The sounding slot returns the truth.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.resource_map import num_payload_symbols
from radio.schedule import Schedule
from radio.seeds import Use, stream
from radio.sounding import SoundingSlot
from radio.uplink import Emissions, Plan, Reception, Slot, Sounding
from sim_backend.elements import ElementChannel


class SymbolUplink:
    """num_elements: of a payload. noise_variance: E|n|^2 of a resource element, whose nominal power is 1."""

    def __init__(
        self,
        channel: ElementChannel,
        schedule: Schedule,
        num_elements: int,
        noise_variance: float,
        seed: int,
    ) -> None:
        self._channel, self._schedule, self._num_elements = channel, schedule, num_elements
        self._noise_variance, self._seed = noise_variance, seed

    def slot(self, round_index: int, devices: tuple[int, ...]) -> Slot:
        """Same instants as over a waveform that acquires nobody, so that fading is the same."""
        return self._schedule.slot(round_index, devices)

    def sound(self, slot: Slot, sent: Emissions) -> Sounding:
        """True gains, those that the payload will see."""
        assert isinstance(slot, SoundingSlot)  # there is nothing to acquire
        payload_index = self._schedule.payload_index(slot)
        num_elements = (
            self._num_elements or self._schedule.ofdm.num_active
        )  # also where nothing is transmitted
        return Sounding(
            channels={
                device: ChannelState(self._channel.elements(device, payload_index, num_elements))
                for device in slot.devices
            },
            noise_variance=self._noise_variance,
            error_variances=dict.fromkeys(slot.devices, 0.0),
            end_index=slot.end_index(self._schedule.ofdm),
        )

    def payload_index(self, sounding: Sounding) -> int:
        """A gap after the sounding."""
        return self._schedule.after(sounding.end_index)

    def collect(self, plan: Plan, sent: Emissions) -> Reception:
        """Superpose in device order, add noise once."""
        total = np.zeros(plan.num_elements, dtype=np.complex128)
        for device in plan.devices:
            if device not in sent:
                continue
            gains = self._channel.elements(device, plan.start_index, plan.num_elements)
            total += gains * sent[device][0].samples
        if self._noise_variance > 0.0:
            rng = stream(self._seed, Use.RECEIVER_NOISE, plan.round)
            noise = rng.standard_normal(2 * plan.num_elements).view(np.complex128)
            total += np.sqrt(self._noise_variance / 2.0) * noise
        ofdm = self._schedule.ofdm
        airtime_s = num_payload_symbols(plan.num_elements, ofdm) * ofdm.symbol_len / ofdm.sample_rate_hz
        return Reception(total, self._noise_variance, airtime_s=airtime_s)

    def save(self) -> dict[str, NDArray[Any]]:
        """Rounds are independent of each other."""
        return {}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Nothing was saved."""

    def close(self) -> None:
        """Nothing was opened."""
