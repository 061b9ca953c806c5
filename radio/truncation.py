"""Truncated channel inversion: which elements a device uses, what a threshold costs, and the best one.

A device uses the elements with |h|^2 >= g and divides by h there. With |h|^2 exponential of mean 1 it uses a share
lambda = exp(-g) of them, which takes E[1{|h|^2 >= g} / |h|^2] = E1(g) times the power of its values.
Wen, Xing, Simeone, WCNC 2024 (AirFL-Mem); lambda is the contraction of the memory there.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import exp1, lambertw


def is_used(gains: NDArray[np.complexfloating], threshold: float) -> NDArray[np.bool_]:
    """Whether |h|^2 reaches the threshold, element by element; the same bits wherever the same gains are known."""
    return gains.real**2 + gains.imag**2 >= threshold


def used_share(threshold: float) -> float:
    """lambda = P(|h|^2 >= g) under Rayleigh fading of mean power 1."""
    return math.exp(-threshold)


def inverse_power(threshold: float) -> float:
    """E[1{|h|^2 >= g} / |h|^2] under Rayleigh fading of mean power 1; infinite for g = 0."""
    return float(exp1(threshold))


def truncation_cost(threshold: float, memory_weight: float, noise_weight: float) -> float:
    """a (1 - lambda^2) / lambda^2 + b E1(g), g > 0: what memory holds back, and noise under a limited power.

    Convex in lambda: the first term is, and the second has the derivative b / (-ln lambda), which rises.
    """
    share = used_share(threshold)
    return memory_weight * (1.0 - share**2) / share**2 + noise_weight * inverse_power(threshold)


def optimal_threshold(memory_weight: float, noise_weight: float) -> float:
    """The g that minimises `truncation_cost`; memory_weight > 0, noise_weight >= 0.

    The derivative vanishes at 2a / lambda^3 = b / g, which is 3g exp(3g) = 3b / (2a): g = W(3b / (2a)) / 3 with
    Lambert's W, so that nothing has to be searched for.
    """
    return float(lambertw(1.5 * noise_weight / memory_weight).real) / 3.0
