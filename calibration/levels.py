"""Whether a gain setting does what it says: powers measured at a list of transmit or receive gains."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.stats
from numpy.typing import NDArray

LEAST_SETTINGS = 3
LEAST_CERTAINTY = 5.0  # standard deviations that a power must have, or it drowns in noise
SIGMAS = 3.5  # that a level must lie off the line at least
SCATTER_TAIL = 0.05  # probability with which noise alone is taken for settings that scatter
NORMAL_95 = 1.96
DB = 10.0 / math.log(10.0)
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class LevelEstimate:
    """Settings rising, (num_settings,); `..._std`: predicted. levels_db: measured powers.

    slope: of level over setting in dB a dB, 1 is right; level_db: of the line at setting 0. Both are those of the
    device, whose settings lie about its line at random: with that scatter, `scatter_db`, in their stds.
    step_errors_db: (num_settings - 1,) by how much more than asked a level rises from each setting to the next; not a
    number beside a setting that is not usable. worst_step: which of them is largest, None if there is none; the
    largest of many noisy values is too large by about its std.
    saturated: levels that fall short at the top; drowned: powers that are noise, or held up by it, at the bottom.
    quality in [0, 1]: share of the settings that are usable.
    """

    settings_db: FloatArray
    levels_db: FloatArray
    level_stds_db: FloatArray
    slope: float
    slope_std: float
    level_db: float
    level_std_db: float
    scatter_db: float
    step_errors_db: FloatArray
    step_stds_db: FloatArray
    worst_step: int | None
    saturated: BoolArray
    drowned: BoolArray
    quality: float


def estimate_levels(
    powers: FloatArray, stds: FloatArray, settings_db: FloatArray, *, limit_db: float = 0.5
) -> LevelEstimate:
    """Slope, step errors and usable range of a gain setting.

    powers: (num_settings,) linear, of the signal without the noise (`estimate_gain`), or with it, which then drowns the
    low ones; stds: of each. settings_db: gains, so minus the attenuation of a transmitter; each once, in any order.
    limit_db: how far off the line of the others a level may lie at either end.
    Raises ValueError for too few settings, one that comes twice, stds not above 0, or fewer than three usable ones.
    """
    powers, stds, settings_db = (
        np.asarray(values, dtype=np.float64) for values in (powers, stds, settings_db)
    )
    _check(powers, stds, settings_db)
    order = np.argsort(settings_db)
    powers, stds, settings_db = powers[order], stds[order], settings_db[order]
    drowned = powers < LEAST_CERTAINTY * stds
    levels_db = np.array([DB * math.log(power) if power > 0.0 else -math.inf for power in powers])
    level_stds_db = np.where(powers > 0.0, DB * stds / np.where(powers > 0.0, powers, 1.0), math.inf)
    saturated = np.zeros(len(powers), dtype=bool)
    while True:
        usable = ~(drowned | saturated)
        if np.count_nonzero(usable) < LEAST_SETTINGS:
            raise ValueError(
                f"{np.count_nonzero(usable)} of {len(powers)} settings are neither drowned nor saturated, "
                f"{LEAST_SETTINGS} are needed; measure more settings in between"
            )
        off_db = _off_the_line(levels_db, level_stds_db, settings_db, usable)
        lowest, highest = np.flatnonzero(usable)[[0, -1]]
        if off_db[highest] < -limit_db:
            saturated[highest] = True
        elif off_db[lowest] > limit_db:
            drowned[lowest] = True
        else:
            break
    slope, slope_std, level_db, level_std_db, scatter_db = _line(
        levels_db[usable], level_stds_db[usable], settings_db[usable]
    )
    both = usable[1:] & usable[:-1]
    step_errors_db = np.full(len(both), math.nan)
    step_errors_db[both] = np.diff(levels_db)[both] - np.diff(settings_db)[both]
    step_stds_db = np.full(len(both), math.nan)
    step_stds_db[both] = np.hypot(level_stds_db[1:], level_stds_db[:-1])[both]
    return LevelEstimate(
        settings_db=settings_db,
        levels_db=levels_db,
        level_stds_db=level_stds_db,
        slope=slope,
        slope_std=slope_std,
        level_db=level_db,
        level_std_db=level_std_db,
        scatter_db=scatter_db,
        step_errors_db=step_errors_db,
        step_stds_db=step_stds_db,
        worst_step=int(np.nanargmax(np.abs(step_errors_db))) if both.any() else None,
        saturated=saturated,
        drowned=drowned,
        quality=float(np.mean(usable)),
    )


def _off_the_line(
    levels_db: FloatArray, stds_db: FloatArray, settings_db: FloatArray, usable: BoolArray
) -> FloatArray:
    """(num_settings,) how far each usable level lies over the line of all, 0 where that may be noise.

    Theil's line, the median of slopes, hardly minds the few at the ends that it is to find.
    """
    slope, level_db, _, _ = scipy.stats.theilslopes(levels_db[usable], settings_db[usable])
    off_db = np.zeros(len(levels_db))
    off_db[usable] = levels_db[usable] - level_db - slope * settings_db[usable]
    off_db[np.abs(off_db) < SIGMAS * stds_db] = 0.0
    return off_db


def _line(
    levels_db: FloatArray, stds_db: FloatArray, settings_db: FloatArray
) -> tuple[float, float, float, float, float]:
    """Slope, its std, level at 0, its std, scatter of the settings about the line.

    Weighted least squares, where noise does not explain the scatter with one of the settings' own on top (Paule and
    Mandel, J. Res. NBS 87(5), 1982), which few settings know badly: hence Student's law.
    """
    free = len(levels_db) - 2

    def fit(scatter_variance: float) -> tuple[FloatArray, FloatArray, float]:
        weights = 1.0 / (stds_db**2 + scatter_variance)
        columns = np.stack([np.ones_like(settings_db), settings_db], axis=1)
        covariance = np.linalg.inv(columns.T * weights @ columns)
        point = covariance @ (columns.T @ (weights * levels_db))
        return point, covariance, float(np.sum(weights * (levels_db - columns @ point) ** 2))

    variance, widen = 0.0, 1.0
    if fit(0.0)[2] > scipy.stats.chi2.isf(SCATTER_TAIL, free):
        most = float(np.var(levels_db - settings_db)) + float(np.var(levels_db)) + float(np.max(stds_db)) ** 2
        variance = float(scipy.optimize.brentq(lambda guess: fit(guess)[2] - free, 0.0, most))
        widen = float(scipy.stats.t.ppf(0.975, free)) / NORMAL_95
    point, covariance, _ = fit(variance)
    stds = widen * np.sqrt(np.diag(covariance))
    return float(point[1]), float(stds[1]), float(point[0]), float(stds[0]), math.sqrt(variance)


def _check(powers: FloatArray, stds: FloatArray, settings_db: FloatArray) -> None:
    if not powers.shape == stds.shape == settings_db.shape or powers.ndim != 1:
        raise ValueError(
            f"powers, stds and settings_db must be equally long, got {powers.shape}, {stds.shape} and "
            f"{settings_db.shape}"
        )
    if len(powers) < LEAST_SETTINGS:
        raise ValueError(f"{len(powers)} settings are too few, measure {LEAST_SETTINGS} or more")
    if len(set(settings_db.tolist())) < len(settings_db):
        raise ValueError("a setting comes twice; give the mean of its powers")
    if not np.all(stds > 0.0):
        raise ValueError(f"stds must be above 0, got {stds.min():g}")
