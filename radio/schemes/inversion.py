"""AirFL-Mem: truncated channel inversion, element by element; with long, short or no memory on the devices.

Two parameters share a complex element, in an order that the round's seed draws. A device sends
x = scale * z / h on the elements with |h|^2 >= plan.threshold and nothing on the others, so that the air adds
y = scale * sum_i mask_i z_i + n; what it withheld is its memory's business (`devices/memory.py`).
Wen, Xing, Simeone, WCNC 2024, arXiv 2310.16606; two parameters an element and the random order are ours. The order
spreads large entries over the payload, and meets each of them with another fade in the next round, also where
channels stand still and a fixed order would withhold the same entries for ever.

Error of the estimate, per parameter, s devices, masks on with probability lambda (exp(-g) under Rayleigh fading)
independently of each other, q = (1 - lambda)^s, sigma^2 = E|n|^2:

- normalise "devices", y / (scale s), as published. Given the masks it is unbiased for the mean of what was sent, with
  variance sigma^2 / (2 scale^2 s^2), or 0 where nobody sent. Over fading its mean is lambda mean(z), its variance
  sum_i lambda (1 - lambda) z_i^2 / s^2 + (1 - q) sigma^2 / (2 scale^2 s^2). With long memory nothing is lost: estimates
  so far and what memories hold, in the mean over devices, add up to the changes so far.
- normalise "transmitters", y / (scale n), n the devices that used the element. Over fading its mean is
  (1 - q) mean(z), its variance q (1 - q) mean(z)^2 + E[1{n > 0} (S^2 (1/n - 1/s) + sigma^2 / (2 scale^2 n^2))],
  S^2 = sum_i (z_i - mean)^2 / (s - 1): the mean of a random sample without replacement. Closer to the mean of all
  updates in one round; but what memory delivers late then weighs s/n times what it should, and long memory is
  exact no more.

Where a device divides by c instead of h, r = h / c multiplies its value z, as a complex number with its neighbour w:
with r independent of the mask the mean under "devices" is lambda mean(Re(E[r] (z + jw))) and the variance
sum_i (lambda E[Re(r (z_i + j w_i))^2] - (lambda Re(E[r] (z_i + j w_i)))^2) / s^2 + noise: bias and fading both return.

The server knows who used an element since it told each device the gains by which that one decides.
"""

import math

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.schemes.pairs import from_elements, per_value, to_elements
from radio.truncation import inverse_power
from radio.uplink import Plan, Reception

INVERTS = True


def num_elements(dimension: int, measurements: float) -> int:
    """Half of d, whatever the number of measurements: nothing is compressed."""
    return math.ceil(dimension / 2)


def encode(
    update: NDArray[np.floating], channel: ChannelState, plan: Plan
) -> tuple[NDArray[np.complex128], NDArray[np.floating]]:
    """update: (dimension,). returns: amplitudes (num_elements,), 0 where truncated; sent (dimension,), exactly
    `update` where it was sent and 0 elsewhere."""
    gains = channel.over(plan.num_elements)
    used = channel.used(plan.num_elements, plan.threshold)
    gain_powers = gains.real**2 + gains.imag**2
    amplitudes = to_elements(update, plan) * gains.conj()
    amplitudes *= np.divide(plan.scale, gain_powers, out=np.zeros(plan.num_elements), where=used)
    return amplitudes, np.where(per_value(used, plan), update, update.dtype.type(0))


def decode(reception: Reception, plan: Plan) -> NDArray[np.float64]:
    """returns: (dimension,) the mean of what plan.devices sent, over all of them or over those that used the element;
    0 where nobody did. Raises ValueError if the reception does not say what channels they were told."""
    counts = _num_transmitters(reception, plan)
    weights = np.maximum(counts, 1) if plan.normalise == "transmitters" else len(plan.devices)
    return from_elements(np.where(counts > 0, reception.amplitudes / (plan.scale * weights), 0.0), plan)


def mean_power(update_norm2: float, plan: Plan) -> float:
    """Power of an element at scale 1 in the mean over Rayleigh fading: E1(g) |z|^2 over the number of elements."""
    return inverse_power(plan.threshold) * update_norm2 / plan.num_elements


def _num_transmitters(reception: Reception, plan: Plan) -> NDArray[np.intp]:
    """(num_elements,) how many of plan.devices used each element."""
    counts = np.zeros(plan.num_elements, dtype=np.intp)
    for device in plan.devices:
        if device not in reception.channels:
            raise ValueError(
                f"no channel of device {device} came with the reception; give Reception.channels what devices were told"
            )
        counts += reception.channels[device].used(plan.num_elements, plan.threshold)
    return counts
