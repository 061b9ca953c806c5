"""A scheme of one's own: every value travels, two to a resource element, and each device inverts its channel.

Simple and unbiased. A device in a deep fade drags the common power scale down with it, which is why the schemes
that ship with the project do something else.
"""

import math

import numpy as np


def num_elements(dimension, measurements):
    """Two reals to a complex resource element; `update.measurements` is not used."""
    return math.ceil(dimension / 2)


def encode(update, channel, plan):
    """(amplitudes, what of the update they stand for): all of it."""
    padded = np.zeros(2 * plan.num_elements)
    padded[: plan.dimension] = update
    return plan.scale * padded.view(complex) / channel.over(plan.num_elements), update


def decode(reception, plan):
    """Estimate of the mean of what plan.devices sent."""
    values = np.ascontiguousarray(reception.amplitudes, dtype=complex).view(float)[: plan.dimension]
    return values / (plan.scale * len(plan.devices))
