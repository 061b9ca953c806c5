"""Power control for sums in the air: how far each device undoes its channel, and what all of them aim at.

A device with values z and channel h sends x = c w / h z with w = |h|^2 / (|h|^2 + lambda), element by element: what
arrives is c w z. With lambda = 0 the channel is undone; otherwise weak elements give up more than strong ones, and
lambda is the least that the device's power allows. Given c this minimises the energy of (1 - w) z, what is missing of
its values, under its power. The aim c is common; it trades what is missing against the noise of y / c.

For one gain a device the form is known: full power below a common level, inversion above it (Cao, Zhu, Xu and Huang,
IEEE TWC 2020, arXiv 1906.06858; Liu, Zang, Li and Vucetic, IEEE TWC 2020, arXiv 1909.00329). The multiplier over the
elements of a device is the Lagrangian's, derived here.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NUM_STEPS = 30  # quadratic convergence from below: five are common


def damped_powers(gain_powers: NDArray[np.floating], multiplier: float) -> NDArray[np.float64]:
    """|h|^2 + lambda, and 1 where there is no channel at all: h and |h|^2, divided by it, stay 0 there."""
    damped = np.asarray(gain_powers + multiplier, dtype=np.float64)
    damped[damped == 0.0] = 1.0
    return damped


def weights(gain_powers: NDArray[np.floating], multiplier: float) -> NDArray[np.float64]:
    """w = |h|^2 / (|h|^2 + lambda), and 0 where there is no channel at all."""
    return np.asarray(gain_powers / damped_powers(gain_powers, multiplier))


def least_multiplier(
    gain_powers: NDArray[np.floating], energies: NDArray[np.floating], aim: float, budget: float
) -> float:
    """The least lambda >= 0 at which the mean of c^2 |h|^2 / (|h|^2 + lambda)^2 |z|^2 over elements is at most
    `budget`.

    gain_powers: |h|^2, energies: |z|^2; (num_elements,) each. Newton's method on power^(-1/2), which is nearly
    straight in lambda and for equal gains exactly so (the secular equation of trust regions, More and Sorensen, 1983);
    it comes from below, so that the power may be above the budget by rounding. Raises ValueError for no budget.
    """
    if not budget > 0.0:
        raise ValueError(f"a power budget is above 0, got {budget:g}")
    loads = gain_powers * energies * (aim**2 / (len(gain_powers) * budget))
    if not np.all(loads):  # nothing is sent there, whatever lambda is
        gain_powers, loads = gain_powers[loads > 0.0], loads[loads > 0.0]
    multiplier = max(0.0, float(np.max(np.sqrt(loads) - gain_powers, initial=0.0)))  # no element takes it all
    inverses, shares = (
        np.empty_like(loads),
        np.empty_like(loads),
    )  # once: fresh memory costs more than arithmetic
    for _ in range(NUM_STEPS):
        np.divide(1.0, np.add(gain_powers, multiplier, out=inverses), out=inverses)
        np.multiply(inverses, inverses, out=shares)
        shares *= loads
        excess = float(np.sum(shares))
        if excess <= 1.0 + 1e-12:
            break
        multiplier += excess * (math.sqrt(excess) - 1.0) / float(np.dot(shares, inverses))
    return multiplier


def best_aim(
    gain_powers: Sequence[NDArray[np.floating]],
    value_powers: Sequence[float],
    budgets: Sequence[float],
    noise_variance: float,
) -> float:
    """The c that minimises sum_i E|(1 - w_i) z_i|^2 + sigma^2 / c^2, the mean squared error of a sum of values that are
    independent and of equal power on all elements of a device; one entry a device.

    It is convex in u = 1/c: devices minimise a convex energy under a norm of w that is at most sqrt(P_i) u. A norm's
    limit has the price 2 lambda_i P_i u, so that the minimum is where sum_i P_i lambda_i = sigma^2; for a single device
    lambda is the sigma^2 / P of the minimum mean squared error equaliser. Raises ValueError if no device has values and
    a channel.
    """
    heard = [
        (gains, power, budget)
        for gains, power, budget in zip(gain_powers, value_powers, budgets, strict=True)
        if power > 0.0 and np.any(gains > 0.0)
    ]
    if not heard:
        raise ValueError("no device has both values and a channel; nothing to aim at")
    undone = max(math.sqrt(power * _inverse_mean(gains) / budget) for gains, power, budget in heard)
    if not noise_variance > 0.0:
        return 1.0 / undone  # nothing is missing, and more noise would be all that is left to gain

    def surplus(inverse_aim: float) -> float:
        prices = (
            budget * least_multiplier(gains, np.full(len(gains), power), 1.0 / inverse_aim, budget)
            for gains, power, budget in heard
        )
        return sum(prices) - noise_variance

    # lambda is at least c sqrt(p mean|h|^2 / P) - max|h|^2; where that alone costs sigma^2, the aim is too high
    lowest = max(
        math.sqrt(power * float(np.mean(gains)) / budget) / (noise_variance / budget + float(np.max(gains)))
        for gains, power, budget in heard
    )
    for bound, passed in ((lowest, surplus(lowest) <= 0.0), (undone, surplus(undone) >= 0.0)):
        if passed:  # by rounding: with a single gain the bound is the answer
            return 1.0 / bound
    from scipy.optimize import brentq  # late: devices load this file, and solve for nothing

    return 1.0 / float(brentq(surplus, lowest, undone, rtol=1e-6))


def _inverse_mean(gain_powers: NDArray[np.floating]) -> float:
    """Mean over all elements of 1 / |h|^2, where there is a channel."""
    present = gain_powers[gain_powers > 0.0]
    return float(np.sum(1.0 / np.maximum(present, 1e-30))) / len(gain_powers)
