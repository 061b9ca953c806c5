"""Pilots of a payload frame: one symbol before and one after the payload, and a comb within it.

Header and tail: device number r of n has the subcarriers k = r mod n for itself, at sqrt(n) times the amplitude of a
payload element, so that with the same power as in the payload every device's phase is seen apart from the others'.
Comb: all devices send the same pilots, aligned by their compensation, and they add up coherently.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radio.ofdm import OfdmConfig
from radio.training import training_symbols

HEADER, TAIL, COMB = 1_000_001, 1_000_002, 1_000_003  # identities, after that of the sounding's pilots


class Place(NamedTuple):
    """A device's share of header and tail: it is number `number` of `num_devices` in the order of the plan."""

    number: int
    num_devices: int


def check_num_devices(num_devices: int, ofdm: OfdmConfig) -> None:
    """ValueError unless each of `num_devices` gets two subcarriers of header and tail."""
    most = ofdm.num_active // 2
    if num_devices > most:
        raise ValueError(
            f"{num_devices} devices in one frame exceed {most}, half of the {ofdm.num_active} active subcarriers, "
            "which their pilots share; lower fleet.active or raise radio.active"
        )


def own_pilots(identity: int, place: Place, ofdm: OfdmConfig) -> NDArray[np.complex64]:
    """(num_active,) what a device sends in the symbol HEADER or TAIL, mean power 1. ValueError for too many devices."""
    check_num_devices(place.num_devices, ofdm)
    pilots = np.zeros(ofdm.num_active, dtype=np.complex64)
    own = slice(place.number, None, place.num_devices)
    pilots[own] = math.sqrt(place.num_devices) * training_symbols(identity, 1, ofdm.num_active)[0, own]
    return pilots


def comb_pilots(num_symbols: int, ofdm: OfdmConfig) -> NDArray[np.complex64]:
    """(num_symbols, num_pilots) amplitudes of magnitude 1, the same from every device."""
    return training_symbols(COMB, num_symbols, ofdm.num_pilots)
