"""Supports that a round's devices share: the entries of the update that travel, the same ones from everybody.

What is sent then adds up entry by entry, and no sparse recovery is needed.
"""

import math

import numpy as np
from numpy.typing import NDArray

from radio.seeds import Use, stream

Support = NDArray[np.int32]


def num_kept(dimension: int, keep: float) -> int:
    """k, entries of d that travel at a ratio k/d."""
    return max(1, round(keep * dimension))


def random_support(dimension: int, num_entries: int, seed: int, round_index: int) -> Support:
    """(num_entries,) rising, uniform without replacement, another draw in every round; anyone who knows the seed has
    it without being told."""
    drawn = stream(seed, Use.SUPPORT, round_index).choice(
        dimension, num_entries, replace=False, shuffle=False
    )
    return np.sort(drawn).astype(np.int32)


def support_bits(dimension: int, num_entries: int) -> int:
    """log2 of the number of supports, rounded up: what it takes to tell one that nobody can foresee."""
    ways = (
        math.lgamma(dimension + 1) - math.lgamma(num_entries + 1) - math.lgamma(dimension - num_entries + 1)
    )
    return math.ceil(ways / math.log(2.0) - 1e-9)
