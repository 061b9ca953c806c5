"""Phase noise of an oscillator: how strong, how fast, and its spectrum, from phases at equal distances in time.

One pole is fitted to the spectrum of blocks of the capture (Whittle's likelihood). How far its bands lie off the fit
enters the deviations, so that they hold for lines as well as for Gaussian noise.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal
import scipy.stats
from numpy.typing import NDArray

from calibration.one_pole import (
    HANN_WIDTH,
    LOWEST_BIN,
    REACH,
    TINY,
    OnePoleFit,
    OnePoleModel,
    endless_spectrum,
    one_pole_model,
)
from radio.interface import Samples

NUM_BLOCKS = 4
MIN_BLOCK_LEN = 48
REFITS = 3
FEWEST = 10  # bands that are fitted at least
CERTAIN = 9.2  # twice the logarithm of a likelihood ratio that noise alone exceeds in 1 % (chi-square, 2)
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class PhaseNoiseEstimate:
    """rms_deg, corner_hz: of the one-pole model, with standard deviations and 95 % intervals. common_rms_deg: of the
    phases as they were measured, averaged over their window and noise removed: without a model.

    seen: whether there is more than measurement noise; if not rms_deg, corner_hz and their deviations are nan, and
    both rms intervals run from 0 to a bound on the common phase. corner_known: whether the spectrum bends within what
    was measured; if not only rms^2 / corner (slow sampling) or rms^2 corner (a short capture) is, and the deviations
    are of what the search allowed. freqs_hz, spectrum_dbc_hz: (num_freqs,) L(f), single sideband, window and folding
    undone by the model, with 95 % interval (num_freqs, 2), -inf below where noise hides it (nan the estimate).
    quality: share of the measured variance that is phase noise.
    """

    rms_deg: float
    rms_std_deg: float
    rms_interval_deg: tuple[float, float]
    corner_hz: float
    corner_std_hz: float
    corner_interval_hz: tuple[float, float]
    common_rms_deg: float
    common_rms_std_deg: float
    common_rms_interval_deg: tuple[float, float]
    seen: bool
    corner_known: bool
    freqs_hz: FloatArray
    spectrum_dbc_hz: FloatArray
    spectrum_interval_dbc_hz: FloatArray
    quality: float


def burst_phases(
    received: Samples, expected: Samples, group_len: int, noise_variance: float
) -> tuple[FloatArray, float]:
    """Phases of a received tone or burst against what is expected of it, and their mean variance through noise.

    received, expected: (num_samples,), aligned, through the same channel; carrier offset removed. returns:
    (num_groups,) unwrapped, each over `group_len` samples, and rad^2. Short groups see fast noise, and need SNR: below
    10 dB a group turns are miscounted.
    """
    if received.shape != expected.shape:
        raise ValueError(
            f"received and expected must be equally long, got {len(received)} and {len(expected)}"
        )
    if not 1 <= group_len <= len(received):
        raise ValueError(f"group_len must be in [1, {len(received)}] samples, got {group_len}")
    count = len(received) // group_len
    known = expected[: count * group_len].astype(np.complex128).reshape(count, group_len)
    seen = received[: count * group_len].astype(np.complex128).reshape(count, group_len)
    energies = np.sum(np.abs(known) ** 2, axis=1)
    if not np.all(energies > 0.0):
        raise ValueError(
            f"nothing is expected in {np.sum(energies <= 0.0)} of {count} groups; leave silence out or lengthen groups"
        )
    phases = np.unwrap(np.angle(np.sum(seen * known.conj(), axis=1)))
    return phases, float(np.mean(noise_variance / (2.0 * energies)))


def estimate_phase_noise(
    phases_rad: FloatArray,
    interval_s: float,
    window_s: float,
    noise_variance: float,
    noise_std: float = 0.0,
) -> PhaseNoiseEstimate:
    """Strength, corner and spectrum from (num_phases,) unwrapped phases `interval_s` apart, averaged over `window_s`,
    or from those of several captures, (num_captures, num_phases).

    noise_variance: of a phase through measurement noise, rad^2, with its standard deviation. An offset of the phase and
    of the frequency are removed from each capture.
    """
    rows = np.atleast_2d(phases_rad)
    block_len = rows.shape[1] // NUM_BLOCKS
    if block_len < MIN_BLOCK_LEN:
        raise ValueError(
            f"phase noise needs at least {NUM_BLOCKS * MIN_BLOCK_LEN} phases, got {rows.shape[1]}; record longer"
        )
    if not 0.0 <= window_s <= interval_s:
        raise ValueError(f"window_s must be in [0, {interval_s:g}] (interval_s), got {window_s:g}")
    straight = scipy.signal.detrend(rows[:, : NUM_BLOCKS * block_len], axis=1)
    freqs_hz, spectra = _spectra(straight.reshape(-1, block_len), interval_s)
    model = one_pole_model(block_len, interval_s, window_s)
    counts = np.bincount(model.bands)
    spectrum = np.bincount(model.bands, spectra.mean(axis=0)) / counts
    centres_hz = np.bincount(model.bands, freqs_hz) / counts
    floor = noise_variance * interval_s
    looks = counts * (len(spectra) / HANN_WIDTH)
    fit = model.fit(spectrum, looks, floor)
    seen = fit.gain > CERTAIN
    counted = looks
    for _ in range(REFITS if seen else 0):
        # The model ends at 20 corners, an oscillator's noise somewhere else: beyond, nothing is compared.
        end_hz = max(REACH * fit.corner_hz, float(centres_hz[min(FEWEST, len(looks)) - 1]))
        counted = np.where(centres_hz <= end_hz, looks, 0.0)
        fit = model.fit(spectrum, counted, floor, near=fit)
    common = _common(straight, noise_variance, noise_std)
    levels, levels_interval = _undo(spectrum, looks, centres_hz, floor, fit, model)
    rms = corner = _Summary(np.nan, np.nan, (0.0, np.inf))
    if seen:
        moved = [
            model.fit(spectrum, counted, max(floor + sign * noise_std * interval_s, 0.0), near=fit)
            for sign in (-1.0, 1.0)
        ]
        power_std, corner_std, freedom = model.spread(fit, spectrum, counted, floor)
        less, more = moved
        rms = _summarise(
            float(np.rad2deg(np.sqrt(fit.power))),
            power_std / 2.0,
            np.log(more.power / less.power) / 4.0,
            freedom,
        )
        corner = _summarise(fit.corner_hz, corner_std, np.log(more.corner_hz / less.corner_hz) / 2.0, freedom)
    return PhaseNoiseEstimate(
        rms_deg=rms.value,
        rms_std_deg=rms.std,
        rms_interval_deg=rms.interval if seen else (0.0, common.interval[1]),
        corner_hz=corner.value,
        corner_std_hz=corner.std,
        corner_interval_hz=corner.interval,
        common_rms_deg=common.value,
        common_rms_std_deg=common.std,
        common_rms_interval_deg=common.interval,
        seen=seen,
        corner_known=bool(
            model.corners_hz[1] < corner.interval[0] and corner.interval[1] < model.corners_hz[-2]
        ),
        freqs_hz=centres_hz,
        spectrum_dbc_hz=levels,
        spectrum_interval_dbc_hz=levels_interval,
        quality=min(max(1.0 - floor / max(float(np.mean(spectra)), TINY), 0.0), 1.0),
    )


def _spectra(blocks: FloatArray, interval_s: float) -> tuple[FloatArray, FloatArray]:
    """(num_freqs,) and (num_blocks, num_freqs) two-sided periodograms in rad^2 / Hz, Hann taper."""
    block_len = blocks.shape[1]
    taper = np.hanning(block_len + 1)[:-1]
    spectra = np.abs(scipy.fft.rfft(blocks * taper, axis=1)) ** 2 * interval_s / np.sum(taper**2)
    freqs_hz = scipy.fft.rfftfreq(block_len, interval_s)
    used = slice(LOWEST_BIN, (block_len + 1) // 2)  # half the rate has half the freedom
    return freqs_hz[used], spectra[:, used]


def _common(straight: FloatArray, noise_variance: float, noise_std: float) -> "_Summary":
    """Root mean square, deviation and 95 % interval in degrees: chi-square, its freedom from the spectrum.

    straight: (num_captures, num_phases)."""
    lines = np.abs(scipy.fft.rfft(straight, axis=1)[:, 1:]) ** 2
    total = float(np.sum(straight**2)) / (straight.size - 2 * len(straight))
    freedom = max(
        float(4.0 * np.sum(lines) ** 2 / np.sum(lines**2)), 1.0
    )  # squares of exponentials are double
    ends = freedom / scipy.stats.chi2.ppf([0.975, 0.025], freedom) - 1.0
    # A variance below that of the noise is luck: it does not bound the rest any lower.
    apart = np.hypot(ends * [total, max(total, noise_variance)], 1.96 * noise_std) * [-1.0, 1.0]
    excess = total - noise_variance
    std = float(np.hypot(total * np.sqrt(2.0 / freedom), noise_std))
    parts = excess + apart[0], excess, max(excess, 0.0) + apart[1]
    low, middle, high = np.rad2deg(np.sqrt(np.maximum(parts, 0.0))).tolist()
    return _Summary(middle, float(np.rad2deg(std / (2.0 * np.sqrt(max(excess, std, TINY))))), (low, high))


def _undo(
    spectrum: FloatArray,
    looks: FloatArray,
    freqs_hz: FloatArray,
    floor: float,
    fit: OnePoleFit,
    model: OnePoleModel,
) -> tuple[FloatArray, FloatArray]:
    """(num_bands,) L(f) in dBc/Hz and (num_bands, 2) its interval, window and folding undone as in the model."""
    freedom = 2.0 * np.maximum(looks, NUM_BLOCKS)
    low = spectrum * freedom / scipy.stats.chi2.ppf(0.975, freedom)
    high = spectrum * freedom / scipy.stats.chi2.ppf(0.025, freedom)
    ratio = endless_spectrum(freqs_hz, 1.0, fit.corner_hz) / model.shape(fit.corner_hz)
    excesses = np.stack([spectrum, low, high]) - floor
    levels = 10.0 * np.log10(np.maximum(excesses * ratio, TINY))
    levels = np.where(excesses > 0.0, levels, -np.inf)
    return np.where(np.isfinite(levels[1]), levels[0], np.nan), levels[1:].T


@dataclass(frozen=True, eq=False)
class _Summary:
    value: float
    std: float
    interval: tuple[float, float]


def _summarise(value: float, spread: float, shift: float, freedom: float) -> _Summary:
    """From deviations of the logarithm: through scatter, and through what measurement noise may be."""
    std = float(np.hypot(spread, shift))
    reach = float(scipy.stats.t.ppf(0.975, max(freedom, 2.0))) * std
    return _Summary(value, value * std, (value * float(np.exp(-reach)), value * float(np.exp(reach))))
