"""Simpler sparse recovery, for comparison with OAMP."""

import numpy as np
from numpy.typing import NDArray

from radio.sketch import Sketch
from radio.sparse import top_k

MAX_ITERATIONS = 100
SETTLED = 1e-4  # relative change of the estimate below which iterations stop


def backproject(measurements: NDArray[np.complexfloating], sketch: Sketch) -> NDArray[np.float64]:
    """The plain adjoint, scaled so that it is unbiased over the draw of the rows. returns: (dimension,)."""
    return sketch.adjoint(measurements) * _inverse_scale(sketch)


def iterative_hard_thresholding(
    measurements: NDArray[np.complexfloating], num_kept: int, sketch: Sketch
) -> NDArray[np.float64]:
    """x <- top_k(x + mu A^T (y - A x)) with the step that minimises the residual on the present support.

    measurements: (num_rows,) complex; num_kept: entries of the estimate that are not zero.
    returns: (dimension,). Normalised IHT, Blumensath and Davies, IEEE J. Sel. Topics Signal Process. 2010.
    """
    estimate = np.zeros(sketch.dimension)
    for _ in range(MAX_ITERATIONS):
        gradient = sketch.adjoint(measurements - sketch.forward(estimate))
        support = top_k(estimate + _inverse_scale(sketch) * gradient, num_kept) != 0.0
        on_support = np.where(support, gradient, 0.0)
        seen = sketch.forward(on_support)
        energy = float(np.vdot(seen, seen).real)
        if energy == 0.0:
            break
        step = float(np.dot(on_support, on_support)) / energy
        updated = top_k(estimate + step * gradient, num_kept)
        change = np.linalg.norm(updated - estimate)
        estimate = updated
        if change <= SETTLED * np.linalg.norm(estimate):
            break
    return estimate


def _inverse_scale(sketch: Sketch) -> float:
    # M complex rows are 2 M of the transform_len real ones, and the real adjoint of a complex row has half its energy
    return sketch.transform_len / sketch.num_rows
