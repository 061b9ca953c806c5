"""Rapp's amplifier, and how it fits measured gains.

y = x / (1 + (|x| / A)^(2 p))^(1 / (2 p)): Rapp, Effects of HPA nonlinearity on a 4-DPSK/OFDM signal, 1991. Its gain has
fallen by 1 dB at |x| = A (10^(p / 10) - 1)^(1 / (2 p)). That point and p are fitted: they are less alike to the data
than A and p.
"""

from dataclasses import dataclass

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

SMOOTHNESS = (0.4, 25.0)  # where it is sought; beyond, all curves look alike
GRID_STEP_DB = 0.25
NUM_SMOOTHNESS = 48
BEYOND_DB = 12.0  # over the highest level: hardly seen
CHI2_95 = 3.84  # of one degree of freedom
VAGUE = np.diag(
    [1e-4, 0.5]
)  # information in advance, where the data have none: 100 dB, and a factor of 4 about p
FloatArray = NDArray[np.float64]


def rapp_gain_db(
    levels_db: FloatArray, one_db_db: FloatArray | float, smoothness: FloatArray | float
) -> FloatArray:
    """Gain relative to that of small signals, at or below 0; broadcasts."""
    power = np.expm1(smoothness * np.log(10.0) / 10.0) * 10.0 ** (smoothness * (levels_db - one_db_db) / 10.0)
    return np.asarray(-10.0 / smoothness * np.log10(1.0 + power))


def saturation_db(one_db_db: float, smoothness: float) -> float:
    """20 log10 A of the amplifier with that 1 dB point."""
    return float(one_db_db - 10.0 / smoothness * np.log10(np.expm1(smoothness * np.log(10.0) / 10.0)))


def rapp_slopes(levels_db: FloatArray, one_db_db: float, smoothness: float) -> FloatArray:
    """(num_levels, 2) derivatives of the gain in dB by the 1 dB point and by the logarithm of smoothness."""
    step = 1e-4
    return np.stack(
        [
            rapp_gain_db(levels_db, one_db_db + step, smoothness)
            - rapp_gain_db(levels_db, one_db_db - step, smoothness),
            rapp_gain_db(levels_db, one_db_db, smoothness * np.exp(step))
            - rapp_gain_db(levels_db, one_db_db, smoothness * np.exp(-step)),
        ],
        axis=1,
    ) / (2.0 * step)


@dataclass(frozen=True, eq=False)
class RappFit:
    """covariance: (2, 2) of one_db_db and the logarithm of smoothness. misfit: chi-square over degrees of freedom, 1
    where the law holds. at_least_db: what the 1 dB point exceeds with a probability of 97.5 %; from the profile
    likelihood where it lies beyond the levels. own_gain_db: of the reference level, relative to small signals.
    gain_variances: (num_levels,) of the gains once that is added."""

    one_db_db: float
    smoothness: float
    covariance: FloatArray
    misfit: float
    at_least_db: float
    own_gain_db: float
    gain_variances: FloatArray


def fit_rapp(
    levels_db: FloatArray, gains_db: FloatArray, covariance: FloatArray, reference_db: float
) -> RappFit:
    """Generalised least squares. levels_db, gains_db: (num_levels,), gains relative to that at the reference level;
    covariance: (num_levels, num_levels) of the gains."""
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    reference = np.array([reference_db])

    def residuals(one_db_db: FloatArray, smoothness: FloatArray) -> FloatArray:
        model = rapp_gain_db(levels_db, one_db_db, smoothness)
        own = rapp_gain_db(reference, one_db_db, smoothness)
        return np.asarray((model - own - gains_db) @ whiten.T)

    points = np.arange(levels_db.min(), levels_db.max() + BEYOND_DB, GRID_STEP_DB)
    smooth = np.geomspace(*SMOOTHNESS, NUM_SMOOTHNESS)
    chi2 = np.sum(residuals(points[:, None, None], smooth[None, :, None]) ** 2, axis=2)
    first, second = np.unravel_index(np.argmin(chi2), chi2.shape)
    low, high = np.log(SMOOTHNESS)
    fitted = scipy.optimize.least_squares(
        lambda point: residuals(point[0], np.exp(point[1])),
        [points[first], np.clip(np.log(smooth[second]), low + 1e-6, high - 1e-6)],
        bounds=([points[0] - BEYOND_DB, low], [points[-1] + BEYOND_DB, high]),
    )
    least = 2.0 * float(fitted.cost)
    one_db_db, smoothness = float(fitted.x[0]), float(np.exp(fitted.x[1]))
    own_slope = rapp_slopes(reference, one_db_db, smoothness)[0]
    slopes = rapp_slopes(levels_db, one_db_db, smoothness) - own_slope
    whitened = whiten @ slopes
    found = np.linalg.inv(whitened.T @ whitened + VAGUE)
    at_least_db = one_db_db - float(np.sqrt(CHI2_95 * found[0, 0]))
    if one_db_db > levels_db.max():  # the likelihood is not that of a normal law there
        at_least_db = _first_below(points, chi2.min(axis=1), min(least, float(chi2.min())) + CHI2_95)
    shared = (
        2.0 * slopes @ found @ own_slope
    )  # the fit, and so the reference's own gain, follows the same noise
    return RappFit(
        one_db_db=one_db_db,
        smoothness=smoothness,
        covariance=found,
        misfit=least / (len(levels_db) - 2),
        at_least_db=at_least_db,
        own_gain_db=float(rapp_gain_db(reference, np.array(one_db_db), np.array(smoothness))[0]),
        gain_variances=np.diag(covariance) + shared + own_slope @ found @ own_slope,
    )


def _first_below(points: FloatArray, profile: FloatArray, limit: float) -> float:
    """Where a profile, straight between points, first falls to a limit."""
    inside = np.flatnonzero(profile <= limit)
    first = int(inside[0]) if len(inside) else int(np.argmin(profile))
    if first == 0 or profile[first] > limit:
        return float(points[first])
    return float(np.interp(-limit, -profile[first - 1 : first + 1], points[first - 1 : first + 1]))
