"""What a transmitter undoes of its own clock and path, so that all devices arrive aligned in time and frequency.

A device's sample n arrives at the receiver's index n + lateness(n), lateness(n) = delay + drift * (n - reference),
and its carrier turns by cfo_hz. One crystal drives both: drift is -cfo / carrier. The sub-sample part of the delay
and the drift are undone on subcarriers, symbol by symbol; within a symbol the drift is a few thousandths of a sample.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.interface import Samples
from radio.ofdm import OfdmConfig


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Measured offsets of one device, at `reference_index` of its own clock.

    delay_samples: how much later than its index a sample is received. cfo_hz: carrier as received, minus the
    receiver's. drift: change of the delay per sample, -1e-6 for a clock that is 1 ppm fast. phase_rad: what the
    transmitter's rotation has turned back at the reference, so that a later correction can go on without a jump.
    """

    delay_samples: float = 0.0
    cfo_hz: float = 0.0
    drift: float = 0.0
    reference_index: int = 0
    phase_rad: float = 0.0

    def exact_departure(self, arrival_index: float) -> float:
        """Instant on the device's clock at which a sample must leave to be received at `arrival_index`."""
        return (arrival_index - self.delay_samples + self.drift * self.reference_index) / (1.0 + self.drift)

    def departure(self, arrival_index: int) -> int:
        """The whole index at which a burst leaves; what is left of the instant is delayed on subcarriers."""
        return math.floor(self.exact_departure(arrival_index))

    def rotation_rad(self, index: int, sample_rate_hz: float) -> float:
        """Phase that the transmitter turns sample `index` back by."""
        return self.phase_rad + 2.0 * math.pi * self.cfo_hz * (index - self.reference_index) / sample_rate_hz


def delay_on_subcarriers(ofdm: OfdmConfig, delays_samples: NDArray[np.float64]) -> NDArray[np.complex64]:
    """(num_symbols, num_active) factors that delay each symbol by its own fraction of a sample."""
    bins = np.where(ofdm.active_bins < ofdm.fft_len // 2, ofdm.active_bins, ofdm.active_bins - ofdm.fft_len)
    return np.exp(-2j * np.pi * np.outer(delays_samples, bins) / ofdm.fft_len).astype(np.complex64)


def symbol_delays(
    correction: Correction, arrival_index: int, offset: int, num_symbols: int, ofdm: OfdmConfig
) -> NDArray[np.float64]:
    """(num_symbols,) what is left to delay each symbol of a burst by, once the burst leaves at a whole index.

    arrival_index: of the burst; offset: samples into the burst at which the symbols begin.
    """
    middles = offset + ofdm.symbol_len * (np.arange(num_symbols) + 0.5)
    instants = np.array([correction.exact_departure(arrival_index + middle) for middle in middles])
    return instants - (correction.departure(arrival_index) + middles)


def turn_back(
    samples: Samples, correction: Correction, departure_index: int, sample_rate_hz: float
) -> Samples:
    """Rotate a burst that leaves at `departure_index` against the carrier offset. samples: (num_samples,)."""
    if correction.cfo_hz == 0.0 and correction.phase_rad == 0.0:
        return samples
    start = correction.rotation_rad(departure_index, sample_rate_hz)
    step = 2.0 * math.pi * correction.cfo_hz / sample_rate_hz
    return (samples * np.exp(-1j * (start + step * np.arange(len(samples))))).astype(np.complex64)
