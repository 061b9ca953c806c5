"""Phase-only compensation of the values themselves, two to an element: `phase` where a shared support spares it the
sketch and the recovery.

A device sends x = scale * exp(-j arg h) * z; the air adds them to y = scale * sum_i |h_i| z_i + n. Divided by scale, by
the number of transmitters s and by m = E|h| that is unbiased over fading, with variance, per parameter,
(E|h|^2 / m^2 - 1) sum_i z_i^2 / s^2 + sigma^2 / (2 scale^2 s^2 m^2): under Rayleigh fading 4/pi - 1 = 0.273 of the
devices' energies stay, which no SNR removes.

Where a device believes in phases that are wrong by phi, and v_i is the neighbour that shares the element with z_i, the
mean is that of b_i = E[cos phi] z_i - E[sin phi] v_i over devices, and in place of the first term of the variance
stands sum_i (E|h|^2 E[(z_i cos phi - v_i sin phi)^2] / m^2 - b_i^2) / s^2.

Steps 5 to 7 of Air-meta-pFL (Wen, Xing, Simeone, IEEE TCCN 12, 2026), on values in place of their sketch.
"""

import math

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.schemes.pairs import from_elements, to_elements
from radio.uplink import Plan, Reception


def num_elements(dimension: int, measurements: float) -> int:
    """Half of the number of values."""
    return math.ceil(dimension / 2)


def encode(
    update: NDArray[np.floating], channel: ChannelState, plan: Plan
) -> tuple[NDArray[np.complex128], NDArray[np.floating]]:
    """update: (dimension,). returns: amplitudes (num_elements,), and the update, all of which is sent."""
    return plan.scale * channel.compensation(plan.num_elements) * to_elements(update, plan), update


def decode(reception: Reception, plan: Plan) -> NDArray[np.float64]:
    """returns: (dimension,) estimate of the mean of `sent` over plan.devices."""
    return from_elements(reception.amplitudes, plan) / (plan.scale * plan.mean_gain * len(plan.devices))
