"""The sounding slot: all devices send pilots at once, told apart by cyclic shifts of one sequence and a few covers.

Each block of pilot symbols is one joint sounding (`radio/zadoff_chu.py`), in which a device's energy counts in every
symbol. A slot has one block, or several at growing distances: phases that are followed from block to block give each
device's frequency to a fraction of a hertz.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from radio.correction import Correction, delay_on_subcarriers, symbol_delays, turn_back
from radio.interface import Burst, Samples
from radio.ofdm import OfdmConfig, demodulate, modulate
from radio.pilot_layout import pilot_layout
from radio.preamble import device_identity, preamble, preamble_len
from radio.zadoff_chu import JointChannels, JointSounding, separate_joint, sounding_amplitudes


@dataclass(frozen=True, kw_only=True)
class MeetingSlot:
    """A device of whose clock nothing is known sends its preamble as soon as it can, while nobody else sends.

    That instant is 0 of the clock that the server and the device mean from then on. start_index: from where the
    receiver listens. waiting: devices to be met afterwards; sounding: who sounds then.
    """

    round: int
    devices: tuple[int, ...]
    start_index: int
    waiting: tuple[int, ...]
    sounding: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class AcquisitionSlot:
    """Devices send their preambles one after the other, `turn_len` samples apart, each in the middle of its turn.

    start_index: of the first turn, on the receiver's nominal clock. sounding: who sounds afterwards, if heard.
    corrections: what is known of a device already, which it undoes; others send on their own clocks.
    """

    round: int
    devices: tuple[int, ...]
    start_index: int
    turn_len: int
    sounding: tuple[int, ...]
    corrections: Mapping[int, Correction] = field(default_factory=dict)

    def turn_index(self, device: int, ofdm: OfdmConfig) -> int:
        """Index at which a device's preamble is to arrive."""
        middle = (self.turn_len - preamble_len(ofdm)) // 2
        return self.start_index + self.devices.index(device) * self.turn_len + middle

    def correction(self, device: int) -> Correction:
        """What a device undoes."""
        return self.corrections.get(device, Correction())


@dataclass(frozen=True, kw_only=True)
class SoundingSlot:
    """Who sounds, in which order, and when the slot is to arrive (sample index of the receiver's nominal clock).

    num_symbols: pilot symbols of a block. block_gaps: symbols of silence before each block. corrections: what each
    device undoes, nothing by default.
    """

    round: int
    devices: tuple[int, ...]
    start_index: int
    num_symbols: int = 8
    block_gaps: tuple[int, ...] = (0,)
    corrections: Mapping[int, Correction] = field(default_factory=dict)

    def block_index(self, block: int, ofdm: OfdmConfig) -> int:
        """First sample of a block."""
        symbols = block * self.num_symbols + sum(self.block_gaps[: block + 1])
        return self.start_index + preamble_len(ofdm) + symbols * ofdm.symbol_len

    def end_index(self, ofdm: OfdmConfig) -> int:
        """First sample after the last block."""
        return self.block_index(len(self.block_gaps) - 1, ofdm) + self.block_len(ofdm)

    def num_samples(self, ofdm: OfdmConfig) -> int:
        """Samples of the slot: preamble and blocks."""
        return self.end_index(ofdm) - self.start_index

    def block_len(self, ofdm: OfdmConfig) -> int:
        """Samples of a block."""
        return self.num_symbols * ofdm.symbol_len

    def layout(self, ofdm: OfdmConfig) -> JointSounding:
        """How the devices share a block. Raises ValueError for more than it carries."""
        return pilot_layout(len(self.devices), self.num_symbols, ofdm, free_clocks=len(self.block_gaps) > 1)

    def correction(self, device: int) -> Correction:
        """What a device undoes."""
        return self.corrections.get(device, Correction())


def meeting_burst(slot: MeetingSlot, ofdm: OfdmConfig) -> Burst:
    """The preamble at index 0, unit amplitude per subcarrier."""
    return Burst(preamble(ofdm, device_identity(slot.devices[0])), 0)


def acquisition_burst(slot: AcquisitionSlot, device: int, ofdm: OfdmConfig) -> Burst:
    """The preamble of a device in its turn, unit amplitude per subcarrier; it leaves at a whole index."""
    correction = slot.correction(device)
    departure = correction.departure(slot.turn_index(device, ofdm))
    samples = preamble(ofdm, device_identity(device))
    return Burst(turn_back(samples, correction, departure, ofdm.sample_rate_hz), departure)


def sounding_bursts(slot: SoundingSlot, device: int, ofdm: OfdmConfig) -> tuple[Burst, ...]:
    """What `device` sends in the slot, corrected, unit amplitude per subcarrier: preamble and first block, then the
    others. Blocks without silence between them are one burst: a clock that drifts would make two of them overlap."""
    correction = slot.correction(device)
    pilots = sounding_amplitudes(slot.layout(ofdm), slot.devices.index(device))
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


def separate(block: Samples, slot: SoundingSlot, ofdm: OfdmConfig) -> JointChannels:
    """Channels of the slot's devices, in their order, from one received block.

    block: (block_len,), from the first sample of its first prefix, unit amplitude per subcarrier.
    """
    return separate_joint(demodulate(block, ofdm), slot.layout(ofdm))
