"""A shared code on the air: every device turns element j by the same pseudo-random quarter turn, the receiver back.

The sum over devices is not distorted, because all terms are turned alike. Amplitudes that are alike no longer add up
to a peak of sqrt(num_active) times their rms: their samples are as those of Gaussian amplitudes. Quarter turns swap
and negate real and imaginary part, so coding and decoding are exact in floating point.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from radio.seeds import Use, stream
from radio.training import TRAINING_SEED

CODE = 2_000_001  # of the code's stream, beside the interleaver's


@lru_cache(maxsize=4)
def code(num_elements: int) -> NDArray[np.complex64]:
    """(num_elements,) of 1, j, -1, -j; a shorter code is the beginning of a longer one."""
    quarter_turns = stream(TRAINING_SEED, Use.TRAINING_WAVEFORM, CODE).integers(4, size=num_elements)
    values = np.array([1, 1j, -1, -1j], dtype=np.complex64)[quarter_turns]
    values.setflags(write=False)
    return values


def precode(elements: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    """elements: (num_elements,). returns: the same, turned by the code."""
    return elements * code(len(elements))


def undo_precoding(elements: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    """Inverse of `precode`."""
    return elements * code(len(elements)).conj()
