"""Phase structure function: how far phases wander within a lag, of each device and between devices.

    D(lag) = E (phi(t + lag) - phi(t))^2

of devices whose mean frequency has been removed, turns taken to within half a one, so that D ends at pi^2 / 3.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy.optimize
import scipy.special
from numpy.typing import NDArray

from calibration.lag_pairs import LagPairs, lag_pairs
from calibration.soundings import Soundings

SHORTEST_S, LONGEST_S = 0.8e-4, 1.0
LONGEST_SHARE = (
    0.25  # of the capture: over longer lags the mean frequency that was removed takes too much with it
)
MIN_PAIRS = 2
NUM_COMPARED = 1500  # couples of pairs between which correlations are evaluated
COUPLES = (
    0.7548776662466927,
    0.5698402909980532,
)  # steps that fill a square evenly: 1 / p, 1 / p^2, p^3 = p + 1
MIN_TRIPLES = 30  # from which noise is measured in place
PER_DECADE = 2  # time constants of the process that is fitted for the correlation between pairs
MIN_INSTANTS = 4
FITTED_FREEDOM = 5.0  # of few degrees of freedom, what the fitted process costs
NOISE_KNOWN_TO = (
    0.04  # share: fits that weigh directions by their power move magnitudes a little more than phases
)
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class StructureEstimate:
    """lags_s: (num_lags,). devices_rad2: (num_devices, num_lags), measurement noise removed; may be a little below 0.
    differences_rad2: (num_pairs, num_lags) of the phase of device pairs[k][0] less that of pairs[k][1]: what a common
    oscillator at the receiver does is not in it. `..._std`, `..._interval` (..., 2) of 95 %, from at least 0.
    noise_rad2: (num_devices,) variance of one phase by measurement noise, removed twice. quality: (num_devices,
    num_lags) degrees of freedom, two for each independent look at a complex process; below about 5 a guess.
    """

    lags_s: FloatArray
    devices_rad2: FloatArray
    devices_std_rad2: FloatArray
    devices_interval_rad2: FloatArray
    pairs: tuple[tuple[int, int], ...]
    differences_rad2: FloatArray
    differences_std_rad2: FloatArray
    differences_interval_rad2: FloatArray
    noise_rad2: FloatArray
    quality: FloatArray


def estimate_structure(soundings: Soundings) -> StructureEstimate:
    """Phase structure functions over lags from a symbol to a quarter of the capture, at most a second.

    Pairs of instants overlap, and what they tell is correlated: for Gaussian phases the covariance of two squared
    steps is twice their covariance squared, which follows from the structure function itself. It is taken from a
    smooth one fitted to the estimates (relaxations of many time constants, a random walk and a steady turn), and gives
    each lag its degrees of freedom; the interval is that of chi-square.
    """
    if len(soundings.instants_s) < MIN_INSTANTS:
        raise ValueError(
            f"a structure function needs at least {MIN_INSTANTS} soundings, got {len(soundings.instants_s)}; sound "
            "longer"
        )
    shortest_s = max(float(np.min(np.diff(soundings.instants_s))), SHORTEST_S)
    longest_s = max(min(LONGEST_SHARE * soundings.span_s, LONGEST_S), 1.01 * shortest_s)
    bins = [
        pairs
        for pairs in lag_pairs(soundings.instants_s, shortest_s, longest_s)
        if len(pairs.early) >= MIN_PAIRS
    ]
    if not bins:
        raise ValueError(
            f"no two soundings are less than a quarter of the capture apart ({longest_s:g} s); sound more often"
        )
    num_devices = soundings.gains.shape[1]
    steps = [_steps(soundings, pairs) for pairs in bins]
    noise, noise_freedom = _noise(soundings)
    lags_s = np.array([pairs.lag_s for pairs in bins])
    totals = np.array([np.mean(step**2, axis=0) for step in steps]).T  # (num_devices, num_lags)
    fitted = [
        _covariances(soundings.instants_s, bins, totals[device], lags_s, float(noise[device]))
        for device in range(num_devices)
    ]
    parts = [
        _intervals(totals[device], fitted[device], bins, 2.0 * noise[device : device + 1], noise_freedom)
        for device in range(num_devices)
    ]
    pairs = tuple(combinations(range(num_devices), 2))
    between = []
    for first, second in pairs:
        apart = [step[:, first] - step[:, second] for step in steps]
        total = np.array([np.mean(_within_half(step) ** 2) for step in apart])
        both = [
            (one[0] + other[0], one[1] + other[1])
            for one, other in zip(fitted[first], fitted[second], strict=True)
        ]
        between.append(_intervals(total, both, bins, 2.0 * noise[[first, second]], noise_freedom))
    devices, differences = _columns(parts, len(lags_s)), _columns(between, len(lags_s))
    return StructureEstimate(
        lags_s=lags_s,
        devices_rad2=devices[..., 0],
        devices_std_rad2=devices[..., 1],
        devices_interval_rad2=devices[..., 2:4],
        pairs=pairs,
        differences_rad2=differences[..., 0],
        differences_std_rad2=differences[..., 1],
        differences_interval_rad2=differences[..., 2:4],
        noise_rad2=noise,
        quality=devices[..., 4],
    )


def _steps(soundings: Soundings, pairs: LagPairs) -> FloatArray:
    """(num_pairs, num_devices) turn of each response against the earlier one."""
    early, late = soundings.gains[pairs.early], soundings.gains[pairs.late]
    return np.asarray(np.angle(np.einsum("pdk,pdk->pd", late, early.conj())))


def _within_half(angles: FloatArray) -> FloatArray:
    return np.asarray(angles - 2.0 * np.pi * np.round(angles / (2.0 * np.pi)))


def _noise(soundings: Soundings) -> tuple[FloatArray, float]:
    """(num_devices,) variance of a phase by measurement noise, and its degrees of freedom.

    Noise moves magnitude over |h| and phase alike, an oscillator the phase alone: so it is measured where it acts, from
    how the magnitudes of three neighbours in time differ from a line, over which no channel fades. With few such
    triples it is as predicted.
    """
    gains = soundings.gains
    lengths = np.linalg.norm(gains, axis=2)
    gaps = np.diff(soundings.instants_s)
    nearest = np.flatnonzero(gaps < 1.01 * gaps.min())
    # What neighbours agree in: free of noise, and as long as responses were made, if they were shortened in a fit.
    agreed = np.abs(np.einsum("tdk,tdk->td", gains[nearest + 1], gains[nearest].conj()))
    energies = np.maximum(agreed.mean(axis=0), 1e-300)
    near = np.maximum(gaps[:-1], gaps[1:]) < 2.0 * gaps.min()
    if np.sum(near) < MIN_TRIPLES:
        relative = soundings.noise_variances / energies
        return relative / 2.0 + soundings.freedom * relative**2 / 4.0, np.inf
    share = (gaps[:-1] / (gaps[:-1] + gaps[1:]))[:, None]
    bent = lengths[1:-1] - (1.0 - share) * lengths[:-2] - share * lengths[2:]
    squares = (bent**2 / (1.0 + share**2 + (1.0 - share) ** 2))[near]
    longer = np.mean(lengths**2, axis=0) / energies  # than what is agreed: noise lengthens in all directions
    return squares.mean(axis=0) * longer / energies, float(np.sum(near)) / 2.0


def _covariances(
    instants_s: FloatArray, bins: list[LagPairs], totals: FloatArray, lags_s: FloatArray, noise: float
) -> list[tuple[float, FloatArray]]:
    """For each lag the variance of a step, and (num_couples,) covariances of the steps of couples of pairs.

    Of the process that fits the totals best.
    """
    constants = np.geomspace(
        lags_s[0] / 3.0, 3.0 * lags_s[-1], max(2, round(PER_DECADE * np.log10(9.0 * lags_s[-1] / lags_s[0])))
    )

    def basis(lags: FloatArray) -> FloatArray:
        relaxing = 1.0 - np.exp(-lags[:, None] / constants)
        longest = lags_s[-1]
        return np.column_stack([relaxing, lags / longest, (lags / longest) ** 2])

    known_to = totals * np.sqrt([2.0 / min(len(pairs.early), 100) for pairs in bins]) + 1e-300
    weights, _ = scipy.optimize.nnls(
        basis(lags_s) / known_to[:, None], np.maximum(totals - 2.0 * noise, 0.0) / known_to
    )
    span_s = float(instants_s[-1] - instants_s[0])
    table_s = np.concatenate([[0.0], np.geomspace(lags_s[0] / 10.0, span_s, 400)])
    table = basis(table_s) @ weights

    def between(one: FloatArray, other: FloatArray) -> FloatArray:
        apart = np.abs(one - other)
        return np.interp(apart, table_s, table) + 2.0 * noise * (apart > 0.0)

    found = []
    for pairs in bins:
        first, second = _couples(len(pairs.early))
        start, end = instants_s[pairs.early[first]], instants_s[pairs.late[first]]
        other_start, other_end = instants_s[pairs.early[second]], instants_s[pairs.late[second]]
        crossed = between(end, other_start) + between(start, other_end)
        covariance = (crossed - between(start, other_start) - between(end, other_end)) / 2.0
        found.append((float(np.interp(pairs.lag_s, table_s, table)) + 2.0 * noise, covariance))
    return found


def _couples(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of two different pairs of `count`, evenly through all couples: neighbours as often as they are."""
    index = np.arange(1, NUM_COMPARED + 1)
    first, second = ((index * step % 1.0 * count).astype(np.intp) for step in COUPLES)
    apart = first != second
    return first[apart], second[apart]


