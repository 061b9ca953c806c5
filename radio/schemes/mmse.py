"""Minimum mean squared error with memory: each device undoes as much of its channel as its power allows, keeps the
rest.

Two values share a complex element. A device sends x = scale * c * w / h * z, w = |h|^2 / (|h|^2 + lambda), with the
least lambda that its power budget allows (`radio.power_control`); the air adds them to y = scale * c * sum_i w_i z_i +
n. What it counts as sent is w z, and (1 - w) z is its memory's business: what a weak channel gave up comes later.
Truncated inversion (`inversion`) is all or nothing where this is a share, and lets the weakest element of any device
set the power of all, where here a device that is short of power gives up some of its own values and disturbs nobody.

Error, per parameter, s devices: given the channels the estimate y / (scale c s) is unbiased for the mean of w_i z_i,
with variance sigma^2 / (2 scale^2 c^2 s^2). Against the mean of z_i it misses sum_i (1 - w_i) z_i / s. The server
chooses the aim c so that the sum of both is least for values that are independent of each other (where updates agree,
what they miss adds up, and is more than that counts with). With long memory estimates so far and what memories hold, in
the mean over devices, add up to the changes so far.

Where a device is told another gain than h, their ratio r = h / told multiplies its value z, as a complex number with
its neighbour v: given what was told, which makes w, and with r independent of it, the mean is that of
w_i Re(E[r] (z_i + j v_i)) over devices, and the variance
sum_i w_i^2 (E[Re(r (z_i + j v_i))^2] - Re(E[r] (z_i + j v_i))^2) / s^2 + sigma^2 / (2 scale^2 c^2 s^2).

The rule for power is that of over-the-air computation (sources in `radio.power_control`); shares that stay in memory,
and the multiplier over elements, are ours.
"""

import math

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.power_control import damped_powers, least_multiplier
from radio.schemes.pairs import from_elements, per_value, to_elements
from radio.uplink import Plan, Reception

INVERTS = True
AIMS = True


def num_elements(dimension: int, measurements: float) -> int:
    """Half of d: nothing is compressed."""
    return math.ceil(dimension / 2)


def encode(
    update: NDArray[np.floating], channel: ChannelState, plan: Plan
) -> tuple[NDArray[np.complex128], NDArray[np.floating]]:
    """update: (dimension,). returns: amplitudes (num_elements,), sent (dimension,), each value with its share w.

    A draft without an aim stands for channels undone with whatever power that takes: it tells the server the energy
    of the values.
    """
    values, gains = to_elements(update, plan), channel.over(plan.num_elements)
    gain_powers = gains.real**2 + gains.imag**2
    if plan.aim > 0.0:
        energies = values.real**2 + values.imag**2
        multiplier = least_multiplier(gain_powers, energies, plan.aim, channel.power_budget)
    else:
        multiplier = 0.0
    damped = damped_powers(gain_powers, multiplier)
    amplitudes = values * gains.conj()
    amplitudes *= plan.scale * (plan.aim or 1.0) / damped
    return amplitudes, (per_value(gain_powers / damped, plan) * update).astype(update.dtype)


def decode(reception: Reception, plan: Plan) -> NDArray[np.float64]:
    """returns: (dimension,) the mean of what plan.devices sent. Raises ValueError for a plan without an aim."""
    if plan.aim <= 0.0:
        raise ValueError(f"round {plan.round}: the plan has no aim; give Plan.aim as the server chose it")
    return from_elements(reception.amplitudes, plan) / (plan.scale * plan.aim * len(plan.devices))
