"""Carrier offset, delay and complex gain of a known burst on a single path, estimated together."""

from dataclasses import dataclass

import numpy as np

from calibration.bounds import fisher_information, path_model
from calibration.power import estimate_noise_beside
from radio.interface import Samples

MAX_STEPS = 12
NUM_PARAMETERS = 2  # complex ones: the gain, and offset with delay


@dataclass(frozen=True)
class PathEstimate:
    """`delay_samples`: start of the reference in the window. `gain`: at the window's centre. `..._std`: predicted
    (the joint Cramer-Rao bound at the estimate). `noise_variance`: per sample. `quality` in [0, 1]: share of the
    window's energy that the path explains."""

    cfo_hz: float
    delay_samples: float
    gain: complex
    cfo_std_hz: float
    delay_std_samples: float
    gain_std: float
    noise_variance: float
    quality: float


def estimate_path(
    samples: Samples, reference: Samples, sample_rate_hz: float, delay_samples: float, cfo_hz: float
) -> PathEstimate:
    """Maximum likelihood in white noise, by Fisher scoring from a first guess.

    samples: (num_samples,), with a few samples more than the reference on both sides, or its tails are lost.
    delay_samples, cfo_hz: first guess, within a sample and within half of sample_rate_hz / reference_len, as
    `calibration.acquisition.detect` gives. Several paths bias it: then take `estimate_cfo_coarse` and the response.
    """
    received = samples.astype(np.complex128)
    energy = float(np.linalg.norm(received) ** 2)
    if energy == 0.0:
        raise ValueError(f"all {len(samples)} samples are zero; nothing was received")
    point = np.array([cfo_hz / sample_rate_hz, delay_samples])
    gain, explained, step = _score(received, reference, point)
    for _ in range(MAX_STEPS):
        candidate = point + step
        new_gain, new_explained, new_step = _score(received, reference, candidate)
        if new_explained >= explained:
            if new_explained - explained <= 1e-13 * energy:
                break
            point, gain, explained, step = candidate, new_gain, new_explained, new_step
        else:
            step = step / 2.0  # overshot: the likelihood is not quadratic here
    mean, jacobian = path_model(reference, len(received), point[1], point[0], gain)
    noise_variance = estimate_noise_beside(received, mean, NUM_PARAMETERS).variance
    information = fisher_information(jacobian, 1.0)
    cfo, delay, in_phase, quadrature = noise_variance * np.diag(np.linalg.inv(information))
    return PathEstimate(
        cfo_hz=float(point[0]) * sample_rate_hz,
        delay_samples=float(point[1]),
        gain=gain,
        cfo_std_hz=float(np.sqrt(cfo)) * sample_rate_hz,
        delay_std_samples=float(np.sqrt(delay)),
        gain_std=float(np.sqrt(in_phase + quadrature)),
        noise_variance=noise_variance,
        quality=min(explained / energy, 1.0),
    )


def _score(received: np.ndarray, reference: Samples, point: np.ndarray) -> tuple[complex, float, np.ndarray]:
    """Best gain at (cfo_cycles, delay), the energy it explains, and the scoring step of cfo_cycles and delay."""
    unit, jacobian = path_model(reference, len(received), point[1], point[0])
    strength = float(np.linalg.norm(unit) ** 2)
    gain = complex(np.vdot(unit, received)) / strength
    jacobian = jacobian * np.array([gain, gain, 1.0, 1.0])
    slope = (jacobian.conj().T @ (received - gain * unit)).real
    step = np.linalg.solve(fisher_information(jacobian, 2.0), slope)
    return gain, abs(gain) ** 2 * strength, step[:2]
