"""By how much responses are turned and delayed against a common one, instant by instant."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from calibration.delay import centred_bins, estimate_mean_delay
from calibration.lag_pairs import lag_pairs
from calibration.soundings import Soundings

NEWTON_STEPS = 3
PER_SAMPLE = 2  # delays tried; the main lobe is wider
PASSES = 2  # the first against one response, the second against their mean
HELD_SHARE = (
    0.3  # of a response's energy along the mean one: with less, nearly always, the channel has become another
)
RARELY = 0.05
FADING_STDS = 5.0  # beyond which a change is not chance
ANOTHER = 0.2  # change over the energy of a response that has become another
MOST_PAIRS = 100
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Steps:
    """phases_rad, delays_samples: (num_instants, num_devices), of the carrier (subcarrier 0), modulo a turn, and of
    the mean delay over the paths; against `references` (num_devices, num_active), which has phase and delay 0.
    phase_variances, delay_variances: (num_devices,) what noise leaves of each. wander_rad, wander_rate: (num_devices,)
    by how much fading may have turned a response from the first instant to the last, rms, and in rad/s at an instant.
    steady: (num_devices,) whether the channel stayed the same but for these; if not they are the steps from instant to
    instant, summed, and the delays are those of the responses themselves less the first's."""

    phases_rad: NDArray[np.float64]
    delays_samples: NDArray[np.float64]
    phase_variances: NDArray[np.float64]
    delay_variances: NDArray[np.float64]
    references: NDArray[np.complex128]
    wander_rad: NDArray[np.float64]
    wander_rate: NDArray[np.float64]
    steady: NDArray[np.bool_]


def estimate_steps(soundings: Soundings) -> Steps:
    """Maximum likelihood of each response's turn and delay, multipath and all, as long as the channel holds still."""
    shape = soundings.gains.shape
    phases, delays = np.empty(shape[:2]), np.empty(shape[:2])
    references = np.empty(shape[1:], dtype=np.complex128)
    variances, wander = np.empty((2, shape[1])), np.empty((2, shape[1]))
    steady = np.empty(shape[1], dtype=bool)
    for device in range(shape[1]):
        responses = soundings.gains[:, device].astype(np.complex128)
        noise = float(soundings.noise_variances[device])
        reference = responses[int(np.argmax(np.linalg.norm(responses, axis=1)))]
        for _ in range(PASSES):
            turns, lags = _align(responses, reference, soundings)
            moved = _undo(responses, turns, lags, soundings)
            reference = moved.mean(axis=0)
        turns, lags = _align(responses, reference, soundings)
        moved = _undo(responses, turns, lags, soundings)
        steady[device] = _is_steady(moved, reference, noise, soundings)
        wander[:, device] = _wander(moved, soundings)
        if not steady[device]:
            turns, lags = _chain(responses, soundings)
        phases[:, device], delays[:, device] = turns, lags
        references[device] = reference
        variances[:, device] = _variances(reference, noise, soundings)
    return Steps(phases, delays, variances[0], variances[1], references, wander[0], wander[1], steady)


