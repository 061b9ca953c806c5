"""The sounding slot: all devices send pilots at once, told apart by orthogonal covers over the slot's symbols.

Device number i of S sends pilot[s, k] * exp(2 pi j i s / S) on subcarrier k of symbol s; summing over s against
another device's cover gives zero, so one slot of S symbols measures S channels with S times the energy that
taking turns would give each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.interface import Samples
from radio.ofdm import OfdmConfig, demodulate, modulate
from radio.preamble import device_identity, preamble, preamble_len
from radio.training import training_symbols

PILOTS = 1_000_000  # identity of the pilots, beyond any preamble's


@dataclass(frozen=True, kw_only=True)
class SoundingSlot:
    """Who sounds, in which order, and when it starts on each radio's clock (sample index)."""

    round: int
    devices: tuple[int, ...]
    start_index: int

    def num_samples(self, ofdm: OfdmConfig) -> int:
        """Samples of the slot: preamble and one pilot symbol a device."""
        return preamble_len(ofdm) + len(self.devices) * ofdm.symbol_len


def covered_pilots(slot: SoundingSlot, device: int, num_active: int) -> NDArray[np.complex64]:
    """(num_devices, num_active) what `device` sends: the common pilots under its own cover."""
    num_symbols = len(slot.devices)
    turn = slot.devices.index(device) / num_symbols
    cover = np.exp(2j * np.pi * turn * np.arange(num_symbols)).astype(np.complex64)
    return training_symbols(PILOTS, num_symbols, num_active) * cover[:, None]


def sounding_burst(slot: SoundingSlot, device: int, ofdm: OfdmConfig) -> Samples:
    """(slot.num_samples,) samples that `device` sends in the slot, unit amplitude per subcarrier."""
    pilots = modulate(covered_pilots(slot, device, ofdm.num_active), ofdm)
    return np.concatenate([preamble(ofdm, device_identity(device)), pilots])


def separate(samples: Samples, slot: SoundingSlot, ofdm: OfdmConfig) -> NDArray[np.complex128]:
    """Least-squares channel of each device from the received slot.

    samples: (slot.num_samples,), from the first sample of the preamble.
    returns: (num_devices, num_active), complex; noise of variance sigma^2 / num_devices on each entry.
    """
    received = demodulate(samples[preamble_len(ofdm) :], ofdm)
    sent = np.stack([covered_pilots(slot, device, ofdm.num_active) for device in slot.devices])
    return np.einsum("sk,isk->ik", received, sent.conj(), dtype=np.complex128) / len(slot.devices)
