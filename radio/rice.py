"""Rice codes of rising positions: short bit strings for sparse supports.

A gap g between neighbours is written as g >> r in unary and the r lowest bits as they are (R. F. Rice, JPL 79-22,
1979). All unary parts come first, so that both directions work on whole arrays.
"""

import math

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]  # one zero or one an entry


def best_parameter(count: int, dimension: int) -> int:
    """r for positions drawn uniformly, whose gaps are geometric: 2^r next below ln 2 times the mean gap."""
    return max(0, math.floor(math.log2(max(1.0, math.log(2.0) * dimension / max(1, count)))))


def encode_positions(positions: NDArray[np.integer], parameter: int) -> Bits:
    """positions: (count,) rising, the first at least 0. returns: bits."""
    gaps = np.diff(positions, prepend=-1) - 1
    ends = np.cumsum((gaps >> parameter) + 1)  # of each unary part: that many zeros, then a one
    unary = np.zeros(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    unary[ends - 1] = 1
    return np.concatenate([unary, to_bits(gaps & ((1 << parameter) - 1), parameter)])


def decode_positions(bits: Bits, count: int, parameter: int) -> tuple[NDArray[np.int64], int]:
    """Inverse of `encode_positions`: (positions, bits used). Raises ValueError if there are too few bits."""
    ends = np.flatnonzero(bits != 0)[:count] + 1  # NumPy finds truth values several times as fast
    used = int(ends[-1]) if len(ends) else 0
    if len(ends) < count or len(bits) < used + count * parameter:
        raise ValueError(f"{len(bits)} bits hold fewer than {count} positions")
    quotients = np.diff(ends, prepend=0) - 1
    remainders = from_bits(bits[used : used + count * parameter], parameter)
    gaps = (quotients << parameter) + (remainders if parameter else 0)
    return np.cumsum(gaps + 1) - 1, used + count * parameter


def to_bits(numbers: NDArray[np.integer], width: int) -> Bits:
    """(count * width,) the lowest bits of each number, the highest of them first."""
    shifts = np.arange(width - 1, -1, -1)
    return ((numbers[:, None] >> shifts) & 1).astype(np.uint8).reshape(-1)


def from_bits(bits: Bits, width: int) -> NDArray[np.int64]:
    """Inverse of `to_bits`."""
    places = np.int64(1) << np.arange(width - 1, -1, -1, dtype=np.int64)
    return np.asarray(bits.reshape(-1, width).astype(np.int64) @ places) if width else np.zeros(0, np.int64)
