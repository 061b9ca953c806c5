"""What tests of estimators draw, and how they compare moments."""

import math

import numpy as np

PAIRS = np.array([1.0 + 0.5j, -0.4 + 2.0j, 0.7 - 1.2j, 1.5 + 0.1j])  # two values of each of four devices


def complex_normal(rng, *shape):
    """E|h|^2 = 1."""
    return rng.normal(scale=math.sqrt(0.5), size=(*shape, 2)).view(complex)[..., 0]


def assert_agrees(values, mean, variance):
    """Mean and variance of independent draws within three standard errors."""
    assert abs(values.mean() - mean) < 3.0 * math.sqrt(variance / len(values))
    squares = (values - mean) ** 2
    assert abs(squares.mean() - variance) < 3.0 * squares.std() / math.sqrt(len(values))
