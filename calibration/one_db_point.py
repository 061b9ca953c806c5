"""The 1 dB compression point of an amplifier that follows no law: a parabola through the gains around it."""

import math

import numpy as np
from numpy.typing import NDArray

AROUND_DB = 4.0  # levels on either side that the parabola goes through
BENT = 3.0  # times the scatter about a parabola that noise explains
LEAST_SLOPE = 0.02  # dB a dB: flatter curves do not say where they cross
NORMAL_95 = 1.96
FloatArray = NDArray[np.float64]


def find_one_db(
    levels_db: FloatArray, gains_db: FloatArray, covariance: FloatArray, about_db: float
) -> tuple[float, float, float]:
    """The level at which the gain has fallen by 1 dB, its std, and what it exceeds with a probability of 97.5 %.

    levels_db: (num_levels,) rising; gains_db relative to anything. about_db: first guess. The gain of small signals is
    that at power 0, where levels 1.5 AROUND_DB below the point, and the four lowest, lead in a straight line over
    power: so begins whatever has a cubic term. A curve that is no parabola around the point scatters about it, and then
    straight lines between the levels are better; half of what the two differ by widens the std.
    """
    small = levels_db <= max(about_db - 1.5 * AROUND_DB, levels_db[3])
    lines = np.stack([np.ones(np.count_nonzero(small)), 10.0 ** (levels_db[small] / 10.0)], axis=1)
    at_nothing = np.zeros(len(levels_db))
    at_nothing[small] = _solver(lines, covariance[np.ix_(small, small)])[0]
    near = np.abs(levels_db - about_db) <= AROUND_DB
    near[-4:] |= np.count_nonzero(near) < 4
    powers = np.vander(levels_db[near] - about_db, 3, increasing=True)
    beside = covariance[np.ix_(near, near)]
    weights = np.zeros((3, len(levels_db)))
    weights[:, near] = _solver(powers, beside)
    left = gains_db[near] - powers @ (weights @ gains_db)
    scatter = max(1.0, float(left @ np.linalg.solve(beside, left)) / (len(left) - 3))
    weights[0] -= at_nothing
    constant, slope, bend = weights @ gains_db
    distance = _falling_root(constant + 1.0, slope, bend)
    at = np.array([1.0, distance, distance**2]) @ weights
    steepness = max(abs(slope + 2.0 * bend * distance), LEAST_SLOPE)
    smooth_db = about_db + distance
    straight_db = _between_levels(levels_db, gains_db - at_nothing @ gains_db, smooth_db)
    if scatter > BENT:  # levels lie closer than the curve is straight, and each is known well
        sagitta = float(np.mean(np.abs(np.diff(gains_db[near], 2)))) / 8.0  # of the curve over its chords
        variance = float(beside.diagonal().mean()) + float(at @ covariance @ at) + sagitta**2
        point_db, std_db = straight_db, math.sqrt(variance) / steepness
    else:
        point_db, std_db = smooth_db, math.sqrt(scatter * (at @ covariance @ at)) / steepness
    std_db = math.hypot(std_db, (smooth_db - straight_db) / 2.0)
    return point_db, std_db, point_db - NORMAL_95 * std_db


def _solver(columns: FloatArray, covariance: FloatArray) -> FloatArray:
    """(num_columns, num_values) what a generalised least-squares fit multiplies its values by."""
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    return np.asarray(np.linalg.pinv(whiten @ columns) @ whiten)


def _falling_root(constant: float, slope: float, bend: float) -> float:
    """Where constant + slope d + bend d^2 falls through 0, if it does within AROUND_DB; else the end towards which."""
    root = math.sqrt(max(slope**2 - 4.0 * bend * constant, 0.0))
    distance = -2.0 * constant / (slope - root) if slope - root < 0.0 else math.copysign(math.inf, constant)
    return min(max(distance, -AROUND_DB), AROUND_DB)


def _between_levels(levels_db: FloatArray, gains_db: FloatArray, about_db: float) -> float:
    """Where straight lines between the levels fall through -1 dB, nearest to a level; that level if nowhere."""
    below = np.flatnonzero((gains_db[:-1] > -1.0) & (gains_db[1:] <= -1.0))
    if len(below) == 0:
        return about_db
    share = (gains_db[below] + 1.0) / (gains_db[below] - gains_db[below + 1])
    crossings = levels_db[below] + share * (levels_db[below + 1] - levels_db[below])
    return float(crossings[np.argmin(np.abs(crossings - about_db))])
