"""True gains of a payload's resource elements: what the symbol uplink applies and a waveform round is judged by."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from radio.correction import Correction
from radio.frame import payload_offset
from radio.ofdm import OfdmConfig
from radio.resource_map import element_places, element_subcarriers, num_payload_symbols
from radio.uplink import Plan, Reception, Sounding
from sim_backend.bands import Band
from sim_backend.channel import BlockChannel
from sim_backend.path import Path


class ElementChannel(Protocol):
    """A channel as resource elements see it."""

    def elements(self, device: int, start_index: int, num_elements: int) -> NDArray[np.complex128]:
        """(num_elements,) gains of the elements of a frame that arrives at `start_index`."""
        ...

    def turned(
        self, device: int, plan: Plan, since_s: float, correction: Correction
    ) -> NDArray[np.complex128]:
        """(num_elements,) factors of magnitude 1: what path and clocks have turned each element by since an instant,
        with what the device undoes of it."""
        ...


class Paths(Protocol):
    """Where a path comes from, such as a `PathMedium`."""

    def path(self, port: int, receiver: int, band: Band) -> Path:
        """From one radio to another."""
        ...


class BlockElements:
    """Gains that hold still in a block of air time."""

    def __init__(self, channel: BlockChannel, ofdm: OfdmConfig) -> None:
        self._channel, self._ofdm = channel, ofdm

    def elements(self, device: int, start_index: int, num_elements: int) -> NDArray[np.complex128]:
        """One subcarrier's gain is the same in every symbol."""
        response = self._channel.response(device, start_index // self._channel.block_len, self._ofdm)
        return response[element_subcarriers(num_elements, self._ofdm)]

    def turned(
        self, device: int, plan: Plan, since_s: float, correction: Correction
    ) -> NDArray[np.complex128]:
        """Sounding and payload lie in one block."""
        return np.ones(plan.num_elements, dtype=np.complex128)


class PathElements:
    """Gains of drawn paths, each symbol's taken at its middle; the oscillators' turning is not in them."""

    def __init__(self, medium: Paths, ofdm: OfdmConfig, center_hz: float) -> None:
        self._medium, self._ofdm = medium, ofdm
        self._band = Band(ofdm.sample_rate_hz, center_hz)
        self._freqs_hz = ofdm.active_freqs_hz

    def elements(self, device: int, start_index: int, num_elements: int) -> NDArray[np.complex128]:
        """Fading goes on from symbol to symbol."""
        path = self._medium.path(device, -1, self._band)
        times_s = self._middles_s(start_index, num_elements)
        responses = path.response(times_s, self._freqs_hz)
        return responses.ravel()[element_places(num_elements, self._ofdm)]

    def turned(
        self, device: int, plan: Plan, since_s: float, correction: Correction
    ) -> NDArray[np.complex128]:
        """Fading, carrier offset and drift; phase noise counts as hardware."""
        path = self._medium.path(device, -1, self._band)
        times_s = np.append(self._middles_s(plan.start_index, plan.num_elements), since_s)
        responses = path.response(times_s, self._freqs_hz)
        faded = responses[:-1] * responses[-1].conj()
        faded /= np.maximum(np.abs(faded), np.finfo(float).tiny)
        steady = replace(path.crystal, jitter=None)
        on_clock_s = times_s + steady.lead_s(times_s)  # of the device, the path's delay apart
        phases = steady.phase(times_s) - 2.0 * np.pi * correction.cfo_hz * on_clock_s
        turn = np.exp(1j * (phases[:-1] - phases[-1]))
        return (faded * turn[:, None]).ravel()[element_places(plan.num_elements, self._ofdm)]

    def _middles_s(self, start_index: int, num_elements: int) -> NDArray[np.float64]:
        """(num_symbols,) the instants at the middle of each payload symbol."""
        ofdm = self._ofdm
        first = start_index + payload_offset(ofdm) + ofdm.prefix_len + ofdm.fft_len / 2
        middles = first + ofdm.symbol_len * np.arange(num_payload_symbols(num_elements, ofdm))
        return middles / ofdm.sample_rate_hz


class LevelledElements:
    """As the channel beneath, of devices that are turned down. levels: amplitudes that are left, by device, 1 unless
    given."""

    def __init__(self, channel: ElementChannel, levels: Mapping[int, float]) -> None:
        self._channel, self._levels = channel, dict(levels)

    def elements(self, device: int, start_index: int, num_elements: int) -> NDArray[np.complex128]:
        """From what the device meant to send to the receiver."""
        return self._levels.get(device, 1.0) * self._channel.elements(device, start_index, num_elements)

    def turned(
        self, device: int, plan: Plan, since_s: float, correction: Correction
    ) -> NDArray[np.complex128]:
        """As beneath."""
        return self._channel.turned(device, plan, since_s, correction)


class ElementTruth:
    """The truth behind the symbol uplink, where noise is all that disturbs."""

    def __init__(self, channel: ElementChannel) -> None:
        self._channel = channel

    def gains(self, plan: Plan, device: int) -> NDArray[np.complex128]:
        """(num_elements,) complex."""
        return self._channel.elements(device, plan.start_index, plan.num_elements)

    def disturbances(
        self,
        plan: Plan,
        unturned: Mapping[int, NDArray[np.complexfloating]],
        sounding: Sounding,
        reception: Reception,
    ) -> dict[str, float]:
        """Noise."""
        rest = reception.amplitudes.astype(np.complex128)
        for device in plan.devices:
            rest -= np.abs(self.gains(plan, device)) * unturned[device]
        return {"noise": float(np.vdot(rest, rest).real)}
