"""The payload frame: preamble, header pilots, the analog payload, tail pilots.

The preamble is the same from all devices; header and tail tell them apart (`radio/pilots.py`); element j of the
payload lies where `radio/resource_map.py` says. `level`: sample-domain amplitude of a resource element of power 1.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.correction import delay_on_subcarriers, symbol_delays, turn_back
from radio.decibel import from_db
from radio.interface import Burst, Samples, peak_amplitude
from radio.ofdm import OfdmConfig, demodulate, modulate
from radio.pilots import HEADER, TAIL, Place, comb_pilots, own_pilots
from radio.preamble import COMMON, REPETITIONS, preamble, preamble_len
from radio.precoding import precode, undo_precoding
from radio.resource_map import element_places, num_payload_symbols

PILOT_SYMBOLS = 2  # header and tail


class FrameSymbols(NamedTuple):
    """A received frame on its subcarriers, `level` undone. header, tail: (num_active,); payload: (num_symbols,
    num_active), complex64, data and comb pilots."""

    header: NDArray[np.complex64]
    payload: NDArray[np.complex64]
    tail: NDArray[np.complex64]


def payload_offset(ofdm: OfdmConfig) -> int:
    """Samples from the start of a frame to the first payload symbol's prefix."""
    return preamble_len(ofdm) + ofdm.symbol_len


def frame_len(num_elements: int, ofdm: OfdmConfig) -> int:
    """Samples of a payload frame."""
    num_symbols = num_payload_symbols(num_elements, ofdm) + PILOT_SYMBOLS
    return preamble_len(ofdm) + num_symbols * ofdm.symbol_len


def frame_overhead(num_elements: int, ofdm: OfdmConfig) -> int:
    """Resource elements of a frame that carry no payload: preamble, header, tail and comb."""
    comb = num_payload_symbols(num_elements, ofdm) * ofdm.num_pilots
    return (REPETITIONS + PILOT_SYMBOLS) * ofdm.num_active + comb


def element_level(backoff_db: float, ofdm: OfdmConfig) -> float:
    """Amplitude of a resource element of power 1 when the payload's rms lies `backoff_db` below full scale."""
    return math.sqrt(from_db(-backoff_db) * ofdm.fft_len / ofdm.num_active)


def modulate_frame(
    amplitudes: NDArray[np.complexfloating],
    channel: ChannelState,
    arrival_index: int,
    level: float,
    ofdm: OfdmConfig,
    place: Place,
) -> Burst:
    """Amplitudes of resource elements to the burst that brings them to the receiver at `arrival_index`.

    amplitudes: (num_elements,), already compensated for the channel's gains, power 1 is the nominal.
    channel: its phases align this device's preamble and pilots with the others', its correction the whole frame.
    place: which of the header's and tail's subcarriers are this device's. Raises ValueError if there are too few.
    """
    correction = channel.correction
    compensation = channel.subcarrier_compensation(ofdm)
    head_delay = delay_on_subcarriers(ofdm, symbol_delays(correction, arrival_index, 0, 1, ofdm))[0]
    head = preamble(ofdm, COMMON, compensation * head_delay)
    payload = _with_comb(_on_symbols(amplitudes, ofdm), compensation, ofdm)
    header, tail = (own_pilots(identity, place, ofdm) * compensation for identity in (HEADER, TAIL))
    grid = np.concatenate([header[None], payload, tail[None]]).astype(np.complex64)
    delays = symbol_delays(correction, arrival_index, len(head), len(grid), ofdm)
    if delays.any():
        grid *= delay_on_subcarriers(ofdm, delays)
    samples = np.concatenate([head, modulate(grid, ofdm)])
    samples *= np.float32(level)
    departure = correction.departure(arrival_index)
    return Burst(turn_back(samples, correction, departure, ofdm.sample_rate_hz), departure)


def demodulate_frame(samples: Samples, level: float, ofdm: OfdmConfig) -> FrameSymbols:
    """A received frame to its subcarriers. samples: (frame_len,) from the preamble's first sample."""
    symbols = demodulate(samples[preamble_len(ofdm) :], ofdm)
    symbols *= np.float32(1.0 / level)
    return FrameSymbols(symbols[0], symbols[1:-1], symbols[-1])


def payload_elements(
    payload: NDArray[np.complex64], num_elements: int, ofdm: OfdmConfig
) -> NDArray[np.complex64]:
    """(num_elements,) the amplitudes on a payload (num_symbols, num_active): inverse of how a frame lays them."""
    places = element_places(num_elements, ofdm)
    elements = payload.reshape(-1).take(places, mode="clip")  # all lie inside; not looking twice is faster
    return undo_precoding(elements) if ofdm.precoding else elements


def payload_peak(
    amplitudes: NDArray[np.complexfloating], channel: ChannelState, level: float, ofdm: OfdmConfig
) -> float:
    """Highest |I| or |Q| of a payload, where full scale is what comb pilots, which no scale changes, leave of 1.

    Turned down by this much and more, data and pilots together stay below full scale. Raises ValueError if the
    pilots leave nothing.
    """
    grid = _on_symbols(amplitudes, ofdm)
    peak = level * peak_amplitude(modulate(grid, ofdm))
    if ofdm.num_pilots == 0:
        return peak
    comb = _with_comb(np.zeros_like(grid), channel.subcarrier_compensation(ofdm), ofdm)
    taken = level * peak_amplitude(modulate(comb, ofdm))
    if taken >= 1.0:
        raise ValueError(
            f"the comb pilots alone peak at {taken:.2f} of full scale; raise link.backoff_db or lower radio.pilots"
        )
    return peak / (1.0 - taken)


def _on_symbols(amplitudes: NDArray[np.complexfloating], ofdm: OfdmConfig) -> NDArray[np.complex64]:
    """(num_symbols, num_active) the payload without its comb."""
    grid = np.zeros((num_payload_symbols(len(amplitudes), ofdm), ofdm.num_active), dtype=np.complex64)
    laid = precode(amplitudes) if ofdm.precoding else amplitudes
    grid.reshape(-1)[element_places(len(amplitudes), ofdm)] = laid
    return grid


def _with_comb(
    grid: NDArray[np.complex64], compensation: NDArray[np.complex128], ofdm: OfdmConfig
) -> NDArray[np.complex64]:
    """A payload with the pilots of one device, turned back by its channel's phases."""
    if ofdm.num_pilots == 0:
        return grid
    teeth = ofdm.pilot_subcarriers
    combed = grid.copy()
    combed[:, teeth] = comb_pilots(len(grid), ofdm) * compensation[teeth]
    return combed
