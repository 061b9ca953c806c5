"""Known amplitudes that a receiver measures with: unit magnitude, pseudo-random phase, the same everywhere."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from radio.seeds import Use, stream

# Part of the waveform's definition, not of an experiment: every radio of a testbed must agree on it.
TRAINING_SEED = 20


@lru_cache(maxsize=256)
def training_symbols(identity: int, num_symbols: int, num_active: int) -> NDArray[np.complex64]:
    """(num_symbols, num_active) QPSK amplitudes of magnitude 1; identities are nearly orthogonal to each other."""
    rng = stream(TRAINING_SEED, Use.TRAINING_WAVEFORM, identity)
    quarter_turns = rng.integers(4, size=(num_symbols, num_active))
    symbols = np.exp(0.5j * np.pi * (quarter_turns + 0.5)).astype(np.complex64)
    symbols.setflags(write=False)
    return symbols
