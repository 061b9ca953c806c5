"""Sparsification."""

import numpy as np
from numpy.typing import NDArray


def top_k(vector: NDArray[np.floating], num_kept: int) -> NDArray[np.floating]:
    """Keep the `num_kept` entries of largest magnitude, zero elsewhere; of equal ones, the earlier.

    vector: (dimension,). E|top_k(x) - x|^2 <= (1 - k/d)|x|^2: Stich, Cordonnier, Jaggi, NeurIPS 2018.
    """
    magnitude = np.abs(vector)
    threshold = np.partition(magnitude, len(vector) - num_kept)[len(vector) - num_kept]
    above = magnitude > threshold
    ties = np.flatnonzero(magnitude == threshold)[: num_kept - np.count_nonzero(above)]
    kept = np.where(above, vector, vector.dtype.type(0))
    kept[ties] = vector[ties]
    return kept
