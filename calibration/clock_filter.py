"""Phase or time of a clock whose frequency walks at random, seen in noise at unequal instants.

    y(t) = a(t) + m(t) + noise,    m(t) = integral of f from the first instant to t

f walks with variance q a second (a crystal), a with variance w (an oscillator's white frequency noise, or a channel
that fades), and the noise has a variance of its own, whose scale the innovations tell. q, w and the scale are not
known: a Kalman filter runs for each pair (q, w) of a grid, and results are averaged by how well each predicts what is
seen. So the stated deviations contain the walk as far as it can be seen, and what of it cannot be told apart.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr

FREQUENCY_WALKS = np.concatenate([[0.0], np.geomspace(1e-4, 1e3, 15)])  # cycles^2 / s^3
PHASE_WALKS = np.concatenate([[0.0], np.geomspace(1e-6, 1e2, 9)])  # cycles^2 / s
STEADY_PRIORS = 0.9, 0.5  # probability that there is no such walk at all: of phase, of frequency
PRIOR_FREEDOM = 4.0  # values that the predicted noise variance is worth as an observation of its scale
HALVINGS = 40
COUNTABLE_CYCLES = 0.125  # deviation of a prediction above which turns are not counted but started anew
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClockState:
    """All (num_devices,) but the interval. mean_hz: frequency over the span, (m at its end) / span; last_hz: at the
    last instant; last_cycles: a + m there; each with the standard deviation of what is left unknown. walk: root of q
    in Hz per root second, with its central 95 % interval (num_devices, 2). quality: probability that all turns were
    counted right."""

    mean_hz: FloatArray
    mean_std_hz: FloatArray
    last_hz: FloatArray
    last_std_hz: FloatArray
    last_cycles: FloatArray
    last_std_cycles: FloatArray
    walk: FloatArray
    walk_interval: FloatArray
    quality: FloatArray


def filter_clock(
    cycles: FloatArray,
    instants_s: FloatArray,
    variances: FloatArray,
    guess_hz: FloatArray,
    guess_std_hz: FloatArray,
    *,
    wrapped: bool,
) -> ClockState:
    """Follow clocks from the first instant to the last.

    cycles: (num_instants, num_devices), modulo 1 if `wrapped`. variances: (num_devices,) of the noise, cycles^2.
    guess_hz, guess_std_hz: (num_devices,) what is known of the frequency before. Where the next instant is so far
    off that turns cannot be counted, phase starts anew and the frequency goes on.
    """
    walk, phase_walk = (grid.ravel()[:, None] for grid in np.meshgrid(FREQUENCY_WALKS, PHASE_WALKS))
    shape = (len(walk), cycles.shape[1])
    # State (a, m, f) and the upper triangle of its covariance, for all hypotheses and devices at once.
    a = np.broadcast_to(cycles[0], shape)
    m, f = np.zeros(shape), np.broadcast_to(guess_hz, shape)
    aa, ff = np.broadcast_to(variances, shape), np.broadcast_to(guess_std_hz**2, shape)
    am = af = mm = mf = np.zeros(shape)
    squares, logs, counted, doubt = (np.zeros(shape) for _ in range(4))
    for seen, step_s in zip(cycles[1:], np.diff(instants_s), strict=True):
        m = m + f * step_s
        am = am + af * step_s
        mm = mm + 2.0 * step_s * mf + step_s**2 * ff + walk * step_s**3 / 3.0
        mf = mf + step_s * ff + walk * step_s**2 / 2.0
        ff = ff + walk * step_s
        aa = aa + phase_walk * step_s
        to_a, to_m, to_f = aa + am, am + mm, af + mf
        spread = to_a + to_m + variances
        missed = seen - a - m
        countable = np.ones(shape, dtype=bool)
        if wrapped:
            missed = missed - np.round(missed)
            countable = spread < COUNTABLE_CYCLES**2
            doubt += np.where(countable, 2.0 * ndtr(-0.5 / np.sqrt(spread)), 0.0)
        squares += np.where(countable, missed**2 / spread, 0.0)
        logs += np.where(countable, np.log(spread), 0.0)
        counted += countable
        gain_a, gain_m, gain_f = to_a / spread, to_m / spread, to_f / spread
        # An uncountable phase tells nothing but what `a` is now: the observation less m.
        a = np.where(countable, a + gain_a * missed, seen - m)
        aa = np.where(countable, aa - gain_a * to_a, variances + mm)
        am = np.where(countable, am - gain_a * to_m, -mm)
        af = np.where(countable, af - gain_a * to_f, -mf)
        m = np.where(countable, m + gain_m * missed, m)
        mm = np.where(countable, mm - gain_m * to_m, mm)
        mf = np.where(countable, mf - gain_m * to_f, mf)
        f = np.where(countable, f + gain_f * missed, f)
        ff = np.where(countable, ff - gain_f * to_f, ff)
    weights, scales = _weigh(squares, logs, counted)
    span_s = instants_s[-1] - instants_s[0]
    mean_hz, mean_std = _mix(m / span_s, mm / span_s**2 * scales, weights)
    last_hz, last_std = _mix(f, ff * scales, weights)
    last, last_cycles_std = _mix(a + m, (aa + 2.0 * am + mm) * scales, weights)
    marginal = (weights * np.ones(shape)).reshape(len(PHASE_WALKS), len(FREQUENCY_WALKS), -1).sum(axis=0)
    roots, interval = _walk(marginal)
    quality = np.sum(weights * np.exp(-doubt), axis=0)
    return ClockState(
        mean_hz, mean_std, last_hz, last_std, last, last_cycles_std, roots, interval, np.minimum(quality, 1.0)
    )


def _weigh(squares: FloatArray, logs: FloatArray, counted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Posterior of the hypotheses, and the expected scale of all variances under each.

    The scale has an inverse-gamma prior about 1, and is integrated out. An uncountable phase is uniform: density 1.
    """
    shape = (PRIOR_FREEDOM + counted) / 2.0
    rate = (PRIOR_FREEDOM + squares) / 2.0
    evidence = gammaln(shape) - shape * np.log(rate) - (logs + counted * math.log(2.0 * math.pi)) / 2.0
    priors = [
        np.where(grid == 0.0, steady, (1.0 - steady) / (len(grid) - 1))
        for grid, steady in zip((PHASE_WALKS, FREQUENCY_WALKS), STEADY_PRIORS, strict=True)
    ]
    evidence = evidence + np.log(np.outer(*priors).ravel())[:, None]
    weights = np.exp(evidence - evidence.max(axis=0))
    return weights / weights.sum(axis=0), rate / (shape - 1.0)


