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
from scipy.optimize import minimize_scalar

NUM_STEPS = 30  # quadratic convergence from below: five are common


def weights(gain_powers: NDArray[np.floating], multiplier: float) -> NDArray[np.float64]:
    """w = |h|^2 / (|h|^2 + lambda), and 0 where there is no channel at all."""
    denominators = np.asarray(gain_powers + multiplier, dtype=np.float64)
    return np.divide(gain_powers, denominators, out=np.zeros_like(denominators), where=denominators > 0.0)


def least_multiplier(
    gain_powers: NDArray[np.floating], energies: NDArray[np.floating], aim: float, budget: float
) -> float:
    """The least lambda >= 0 at which the mean of c^2 |h|^2 / (|h|^2 + lambda)^2 |z|^2 over elements is at most
    `budget`.

    gain_powers: |h|^2, energies: |z|^2; (num_elements,) each. Newton's method on power^(-1/2), which is nearly
    straight in lambda and for equal gains exactly so (the secular equation of trust regions, More and Sorensen, 1983);
    it comes from below, so that the power may be above the budget by rounding.
    """
    reached = np.sqrt(gain_powers * energies / (len(gain_powers) * budget))
    multiplier = max(
        0.0, float(np.max(aim * reached - gain_powers))
    )  # no element alone may exceed the budget
    for _ in range(NUM_STEPS):
        denominators = gain_powers + multiplier
        alive = denominators > 0.0
        powers = gain_powers[alive] * energies[alive] / denominators[alive] ** 2
        excess = aim**2 * float(np.sum(powers)) / (len(gain_powers) * budget)
        if excess <= 1.0 + 1e-12:
            break
        slope = float(np.sum(powers)) / float(np.sum(powers / denominators[alive]))
        multiplier += slope * (math.sqrt(excess) - 1.0)
    return multiplier


def missing_energy(gain_powers: NDArray[np.floating], value_power: float, aim: float, budget: float) -> float:
    """Mean energy of (1 - w) z on an element, for values of equal power on all."""
    energies = np.full(len(gain_powers), value_power)
    multiplier = least_multiplier(gain_powers, energies, aim, budget)
    return value_power * float(np.mean((1.0 - weights(gain_powers, multiplier)) ** 2))


def best_aim(
    gain_powers: Sequence[NDArray[np.floating]],
    value_powers: Sequence[float],
    budgets: Sequence[float],
    noise_variance: float,
) -> float:
    """The c that minimises sum_i E|(1 - w_i) z_i|^2 + sigma^2 / c^2, the mean squared error of the sum of independent
    values; one entry a device.

    With one gain a device it is convex in u = 1/c: (1 - a_i u)^2 up to u = 1 / a_i and 0 beyond, a_i = |h_i| sqrt(P_i /
    p_i), and noise. Raises ValueError if no device has values and a channel.
    """
    heard = [
        (gains, power, budget)
        for gains, power, budget in zip(gain_powers, value_powers, budgets, strict=True)
        if power > 0.0 and np.any(gains > 0.0)
    ]
    if not heard:
        raise ValueError("no device has both values and a channel; nothing to aim at")
    # above the first nothing is missing any more, above the second noise alone exceeds all that could be missing
    undone = max(math.sqrt(p * float(np.mean(1.0 / np.maximum(g, 1e-30))) / b) for g, p, b in heard)
    total = sum(power for _, power, _ in heard)
    highest = min(undone, math.sqrt(total / noise_variance)) if noise_variance > 0.0 else undone

    def error(inverse_aim: float) -> float:
        missing = sum(missing_energy(g, p, 1.0 / inverse_aim, b) for g, p, b in heard)
        return missing + noise_variance * inverse_aim**2

    if error(highest) <= noise_variance * highest**2 and noise_variance == 0.0:
        return 1.0 / highest
    found = minimize_scalar(
        error, bounds=(1e-6 * highest, highest), method="bounded", options={"xatol": 1e-5 * highest}
    )
    return 1.0 / float(found.x)
