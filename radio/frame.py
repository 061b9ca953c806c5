"""The payload frame: a preamble that all devices send alike, then the analog payload, then a silent tail.

Element j of the payload rides on subcarrier j % num_active of symbol j // num_active; the last symbol is
filled with zeros. `level` is the sample-domain amplitude of a resource element of power 1.
"""

import math

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.correction import delay_on_subcarriers, symbol_delays, turn_back
from radio.decibel import from_db
from radio.interface import Burst, Samples
from radio.ofdm import OfdmConfig, demodulate, modulate
from radio.preamble import COMMON, preamble, preamble_len


def num_payload_symbols(num_elements: int, ofdm: OfdmConfig) -> int:
    """OFDM symbols that carry `num_elements` resource elements."""
    return math.ceil(num_elements / ofdm.num_active)


def frame_len(num_elements: int, ofdm: OfdmConfig) -> int:
    """Samples of a payload frame."""
    return preamble_len(ofdm) + num_payload_symbols(num_elements, ofdm) * ofdm.symbol_len


def element_level(backoff_db: float, ofdm: OfdmConfig) -> float:
    """Amplitude of a resource element of power 1 when the payload's rms lies `backoff_db` below full scale."""
    return math.sqrt(from_db(-backoff_db) * ofdm.fft_len / ofdm.num_active)


def modulate_frame(
    amplitudes: NDArray[np.complexfloating],
    channel: ChannelState,
    arrival_index: int,
    level: float,
    ofdm: OfdmConfig,
) -> Burst:
    """Amplitudes of resource elements to the burst that brings them to the receiver at `arrival_index`.

    amplitudes: (num_elements,), already compensated for the channel's gains, power 1 is the nominal.
    channel: its phases align this device's preamble with the others', its correction the whole frame.
    """
    correction = channel.correction
    head_delay = delay_on_subcarriers(ofdm, symbol_delays(correction, arrival_index, 0, 1, ofdm))[0]
    head = preamble(ofdm, COMMON, channel.compensation(ofdm.num_active) * head_delay)
    head *= np.float32(level)
    grid = _on_symbols(amplitudes, level, ofdm)
    delays = symbol_delays(correction, arrival_index, len(head), len(grid), ofdm)
    if delays.any():
        grid *= delay_on_subcarriers(ofdm, delays)
    samples = np.concatenate([head, modulate(grid, ofdm)])
    departure = correction.departure(arrival_index)
    return Burst(turn_back(samples, correction, departure, ofdm.sample_rate_hz), departure)


def modulate_payload(amplitudes: NDArray[np.complexfloating], level: float, ofdm: OfdmConfig) -> Samples:
    """A frame's OFDM symbols without preamble or correction: what its peak is measured on."""
    return modulate(_on_symbols(amplitudes, level, ofdm), ofdm)


def _on_symbols(
    amplitudes: NDArray[np.complexfloating], level: float, ofdm: OfdmConfig
) -> NDArray[np.complex64]:
    num_symbols = num_payload_symbols(len(amplitudes), ofdm)
    grid = np.zeros(num_symbols * ofdm.num_active, dtype=np.complex64)
    grid[: len(amplitudes)] = amplitudes
    grid *= np.float32(level)
    return grid.reshape(num_symbols, ofdm.num_active)


def demodulate_frame(
    samples: Samples, num_elements: int, level: float, ofdm: OfdmConfig
) -> NDArray[np.complex64]:
    """Inverse of `modulate_frame` for the payload. samples: (frame_len,) from the preamble's first sample."""
    payload = demodulate(samples[preamble_len(ofdm) :], ofdm).reshape(-1)[:num_elements]
    payload *= np.float32(1.0 / level)
    return payload
