"""What is sent to be measured: a burst of one device alone, and pilots of all devices together, again and again."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radio.interface import Samples
from radio.ofdm import OfdmConfig, modulate
from radio.preamble import device_identity, preamble, preamble_len
from radio.sounding import SoundingSlot
from radio.training import training_symbols

PROBE = 2_000_001  # identity of the training symbols, after those of frames
SCRAMBLE = 2_000_002
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


class Scramble(NamedTuple):
    """Unit numbers that soundings are multiplied by: blocks (num_blocks, num_devices), each device's own; symbols
    (num_blocks, num_symbols), the same for all devices.

    Whatever is no multiple of what a device sends (images, offsets, the other devices' remains) then differs from
    symbol to symbol and from block to block as noise does, and is not taken for a channel, or for one that changes.
    """

    blocks: NDArray[np.complex64]
    symbols: NDArray[np.complex64]

    def samples(self, block: int, ofdm: OfdmConfig) -> NDArray[np.complex64]:
        """(block_len,) of the symbols of a block."""
        return np.repeat(self.symbols[block], ofdm.symbol_len)


def scramble_of(slot: SoundingSlot) -> Scramble:
    """Of a slot, the same everywhere."""
    num_blocks, num_devices = len(slot.block_gaps), len(slot.devices)
    drawn = training_symbols(SCRAMBLE, num_blocks, num_devices + slot.num_symbols)
    return Scramble(drawn[:, :num_devices], drawn[:, num_devices:])


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
