"""What is sent to be measured: a burst of one device alone, and pilots of all devices together, again and again."""

import math

import numpy as np
from numpy.typing import NDArray

from radio.interface import Samples
from radio.ofdm import OfdmConfig, modulate
from radio.preamble import device_identity, preamble, preamble_len
from radio.sounding import SoundingSlot
from radio.training import training_symbols

PROBE = 2_000_001  # identity of the training symbols, after those of frames
SOUNDING_TURNS = 2_000_002
PROBE_SYMBOLS = 96
SHORT_SYMBOLS = 12  # of a probe that only its arrival or power is asked of
GUARD_SYMBOLS = 2  # of silence around a burst of one device
BLOCK_SYMBOLS = 8
STEPS_S = (1.5e-3, 6e-3)  # from the end of a block to the next, in turn: pairs of blocks at many distances


def probe(device: int, num_symbols: int, ofdm: OfdmConfig) -> Samples:
    """(probe_len,) a device's preamble and training symbols, unit amplitude per subcarrier."""
    symbols = training_symbols(PROBE, num_symbols, ofdm.num_active)
    return np.concatenate([preamble(ofdm, device_identity(device)), modulate(symbols, ofdm)])


def probe_symbols(num_symbols: int, ofdm: OfdmConfig) -> NDArray[np.complex64]:
    """(num_symbols, num_active) the amplitudes after a probe's preamble."""
    return training_symbols(PROBE, num_symbols, ofdm.num_active)


def probe_len(num_symbols: int, ofdm: OfdmConfig) -> int:
    """Samples."""
    return preamble_len(ofdm) + num_symbols * ofdm.symbol_len


def block_turns(num_blocks: int, num_devices: int) -> NDArray[np.complex64]:
    """(num_blocks, num_devices) unit numbers that a device's whole block is multiplied by.

    Whatever is no multiple of what a device sends (images, the other devices' remains) then differs from block to
    block as noise does, and is not taken for a channel that changes.
    """
    return training_symbols(SOUNDING_TURNS, num_blocks, num_devices)


def periodic_slot(
    devices: tuple[int, ...], start_index: int, span_s: float, ofdm: OfdmConfig
) -> SoundingSlot:
    """Joint soundings over `span_s`, at distances that take turns, so that many lags are seen."""
    symbol_s = ofdm.symbol_len / ofdm.sample_rate_hz
    gaps = [max(1, round(step_s / symbol_s)) for step_s in STEPS_S]
    pair_s = (sum(gaps) + len(gaps) * BLOCK_SYMBOLS) * symbol_s
    pairs = max(2, math.floor(span_s / pair_s))
    return SoundingSlot(
        round=0,
        devices=devices,
        start_index=start_index,
        num_symbols=BLOCK_SYMBOLS,
        block_gaps=(0, *(gaps * pairs)),
    )
