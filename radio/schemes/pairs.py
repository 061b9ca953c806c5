"""Values two to a complex element, in an order that the round's seed draws.

The order spreads large entries over the payload, and meets each of them with another fade in the next round, also where
channels stand still.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.seeds import Use, stream
from radio.uplink import Plan


def to_elements(values: NDArray[np.floating], plan: Plan) -> NDArray[np.complex128]:
    """values: (dimension,). returns: (num_elements,), 0 where there is no value."""
    padded = np.zeros(2 * plan.num_elements)
    padded[: plan.dimension] = values
    return padded.view(np.complex128)[_order(plan.num_elements, plan.seed, plan.round)]


def from_elements(elements: NDArray[np.complexfloating], plan: Plan) -> NDArray[np.float64]:
    """Inverse of `to_elements`; (dimension,)."""
    pairs = np.empty(plan.num_elements, dtype=np.complex128)
    pairs[_order(plan.num_elements, plan.seed, plan.round)] = elements
    return pairs.view(np.float64)[: plan.dimension]


def per_value(factors: NDArray[Any], plan: Plan) -> NDArray[Any]:
    """(num_elements,) a factor of each element to (dimension,) that of each value on it."""
    pairs = np.empty_like(factors)
    pairs[_order(plan.num_elements, plan.seed, plan.round)] = factors
    return np.repeat(pairs, 2)[: plan.dimension]


@lru_cache(maxsize=4)
def _order(num_elements: int, seed: int, round_index: int) -> NDArray[np.intp]:
    """(num_elements,) which pair of values each element carries.

    Pairs in rows of a square, rows and columns permuted, read column by column: wherever a pair lies, it lies next time
    on any element with equal chance, neighbours come a column apart, and drawing it costs a fifth of a permutation.
    """
    num_columns = math.isqrt(num_elements - 1) + 1
    num_rows = -(-num_elements // num_columns)
    rng = stream(seed, Use.ELEMENT_ORDER, round_index)
    rows, columns = rng.permutation(num_rows), rng.permutation(num_columns)
    order = (num_columns * rows + columns[:, None]).reshape(-1)
    order = order[order < num_elements]
    order.setflags(write=False)
    return order
