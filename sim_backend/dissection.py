"""What a received payload consists of beside the perfect superposition; known to a simulation alone.

    y - y0 = sum_i (a_i - |h_i|) x_i           ageing: what channel and clocks did since the sounding
           + sum_i (c_i - 1) a_i x_i           synchronisation: what the sounding got wrong, constant over the frame
           + sum_i (y_i - c_i a_i x_i) + rest  hardware: converters, images, phase noise; the receiver's is the rest
           + interference + noise

per resource element. x_i is what device i sent before compensation, y_i what of it arrived, a_i = |h_i| turned by as
much as path and oscillator have turned since the sounding, both turned back by what the receiver removed as common to
all; c_i on each subcarrier the least-squares gain from a_i x_i to y_i. A part of the error's energy is the real part
of <part, y - y0>: such parts add up.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from radio.frame import demodulate_frame, payload_elements
from radio.interface import Samples
from radio.ofdm import OfdmConfig
from radio.resource_map import element_subcarriers
from radio.uplink import Plan, Reception, Sounding
from sim_backend.elements import ElementChannel
from sim_backend.radio import SimRadio

Amplitudes = NDArray[np.complexfloating]


class AirTruth:
    """The truth behind a waveform that `receiver` heard; `level` as in `radio.frame`."""

    def __init__(self, channel: ElementChannel, receiver: SimRadio, level: float, ofdm: OfdmConfig) -> None:
        self._channel, self._receiver, self._level, self._ofdm = channel, receiver, level, ofdm

    def gains(self, plan: Plan, device: int) -> NDArray[np.complex128]:
        """(num_elements,) complex."""
        return self._channel.elements(device, plan.start_index, plan.num_elements)

    def disturbances(
        self, plan: Plan, unturned: Mapping[int, Amplitudes], sounding: Sounding, reception: Reception
    ) -> dict[str, float]:
        """Parts of |y - y0|^2, in the order above from the last."""
        anatomy = self._receiver.dissect(reception.start_index, len(reception.samples))
        back = reception.turns.conj()
        noise = self._demodulate(anatomy.noise, plan, back)
        interference = self._demodulate(anatomy.interference, plan, back)
        ageing = np.zeros(plan.num_elements, dtype=np.complex128)
        synchronisation = np.zeros_like(ageing)
        rest = reception.amplitudes - noise - interference
        for device in plan.devices:
            arrived = self._demodulate(anatomy.by_sender[device], plan, back)
            perfect = np.abs(self.gains(plan, device)) * unturned[device]
            turned = perfect * self._channel.turned(
                device, plan, sounding.measured_at_s, sounding.channels[device].correction
            )
            turned *= np.repeat(back, self._ofdm.num_data)[: plan.num_elements]
            missed = (self._fit(turned, arrived) - 1.0) * turned
            ageing += turned - perfect
            synchronisation += missed
            rest -= turned + missed
        parts = {
            "noise": noise,
            "interference": interference,
            "synchronisation": synchronisation,
            "ageing": ageing,
            "hardware": rest,
        }
        error = sum(parts.values())
        return {name: float(np.vdot(part, error).real) for name, part in parts.items()}

    def _demodulate(self, samples: Samples, plan: Plan, back: NDArray[np.complex64]) -> Amplitudes:
        payload = demodulate_frame(samples, self._level, self._ofdm).payload * back[:, None]
        return payload_elements(payload, plan.num_elements, self._ofdm)

    def _fit(self, sent: Amplitudes, arrived: Amplitudes) -> NDArray[np.complex128]:
        """(num_elements,) gain of each element's subcarrier."""
        subcarriers = element_subcarriers(len(sent), self._ofdm)
        product = sent.conj() * arrived
        energy = np.bincount(subcarriers, np.abs(sent) ** 2)
        gains = np.bincount(subcarriers, product.real) + 1j * np.bincount(subcarriers, product.imag)
        return (gains / np.maximum(energy, np.finfo(float).tiny))[subcarriers]
