"""Signed values as energies on pairs of resource elements: the first of a pair for values above 0, the second below.

Which value lies on which pair, the round's seed draws anew: whatever a pair's neighbours and fades are, a value meets
others in the next round, and several pairs of one value lie far apart. Each device turns each element by a random
phase u, so that energies of devices add in the mean: E u = E u^2 = 0, and what two devices add, 2 Re(z u), has mean 0
and variance 2 |z|^2. One of 256 phases has these moments, and all others up to the 255th, as any phase would have them.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from radio.seeds import Use, stream
from radio.uplink import Plan

PHASES = np.exp(2j * np.pi * np.arange(256) / 256).astype(np.complex64)


def lay_on_pairs(values: NDArray[np.floating], device: int, plan: Plan) -> NDArray[np.complex64]:
    """values: (num_pairs,) signed amplitudes. returns: (2 num_pairs,) |value| on one element of its pair, at a random
    phase; the other is empty."""
    num_pairs = len(values)
    rng = stream(plan.seed, Use.ELEMENT_PHASE, plan.round, device)
    phases = PHASES[rng.integers(len(PHASES), size=num_pairs, dtype=np.uint8)]
    elements = np.zeros(2 * num_pairs, dtype=np.complex64)
    places = 2 * _order(num_pairs, plan.seed, plan.round) + np.signbit(values)
    elements[places] = np.abs(values).astype(np.float32) * phases
    return elements


def energy_differences(amplitudes: NDArray[np.complexfloating], plan: Plan) -> NDArray[np.float64]:
    """amplitudes: (2 num_pairs,). returns: (num_pairs,) energy of the first element of each value's pair less that of
    the second."""
    energies = amplitudes.real.astype(np.float64) ** 2 + amplitudes.imag.astype(np.float64) ** 2
    differences = energies[0::2] - energies[1::2]
    return differences[_order(len(differences), plan.seed, plan.round)]


@lru_cache(maxsize=2)
def _order(num_pairs: int, seed: int, round_index: int) -> NDArray[np.int32]:
    """(num_pairs,) the pair of each value, another one in every round."""
    order = stream(seed, Use.ELEMENT_ORDER, round_index).permutation(np.arange(num_pairs, dtype=np.int32))
    order.setflags(write=False)
    return order
