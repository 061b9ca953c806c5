"""Linear compression by a partial discrete Fourier transform, and its adjoint.

A has as rows those of a unitary DFT at bins drawn from a seed. Conjugate bins of a real vector repeat each
other, so bins come from the open lower half: M complex values are then 2 M real orthonormal measurements.
Vectors are padded with zeros to a transform length that the FFT is fast at.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from radio.seeds import Use, stream


@dataclass(frozen=True, eq=False)
class Sketch:
    """`bins`: (num_rows,) DFT bins in transmission order, in random order so that neighbours are unrelated."""

    dimension: int
    transform_len: int
    bins: NDArray[np.int64]

    @property
    def num_rows(self) -> int:
        """Complex measurements M."""
        return len(self.bins)

    def forward(self, vector: NDArray[np.floating]) -> NDArray[np.complex128]:
        """A x. vector: (dimension,) real; returns (num_rows,) complex."""
        spectrum = scipy.fft.rfft(np.asarray(vector, dtype=np.float64), self.transform_len, norm="ortho")
        return np.asarray(spectrum[self.bins])

    def adjoint(self, measurements: NDArray[np.complexfloating]) -> NDArray[np.float64]:
        """Re A^H y, the adjoint over the reals: Re<A x, y> = <x, adjoint(y)>.

        measurements: (num_rows,) complex; returns (dimension,) real.
        """
        spectrum = np.zeros(self.transform_len // 2 + 1, dtype=np.complex128)
        spectrum[self.bins] = 0.5 * measurements  # irfft adds the conjugate bin, which is the other half
        return np.asarray(scipy.fft.irfft(spectrum, self.transform_len, norm="ortho")[: self.dimension])


def max_rows(dimension: int) -> int:
    """Most rows that a sketch of `dimension` real values can have."""
    return (scipy.fft.next_fast_len(dimension, real=True) - 1) // 2


@lru_cache(maxsize=8)
def draw_sketch(dimension: int, num_rows: int, seed: int, round_index: int) -> Sketch:
    """The sketch that all devices of a round share. ValueError if it would have more rows than free bins."""
    transform_len = scipy.fft.next_fast_len(dimension, real=True)
    limit = max_rows(dimension)
    if not 1 <= num_rows <= limit:
        raise ValueError(
            f"a sketch of {dimension} values has 1 to {limit} rows, got {num_rows}; lower update.measurements"
        )
    bins = 1 + stream(seed, Use.SKETCH, round_index).permutation(limit)[:num_rows]
    bins.setflags(write=False)
    return Sketch(dimension, transform_len, bins)
