"""Orthogonal approximate message passing: a sparse vector from a noisy partial Fourier transform.

Alternates a linear step that decorrelates the error with the posterior mean under a Bernoulli-Gaussian prior,
whose sparsity and variance are learned by expectation maximisation, and passes on only the part of it that is
orthogonal to its input (Ma and Ping, IEEE Access 2017). The EM prior follows Vila and Schniter, IEEE TSP 2013.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from radio.sketch import Sketch

MAX_ITERATIONS = 25
SETTLED = 1e-3  # relative change of the effective noise below which another iteration changes nothing
TINY = 1e-30


@dataclass
class _Prior:
    """Each entry is zero with probability 1 - activity, else normal with this variance."""

    activity: float
    variance: float


def recover(
    measurements: NDArray[np.complexfloating], noise_variance: float, sketch: Sketch
) -> NDArray[np.float64]:
    """Posterior mean of x from y = A x + n.

    measurements: (num_rows,) complex; noise_variance: E|n|^2 of one of them, 0 if there is none.
    returns: (dimension,) real.
    """
    length, dimension = sketch.transform_len, sketch.dimension
    num_real = 2 * sketch.num_rows
    excess = length / num_real  # c: unknowns per real measurement; the padding counts, its zeros are not used
    noise = max(noise_variance, TINY)  # of a real row, once rows are scaled by sqrt(2) to unit norm

    # The spectrum is kept whole, scaled so that real rows are orthonormal, with a mask for the bins measured:
    # a gather and a scatter of random bins in every iteration would cost more than the arithmetic.
    mask = np.zeros(length // 2 + 1)
    mask[sketch.bins] = 1.0
    observed = np.zeros(length // 2 + 1, dtype=np.complex128)
    observed[sketch.bins] = math.sqrt(2.0) * np.asarray(measurements)
    energy = _energy(observed)
    if energy == 0.0:
        return np.zeros(dimension)

    activity = 0.1
    prior = _Prior(activity, max((energy - num_real * noise) / num_real, TINY) / activity)
    estimate = np.zeros(length)
    mean = np.zeros(dimension)
    scratch = np.empty(dimension)
    last_noise = math.inf
    for _ in range(MAX_ITERATIONS):
        residual = scipy.fft.rfft(estimate, norm="ortho")
        residual *= -math.sqrt(2.0)
        residual += observed
        residual *= mask
        error = max((_energy(residual) - num_real * noise) / num_real, TINY)
        effective_noise = (excess - 1.0) * error + excess * noise
        # sqrt(2) for the orthonormal rows, 1/2 because irfft adds the conjugate bin
        correction = scipy.fft.irfft(residual, length, norm="ortho", overwrite_x=True)[:dimension]
        correction *= excess / math.sqrt(2.0)
        correction += estimate[:dimension]
        seen, variance, prior = _denoise(correction, effective_noise, prior, mean, scratch)
        if abs(last_noise - effective_noise) <= SETTLED * effective_noise:
            break
        last_noise = effective_noise
        if variance < effective_noise:
            # the extrinsic part: what the prior says beyond what came in
            extrinsic = 1.0 / (1.0 / variance - 1.0 / effective_noise)
            np.multiply(mean, extrinsic / variance, out=estimate[:dimension])
            seen *= extrinsic / effective_noise
            estimate[:dimension] -= seen
        else:
            estimate[:dimension] = mean
    return mean


def _energy(spectrum: NDArray[np.complex128]) -> float:
    flat = spectrum.view(np.float64)
    return float(np.dot(flat, flat))


def _denoise(
    seen: NDArray[np.float64],
    noise: float,
    prior: _Prior,
    mean: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float, _Prior]:
    """Posterior mean of each entry given seen = x + N(0, noise); mean and scratch are overwritten.

    returns: `seen`, the average posterior variance, and the prior after one EM step.
    """
    shrink = prior.variance / (prior.variance + noise)
    odds_of_zero = (1.0 - prior.activity) / prior.activity * math.sqrt(1.0 + prior.variance / noise)
    np.multiply(seen, seen, out=scratch)
    # probability that an entry is not zero: 1 / (1 + odds of zero)
    np.multiply(scratch, -0.5 * shrink / noise, out=mean)
    np.exp(mean, out=mean)
    mean *= odds_of_zero
    mean += 1.0
    np.reciprocal(mean, out=mean)
    active = float(mean.sum())
    second_moment = shrink**2 * float(np.dot(mean, scratch)) + shrink * noise * active
    mean *= seen
    mean *= shrink
    variance = max((second_moment - float(np.dot(mean, mean))) / len(seen), TINY)
    activity = min(max(active / len(seen), 1.0 / len(seen)), 1.0 - 1.0 / len(seen))
    return seen, variance, _Prior(activity, max(second_moment / max(active, TINY), TINY))
