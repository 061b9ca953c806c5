"""What a payload would cost that is not transmitted: bits over a code at a fixed gap from capacity."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from devices.messages import Sent
from radio.decibel import from_db
from radio.ofdm import OfdmConfig
from radio.uplink import Plan, Reception, Sounding


def accounted_reception(
    plan: Plan,
    sounding: Sounding,
    sent: Mapping[int, Sent],
    budgets: Mapping[int, float],
    gap_db: float,
    ofdm: OfdmConfig,
) -> Reception:
    """The bits of every device, error-free, and the elements that each is charged for them, one device after the other.

    Raises ValueError where the channel has no noise: bits would cost nothing there.
    """
    if sounding.noise_variance <= 0.0:
        raise ValueError("bits over a channel without noise cost nothing; set link.backend to one with noise")
    bits: dict[int, NDArray[np.uint8]] = {}
    charges: dict[int, float] = {}
    for device in plan.devices:
        packed = sent[device].bits
        assert packed is not None
        bits[device] = np.unpackbits(packed)[: sent[device].num_bits]
        snr = budgets[device] * np.abs(sounding.channels[device].gains) ** 2 / sounding.noise_variance
        bits_per_use = float(np.mean(np.log2(1.0 + snr / from_db(gap_db))))
        charges[device] = len(bits[device]) / bits_per_use
    symbols = sum(charges.values()) / ofdm.num_active
    return Reception(
        np.zeros(0, np.complex64),
        sounding.noise_variance,
        airtime_s=symbols * ofdm.symbol_len / ofdm.sample_rate_hz,
        bits=bits,
        charges=charges,
    )
