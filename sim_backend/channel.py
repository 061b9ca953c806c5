"""The channel of each device as a function of seed and absolute time; shared by the symbol and sample backends."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from radio.air_config import AirConfig, Fading
from radio.decibel import from_db
from radio.ofdm import OfdmConfig
from radio.seeds import Use, stream


class BlockChannel:
    """Block-flat gain times a fixed power delay profile. Remembers nothing: any instant can be asked for again.

    block_len: samples of air time over which the gain holds still.
    """

    def __init__(self, fading: Fading, air: AirConfig, seed: int, block_len: int) -> None:
        self._fading, self._air, self._seed = fading, air, seed
        self.block_len = block_len

    def gain(self, device: int, block: int) -> complex:
        """h of a device in a block, E|h|^2 = 1."""
        if self._fading.law == "none":
            return 1.0 + 0.0j
        rng = stream(self._seed, Use.FADING, device, block)
        scattered = complex(*rng.normal(scale=math.sqrt(0.5), size=2))
        if self._fading.law == "rayleigh":
            return scattered
        k = from_db(self._fading.rician_k_db)
        line_of_sight = np.exp(2j * np.pi * rng.random())
        return complex((math.sqrt(k) * line_of_sight + scattered) / math.sqrt(k + 1.0))

    def taps(self, device: int) -> NDArray[np.complex128]:
        """(longest delay + 1,) impulse response before fading, unit energy; a path's phase belongs to the device."""
        delays, powers = self._air.tap_delays_samples, [from_db(p) for p in self._air.block_powers_db]
        response = np.zeros(max(delays) + 1, dtype=np.complex128)
        phases = stream(self._seed, Use.TAPS, device).random(len(delays))
        phases[0] = 0.0  # the block gain carries the common phase
        response[list(delays)] = np.sqrt(powers) * np.exp(2j * np.pi * phases)
        return response / np.linalg.norm(response)

    def shape(self, device: int, ofdm: OfdmConfig) -> NDArray[np.complex128]:
        """(num_active,) response of a device's taps on each active subcarrier, without fading."""
        taps = self.taps(device)
        steering = np.exp(-2j * np.pi * np.outer(ofdm.active_bins, np.arange(len(taps))) / ofdm.fft_len)
        return np.asarray(steering @ taps)

    def mean_shape(self, devices: Iterable[int], ofdm: OfdmConfig) -> float:
        """Mean over devices and subcarriers of |shape|: with several taps, what E|h| of the fading is scaled by."""
        return float(np.mean([np.abs(self.shape(device, ofdm)).mean() for device in devices]))

    def response(self, device: int, block: int, ofdm: OfdmConfig) -> NDArray[np.complex128]:
        """(num_active,) gain of each active subcarrier in a block."""
        return self.gain(device, block) * self.shape(device, ofdm)
