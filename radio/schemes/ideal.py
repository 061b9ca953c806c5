"""Error-free aggregation: the ceiling that an over-the-air run is compared with.

The update travels whole, two reals to a resource element, over an uplink that adds nothing.
"""

import math

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.uplink import Plan, Reception


def num_elements(dimension: int, measurements: float) -> int:
    """Half of d, whatever the number of measurements: nothing is compressed."""
    return math.ceil(dimension / 2)


def encode(
    update: NDArray[np.floating], channel: ChannelState, plan: Plan
) -> tuple[NDArray[np.complex128], NDArray[np.floating]]:
    """update: (dimension,). returns: amplitudes (num_elements,), and the update, all of which is sent."""
    padded = np.zeros(2 * plan.num_elements)
    padded[: plan.dimension] = update
    return plan.scale * padded.view(np.complex128), update


def decode(reception: Reception, plan: Plan) -> NDArray[np.float64]:
    """returns: (dimension,) the mean of the updates."""
    summed = np.ascontiguousarray(reception.amplitudes, dtype=np.complex128).view(np.float64)
    return summed[: plan.dimension] / (plan.scale * len(plan.devices))
