"""Smooth functions of one variable in [-1, 1] as short sums of Chebyshev polynomials."""

import math

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-6  # -120 dB: what a sum may lose against the function


def order(phase_rad: float) -> int:
    """Terms that describe exp(j phase z), |z| <= 1, to the tolerance: the error is below 2 (phase / 2)^n / n!."""
    terms, bound = 1, phase_rad
    while bound > TOLERANCE:
        terms += 1
        bound = 2.0 * math.exp(terms * math.log(phase_rad / 2.0) - math.lgamma(terms + 1))
    return terms


def nodes(num_terms: int) -> NDArray[np.float64]:
    """(num_terms,) places in [-1, 1] at which `coefficients` wants the function."""
    return np.cos(np.pi * (np.arange(num_terms) + 0.5) / num_terms)


def coefficients(values: NDArray) -> NDArray:
    """(num_terms, ...) coefficients from (num_terms, ...) values at `nodes`."""
    num_terms = len(values)
    polynomials = evaluate(nodes(num_terms), num_terms)
    weights = 2.0 * polynomials / num_terms
    weights[0] /= 2.0
    return np.tensordot(weights, values, axes=1)


def evaluate(places: NDArray[np.float64], num_terms: int) -> NDArray[np.float64]:
    """(num_terms, num_places) T_j(places) by their recurrence."""
    rows = np.empty((num_terms, len(places)))
    rows[0] = 1.0
    if num_terms > 1:
        rows[1] = places
    for term in range(2, num_terms):
        np.multiply(places, rows[term - 1], out=rows[term])
        rows[term] *= 2.0
        rows[term] -= rows[term - 2]
    return rows