def _intervals(
    totals: FloatArray,
    fitted: list[tuple[float, FloatArray]],
    bins: list[LagPairs],
    noises: FloatArray,
    noise_freedom: float,
) -> FloatArray:
    """(num_lags, 5): estimate, standard deviation, both ends of the interval, degrees of freedom.

    noises: variances that are in the totals and are removed.
    """
    noise = float(noises.sum())
    noise_std = float(np.sqrt(np.sum(noises**2) * (2.0 / noise_freedom + NOISE_KNOWN_TO**2)))
    counts = np.array([len(pairs.early) for pairs in bins])
    own = np.array([max(expected**2, 1e-300) for expected, _ in fitted])
    shared = np.array([np.mean(covariance**2) for _, covariance in fitted])
    freedom = np.maximum(own / (own / counts + (1.0 - 1.0 / counts) * shared), 1.0)
    freedom = np.maximum(freedom**2 / (freedom + FITTED_FREEDOM), 1.0)
    low, high = (totals * freedom / scipy.special.chdtri(freedom, level) for level in (0.025, 0.975))
    apart = 1.96 * noise_std
    return np.column_stack(
        [
            totals - noise,
            np.hypot(totals * np.sqrt(2.0 / freedom), noise_std),
            np.maximum(totals - noise - np.hypot(totals - low, apart), 0.0),
            np.maximum(totals - noise + np.hypot(high - totals, apart), 0.0),
            freedom,
        ]
    )


def _columns(parts: list[FloatArray], num_lags: int) -> FloatArray:
    return np.stack(parts) if parts else np.empty((0, num_lags, 5))
