"""How much of a coherent sum the time between sounding and payload costs: fading, frequency error and drift.

A device turns back the phase that was measured; the magnitude of its gain is not compensated. With D the phase that
channel and oscillators have turned by since, the error relative to the perfect superposition is

    E[|h|^2 |exp(j D) - 1|^2] / E|h|^2 = 2 (1 - E[|h|^2 cos D] / E|h|^2)
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ive, j0, roots_genlaguerre

NUM_NODES = 64
FloatArray = NDArray[np.float64]


def fading_coherence(doppler_hz: float, lags_s: ArrayLike) -> FloatArray:
    """(num_lags,) E[|h|^2 cos D] / E|h|^2 of a Rayleigh channel with Jakes' spectrum; 1 without Doppler.

    Given h(t) of magnitude r, the earlier gain is complex Gaussian of mean rho h(t) and variance 1 - rho^2, with
    rho = J_0(2 pi f lag); the mean cosine of its angle to h(t) is sqrt(pi k) / 2 exp(-k / 2) (I_0(k / 2) + I_1(k / 2)),
    k = rho^2 r^2 / (1 - rho^2) (Middleton, Introduction to Statistical Communication Theory, 1960, section 9.1; sign as
    rho's). r^2 is exponential; the mean over it by Gauss-Laguerre quadrature of weight u exp(-u).
    """
    correlation = j0(2.0 * np.pi * doppler_hz * np.atleast_1d(np.asarray(lags_s, dtype=np.float64)))
    powers, weights = roots_genlaguerre(NUM_NODES, 1.0)
    unknown = np.maximum(1.0 - correlation**2, 1e-6)  # Bessel functions end where arguments are larger
    k = np.outer(correlation**2 / unknown, powers)
    cosine = np.sqrt(np.pi * k) / 2.0 * (ive(0, k / 2.0) + ive(1, k / 2.0))  # ive carries exp(-k / 2)
    return np.asarray(np.sign(correlation) * (cosine @ weights))


def phase_variance(
    lags_s: ArrayLike, frequency_error_hz: float, walk_hz_per_root_s: float, observed_s: float
) -> FloatArray:
    """(num_lags,) variance in rad^2 of the phase that has run away since the sounding's end.

    frequency_error_hz: rms, of noise in the sounding. walk_hz_per_root_s: the frequency's random walk, of which the
    sounding knows the mean over the `observed_s` before its end: q (lag^3 + lag^2 observed) / 3 cycles^2.
    """
    lags = np.atleast_1d(np.asarray(lags_s, dtype=np.float64))
    walk = walk_hz_per_root_s**2 * (lags**3 + lags**2 * observed_s) / 3.0
    return np.asarray((2.0 * np.pi) ** 2 * (walk + (frequency_error_hz * lags) ** 2))


def predict_ageing(
    gap_s: float,
    payload_s: float,
    *,
    doppler_hz: float = 0.0,
    frequency_error_hz: float = 0.0,
    walk_hz_per_root_s: float = 0.0,
    observed_s: float = 0.0,
) -> float:
    """Error over a payload that starts `gap_s` after the sounding, relative to the perfect superposition; linear."""
    lags_s = gap_s + payload_s * (np.arange(50) + 0.5) / 50
    spread = phase_variance(lags_s, frequency_error_hz, walk_hz_per_root_s, observed_s)
    coherence = fading_coherence(doppler_hz, lags_s) * np.exp(-spread / 2.0)
    return float(np.mean(2.0 * (1.0 - coherence)))
