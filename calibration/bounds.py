"""Cramer-Rao bounds: what no unbiased estimator can beat, from the Fisher matrix of a model in white noise.

For a complex mean m(theta) of real parameters in circular noise of variance sigma^2, the Fisher matrix is
(2 / sigma^2) Re(J^H J), J the derivative of m. Kay, Fundamentals of Statistical Signal Processing, vol. 1, 1993.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from calibration.delay import centred_bins
from radio.interface import Samples
from radio.ofdm import OfdmConfig

EDGE = 64  # zeros beyond both ends of a window, so that the wrapped tails of a delayed burst stay small


@dataclass(frozen=True)
class PathBounds:
    """Standard deviations. `gain_std`: root of the sum of both parts' variances, gain at the window's centre."""

    cfo_std_hz: float
    delay_std_samples: float
    gain_std: float


def fisher_information(jacobian: NDArray[np.complexfloating], noise_variance: float) -> NDArray[np.float64]:
    """(num_parameters, num_parameters) from the derivative (num_values, num_parameters) of the mean."""
    return 2.0 / noise_variance * (jacobian.conj().T @ jacobian).real


def path_model(
    reference: Samples, num_samples: int, delay_samples: float, cfo_cycles: float, gain: complex = 1.0
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Samples of one path, and their derivatives.

    A window of num_samples in which `reference`, band-limited, begins at `delay_samples`, turned by cfo_cycles
    (cycles per sample) with phase 0 at the window's centre, (num_samples - 1) / 2.
    returns: mean (num_samples,), jacobian (num_samples, 4) in cfo_cycles, delay_samples, Re gain, Im gain.
    """
    length = scipy.fft.next_fast_len(max(num_samples, len(reference)) + 2 * EDGE)
    frequency = np.fft.fftfreq(length)
    spectrum = scipy.fft.fft(reference.astype(np.complex128), length)
    spectrum *= np.exp(-2j * np.pi * frequency * delay_samples)
    delayed = scipy.fft.ifft(np.stack([spectrum, -2j * np.pi * frequency * spectrum]), axis=1)[
        :, :num_samples
    ]
    centred = np.arange(num_samples) - (num_samples - 1) / 2.0
    unit, slope = delayed * np.exp(2j * np.pi * cfo_cycles * centred)
    jacobian = np.stack([2j * np.pi * gain * centred * unit, gain * slope, unit, 1j * unit], axis=1)
    return gain * unit, jacobian


def path_bounds(
    reference: Samples,
    num_samples: int,
    sample_rate_hz: float,
    noise_variance: float,
    gain: complex = 1.0,
    delay_samples: float | None = None,
) -> PathBounds:
    """Joint bounds of carrier offset, delay and complex gain of a known sequence on a single path.

    reference: (reference_len,), in a window of num_samples, by default in its middle. noise_variance: of a sample.
    """
    if delay_samples is None:
        delay_samples = (num_samples - len(reference)) / 2.0
    _, jacobian = path_model(reference, num_samples, delay_samples, 0.0, gain)
    variances = np.diag(np.linalg.inv(fisher_information(jacobian, noise_variance)))
    cfo, delay, in_phase, quadrature = (float(variance) for variance in variances)
    return PathBounds(
        float(np.sqrt(cfo)) * sample_rate_hz, float(np.sqrt(delay)), float(np.sqrt(in_phase + quadrature))
    )


def channel_bound(
    ofdm: OfdmConfig, num_taps: int, lead_samples: int, noise_variance: float
) -> NDArray[np.float64]:
    """(num_active,) bound of E|error|^2 of each subcarrier's gain if the channel is `num_taps` unknown taps.

    Taps at delays -lead .. num_taps - lead - 1, one noisy observation a subcarrier. With D the responses of the taps,
    it is sigma^2 times the diagonal of the projector D (D^H D)^-1 D^H, and its mean is sigma^2 num_taps / num_active.
    """
    if not 1 <= num_taps <= ofdm.num_active:
        raise ValueError(f"num_taps must be in [1, {ofdm.num_active}] (num_active), got {num_taps}")
    delays = np.arange(num_taps) - lead_samples
    responses = np.exp(-2j * np.pi * np.outer(centred_bins(ofdm), delays) / ofdm.fft_len)
    basis, _ = np.linalg.qr(responses)  # orthogonal even where D^H D could not be inverted in floating point
    return noise_variance * np.sum(np.abs(basis) ** 2, axis=1)
