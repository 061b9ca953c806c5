"""Where element j of a payload lies: on which symbol, on which subcarrier. The one place that knows.

Without interleaving, elements fill the data subcarriers of one symbol after the other in order of frequency. With
it, they fill them in a fixed pseudo-random order, which each symbol begins at another place: neighbouring elements,
and the same place of consecutive symbols, see different fades. Elements that the last symbol has no use for are zero.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from radio.ofdm import OfdmConfig
from radio.seeds import Use, stream
from radio.training import TRAINING_SEED

INTERLEAVER = 2_000_000  # of the pseudo-random order, beyond the identities of training symbols
GOLDEN = (
    math.sqrt(5.0) - 1.0
) / 2.0  # turns by this share of the band stay apart from each other the longest


def num_payload_symbols(num_elements: int, ofdm: OfdmConfig) -> int:
    """OFDM symbols that carry `num_elements` resource elements."""
    return math.ceil(num_elements / ofdm.num_data)


@lru_cache(maxsize=16)
def element_subcarriers(num_elements: int, ofdm: OfdmConfig) -> NDArray[np.intp]:
    """(num_elements,) place among the active subcarriers, in order of frequency, of each element."""
    data = ofdm.data_subcarriers
    index = np.arange(num_elements)
    if not ofdm.interleave:
        return _frozen(data[index % ofdm.num_data])
    order = stream(TRAINING_SEED, Use.TRAINING_WAVEFORM, INTERLEAVER).permutation(ofdm.num_data)
    turned = index + index // ofdm.num_data * _turn(ofdm.num_data)
    return _frozen(data[order[turned % ofdm.num_data]])


@lru_cache(maxsize=16)
def element_places(num_elements: int, ofdm: OfdmConfig) -> NDArray[np.intp]:
    """(num_elements,) place of each element in a grid (num_symbols, num_active), counted along its rows."""
    symbols = np.arange(num_elements) // ofdm.num_data
    return _frozen(symbols * ofdm.num_active + element_subcarriers(num_elements, ofdm))


def _turn(num_data: int) -> int:
    """By how many places a symbol begins after the one before: no common divisor, so that all turns differ."""
    turn = max(1, round(GOLDEN * num_data))
    while math.gcd(turn, num_data) > 1:
        turn += 1
    return turn


def _frozen(places: NDArray[np.intp]) -> NDArray[np.intp]:
    places.setflags(write=False)
    return places
