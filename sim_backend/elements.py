"""True gains of a payload's resource elements: what the symbol uplink applies and a waveform round is judged by."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from radio.frame import num_payload_symbols
from radio.ofdm import OfdmConfig
from radio.preamble import preamble_len
from radio.uplink import Plan
from sim_backend.bands import Band
from sim_backend.channel import BlockChannel
from sim_backend.medium import PathMedium


class ElementChannel(Protocol):
    """A channel as resource elements see it."""

    def elements(self, device: int, start_index: int, num_elements: int) -> NDArray[np.complex128]:
        """(num_elements,) gains of the elements of a frame that arrives at `start_index`."""
        ...


class BlockElements:
    """Gains that hold still in a block of air time."""

    def __init__(self, channel: BlockChannel, ofdm: OfdmConfig) -> None:
        self._channel, self._ofdm = channel, ofdm

    def elements(self, device: int, start_index: int, num_elements: int) -> NDArray[np.complex128]:
        """One subcarrier's gain is the same in every symbol."""
        response = self._channel.response(device, start_index // self._channel.block_len, self._ofdm)
        return np.resize(response, num_elements)


class PathElements:
    """Gains of drawn paths, each symbol's taken at its middle; the oscillators' turning is not in them."""

    def __init__(self, medium: PathMedium, ofdm: OfdmConfig, center_hz: float) -> None:
        self._medium, self._ofdm = medium, ofdm
        self._band = Band(ofdm.sample_rate_hz, center_hz)
        below = ofdm.active_bins >= ofdm.fft_len // 2
        self._freqs_hz = (ofdm.active_bins - ofdm.fft_len * below) * ofdm.sample_rate_hz / ofdm.fft_len

    def elements(self, device: int, start_index: int, num_elements: int) -> NDArray[np.complex128]:
        """Fading goes on from symbol to symbol."""
        ofdm = self._ofdm
        first = start_index + preamble_len(ofdm) + ofdm.prefix_len + ofdm.fft_len / 2
        middles = first + ofdm.symbol_len * np.arange(num_payload_symbols(num_elements, ofdm))
        path = self._medium.path(device, -1, self._band)
        return path.response(middles / ofdm.sample_rate_hz, self._freqs_hz).ravel()[:num_elements]


class ElementTruth:
    """The true gains at payload time, for judging a simulated round."""

    def __init__(self, channel: ElementChannel) -> None:
        self._channel = channel

    def gains(self, plan: Plan, device: int) -> NDArray[np.complex128]:
        """(num_elements,) complex."""
        return self._channel.elements(device, plan.start_index, plan.num_elements)