def _align(
    responses: NDArray[np.complex128], reference: NDArray[np.complex128], soundings: Soundings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(num_instants,) phases and delays of responses against a reference (num_active,): the best of a grid of delays,
    then Newton's method."""
    ofdm = soundings.ofdm
    products = responses * reference.conj()
    bins = centred_bins(ofdm)
    grid = np.zeros((len(responses), PER_SAMPLE * ofdm.fft_len), dtype=np.complex128)
    grid[:, bins] = products
    strengths = np.abs(scipy.fft.ifft(grid, axis=1, overwrite_x=True))
    lags = scipy.fft.fftfreq(grid.shape[1], 1.0 / ofdm.fft_len)[np.argmax(strengths, axis=1)]
    turning = 2.0 * np.pi * bins / ofdm.fft_len
    weights = np.abs(reference) ** 2
    centred = turning - np.sum(weights * turning) / max(float(np.sum(weights)), TINY)
    for _ in range(NEWTON_STEPS):
        turned = products * np.exp(1j * np.outer(lags, centred))
        total, slope, bend = turned.sum(axis=1), turned @ centred, turned @ centred**2
        gradient = -(np.conj(total) * slope).imag
        curvature = np.abs(slope) ** 2 - (np.conj(total) * bend).real
        lags = lags - np.where(curvature < 0.0, gradient / np.minimum(curvature, -TINY), 0.0)
    turned = products * np.exp(1j * np.outer(lags, turning))
    return np.angle(turned.sum(axis=1)), lags


def _undo(
    responses: NDArray[np.complex128],
    turns: NDArray[np.float64],
    lags: NDArray[np.float64],
    soundings: Soundings,
) -> NDArray[np.complex128]:
    bins = 2.0 * np.pi * centred_bins(soundings.ofdm) / soundings.ofdm.fft_len
    return responses * np.exp(1j * (np.outer(lags, bins) - turns[:, None]))


def _is_steady(
    moved: NDArray[np.complex128], reference: NDArray[np.complex128], noise: float, soundings: Soundings
) -> bool:
    """Whether nearly all responses, undone, point along the mean one, noise apart."""
    along = np.abs(moved @ reference.conj()) ** 2 / max(float(np.linalg.norm(reference)) ** 2, TINY) - noise
    energy = np.linalg.norm(moved, axis=1) ** 2 - noise * soundings.freedom
    return bool(np.quantile(along - HELD_SHARE * energy, RARELY) >= 0.0)


def _wander(moved: NDArray[np.complex128], soundings: Soundings) -> tuple[float, float]:
    """Root mean square turn that goes unseen when phases are undone, in rad over the span and in rad/s at an instant,
    from the change that is left.

    Fading changes a response in all directions alike: half of it, or less where there are several paths, is a turn.
    While it stays small, the turn over the span is no more than the change over long lags. A channel that became
    another turned at random, once in the time that half a turn takes.
    """
    nearest = np.linalg.norm(np.diff(moved, axis=0)[_nearest(soundings)], axis=1) ** 2 / 2.0
    noise = float(np.mean(nearest))
    energy = max(float(np.mean(np.linalg.norm(moved, axis=1) ** 2)) - noise, TINY)
    # What disturbs may point in one direction alone, as what is left of another device does.
    scatter = max(noise / np.sqrt(soundings.freedom), float(np.std(nearest)))
    change = chance = rate = 0.0
    for pairs in lag_pairs(soundings.instants_s, soundings.span_s / 1e3, soundings.span_s, MOST_PAIRS):
        apart = np.linalg.norm(moved[pairs.late] - moved[pairs.early], axis=1) ** 2 / 2.0
        change = max(float(np.mean(apart)) - noise, 0.0)
        looks = min(len(np.unique(pairs.early)), len(np.unique(pairs.late)))  # pairs share instants
        chance = FADING_STDS * scatter * np.sqrt(1.5 * (1.0 / len(nearest) + 1.0 / looks))
        if change > chance and rate == 0.0:
            rate = np.sqrt(2.0 * change / energy) / pairs.lag_s
        if change > max(ANOTHER * energy, chance):
            turned = np.sqrt(4.0 * change / energy) * soundings.span_s / pairs.lag_s
            return float(turned / np.sqrt(1.0 + turned / np.pi)), float(rate)
    return float(np.sqrt(3.0 * change / energy)) if change > chance else 0.0, float(rate)


def _nearest(soundings: Soundings) -> NDArray[np.bool_]:
    gaps = np.diff(soundings.instants_s)
    return np.asarray(gaps < 1.01 * gaps.min())


def _chain(
    responses: NDArray[np.complex128], soundings: Soundings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps between neighbouring instants, summed: a channel that fades is soon another, but not at once."""
    lags = estimate_mean_delay(responses, soundings.ofdm)
    period = soundings.ofdm.fft_len
    lags = np.unwrap(lags, period=period) - lags[0]
    still = _undo(responses, np.zeros(len(lags)), lags, soundings)
    turns = np.angle(np.sum(still[1:] * still[:-1].conj(), axis=1))
    return np.concatenate([[0.0], np.cumsum(turns)]), lags


def _variances(reference: NDArray[np.complex128], noise: float, soundings: Soundings) -> tuple[float, float]:
    """Cramer-Rao bounds of phase (at subcarrier 0) in rad^2 and of delay in samples^2, magnitude unknown."""
    bins = 2.0 * np.pi * centred_bins(soundings.ofdm) / soundings.ofdm.fft_len
    weights = np.abs(reference) ** 2
    energy = max(float(weights.sum()), TINY)
    centre = float(np.sum(weights * bins)) / energy
    delay = noise / 2.0 / max(float(np.sum(weights * (bins - centre) ** 2)), TINY)
    return noise / 2.0 / energy + centre**2 * delay, delay