def _mix(values: FloatArray, variances: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean of a mixture of Gaussians, and its standard deviation as a central 95 % interval has it.

    Improbable large walks would rule the second moment, and hardly move the interval.
    """
    mean = np.sum(weights * values, axis=0)
    stds = np.sqrt(np.maximum(variances, 1e-300))
    widest = np.sqrt(np.sum(weights * (variances + (values - mean) ** 2), axis=0))
    low, high = np.zeros(len(mean)), 10.0 * widest
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        held = np.sum(
            weights * (ndtr((mean + middle - values) / stds) - ndtr((mean - middle - values) / stds)), axis=0
        )
        low, high = np.where(held < 0.95, middle, low), np.where(held < 0.95, high, middle)
    return mean, high / 1.96


def _walk(marginal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean root of q and its central 95 % interval, of the discrete posterior (num_walks, num_devices)."""
    roots = np.sqrt(FREQUENCY_WALKS)
    below = np.cumsum(marginal, axis=0)
    edges = np.concatenate([roots[:1], np.sqrt(roots[1:-1] * roots[2:]), 2.0 * roots[-1:]])
    interval = np.array(
        [
            [np.interp(level, column, edges) for level in (0.025, 0.975)]
            for column in np.maximum.accumulate(below, axis=0).T
        ]
    )
    return roots @ marginal, interval
