"""The sounding slot: all devices send pilots at once, told apart by orthogonal covers over a block of symbols.

Device number i of S sends pilot[s, k] * exp(2 pi j i s / S) on subcarrier k of symbol s; summing over s against
another device's cover gives zero, so one block of S symbols measures S channels with S times the energy that
taking turns would give each. A slot has one block, or several at growing distances: phases that are followed from
block to block give each device's frequency to a fraction of a hertz.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from radio.correction import Correction, delay_on_subcarriers, symbol_delays, turn_back
from radio.interface import Burst, Samples
from radio.ofdm import OfdmConfig, demodulate, modulate
from radio.preamble import device_identity, preamble, preamble_len
from radio.training import training_symbols

PILOTS = 1_000_000  # identity of the pilots, beyond any preamble's


@dataclass(frozen=True, kw_only=True)
class AcquisitionSlot:
    """Devices send their preambles one after the other, uncorrected, `turn_len` samples apart.

    start_index: of the first turn, on each radio's own clock; a device sends in the middle of its turn.
    """

    round: int
    devices: tuple[int, ...]
    start_index: int
    turn_len: int

    def turn_index(self, device: int, ofdm: OfdmConfig) -> int:
        """Index at which a device's preamble starts."""
        middle = (self.turn_len - preamble_len(ofdm)) // 2
        return self.start_index + self.devices.index(device) * self.turn_len + middle


@dataclass(frozen=True, kw_only=True)
class SoundingSlot:
    """Who sounds, in which order, and when the slot is to arrive (sample index of the receiver's nominal clock).

    block_gaps: symbols of silence before each block; corrections: what each device undoes, nothing by default.
    """

    round: int
    devices: tuple[int, ...]
    start_index: int
    block_gaps: tuple[int, ...] = (0,)
    corrections: Mapping[int, Correction] = field(default_factory=dict)

    def block_index(self, block: int, ofdm: OfdmConfig) -> int:
        """First sample of a block."""
        symbols = block * len(self.devices) + sum(self.block_gaps[: block + 1])
        return self.start_index + preamble_len(ofdm) + symbols * ofdm.symbol_len

    def num_samples(self, ofdm: OfdmConfig) -> int:
        """Samples of the slot: preamble, and blocks of one pilot symbol a device."""
        end = self.block_index(len(self.block_gaps) - 1, ofdm) + len(self.devices) * ofdm.symbol_len
        return end - self.start_index

    def correction(self, device: int) -> Correction:
        """What a device undoes."""
        return self.corrections.get(device, Correction())


def acquisition_burst(slot: AcquisitionSlot, device: int, ofdm: OfdmConfig) -> Burst:
    """The preamble of a device in its turn, unit amplitude per subcarrier."""
    return Burst(preamble(ofdm, device_identity(device)), slot.turn_index(device, ofdm))


def covered_pilots(slot: SoundingSlot, device: int, num_active: int) -> NDArray[np.complex64]:
    """(num_devices, num_active) what `device` sends in a block: the common pilots under its own cover."""
    num_symbols = len(slot.devices)
    turn = slot.devices.index(device) / num_symbols
    cover = np.exp(2j * np.pi * turn * np.arange(num_symbols)).astype(np.complex64)
    return training_symbols(PILOTS, num_symbols, num_active) * cover[:, None]


def sounding_bursts(slot: SoundingSlot, device: int, ofdm: OfdmConfig) -> tuple[Burst, ...]:
    """What `device` sends in the slot, corrected, unit amplitude per subcarrier: preamble and first block, then the
    others. Blocks without silence between them are one burst: a clock that drifts would make two of them overlap."""
    correction = slot.correction(device)
    pilots = covered_pilots(slot, device, ofdm.num_active)
    head = preamble(ofdm, device_identity(device))
    runs = [block for block, gap in enumerate(slot.block_gaps) if block == 0 or gap > 0]
    bursts = []
    for first, following in zip(runs, [*runs[1:], len(slot.block_gaps)], strict=True):
        before = head if first == 0 else head[:0]
        symbols = np.tile(pilots, (following - first, 1))
        arrival = slot.block_index(first, ofdm) - len(before)
        delays = symbol_delays(correction, arrival, len(before), len(symbols), ofdm)
        samples = np.concatenate([before, modulate(symbols * delay_on_subcarriers(ofdm, delays), ofdm)])
        departure = correction.departure(arrival)
        bursts.append(Burst(turn_back(samples, correction, departure, ofdm.sample_rate_hz), departure))
    return tuple(bursts)


def separate(block: Samples, slot: SoundingSlot, ofdm: OfdmConfig) -> NDArray[np.complex128]:
    """Least-squares channel of each device from one received block.

    block: (num_devices * symbol_len,), from the first sample of its first prefix.
    returns: (num_devices, num_active), complex; noise of variance sigma^2 / num_devices on each entry.
    """
    received = demodulate(block, ofdm)
    sent = np.stack([covered_pilots(slot, device, ofdm.num_active) for device in slot.devices])
    return np.einsum("sk,isk->ik", received, sent.conj(), dtype=np.complex128) / len(slot.devices)
