"""Phase noise of an oscillator: how strong, how fast, and its spectrum, from phases at equal distances in time.

The model is one pole, S(f) = c / (1 + (f / corner)^2) up to 20 corners. A phase that was averaged over a window (a symbol's
body) sees the spectrum through sinc^2(f window), folded by the sampling, over white measurement noise. What is fitted is
the spectrum of blocks of the capture (Whittle's likelihood), and how far its bands lie off the fit enters the
deviations, so that they hold for lines as well as for Gaussian noise.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.optimize
import scipy.signal
import scipy.stats
from numpy.typing import NDArray

from radio.interface import Samples

REACH = 20.0  # corners at which the noise ends
NUM_BLOCKS = 4
MIN_BLOCK_LEN = 48
LOWEST_BIN = 3  # of a block's spectrum: below, the line that is taken out and the taper leave nothing
BINS_PER_DECADE = 24
HANN_WIDTH = 1.5  # bins of a Hann taper's noise bandwidth: neighbours are no more independent than that
NUM_CORNERS = 72
MOST_CORNER = 4.0  # of the corners searched, over the rate of the phases
REFITS = 3
FEWEST = 10  # bands that are fitted at least
STARTS = 0.03, 0.2, 0.8  # shares of the power that may be phase noise, for a search to begin with
CERTAIN = 9.2  # twice the logarithm of a likelihood ratio that noise alone exceeds in 1 % (chi-square, 2)
TINY = 1e-300
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class PhaseNoiseEstimate:
    """rms_deg, corner_hz: of the one-pole model, with standard deviations and 95 % intervals. common_rms_deg: of the
    phases as they were measured, averaged over their window and noise removed: without a model.

    seen: whether there is more than measurement noise; if not rms_deg, corner_hz and their deviations are nan, and
    both rms intervals run from 0 to a bound on the common phase. corner_known: whether the spectrum bends within what
    was measured; if not only rms^2 / corner (slow sampling) or rms^2 corner (a short capture) is, and the deviations are
    of what the search allowed. freqs_hz, spectrum_dbc_hz: (num_freqs,) L(f), single sideband, window and folding undone
    by the model, with 95 % interval (num_freqs, 2), -inf below where noise hides it (nan the estimate).
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

    received, expected: (num_samples,), aligned, through the same channel; carrier offset removed. returns: (num_groups,)
    unwrapped, each over `group_len` samples, and rad^2. Short groups see fast noise, and need SNR: below 10 dB a group
    turns are miscounted.
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
    """Strength, corner and spectrum from (num_phases,) unwrapped phases `interval_s` apart, averaged over `window_s`.

    noise_variance: of a phase through measurement noise, rad^2, with its standard deviation. An offset of the phase and
    of the frequency are removed from each twelfth of the capture.
    """
    block_len = len(phases_rad) // NUM_BLOCKS
    if block_len < MIN_BLOCK_LEN:
        raise ValueError(
            f"phase noise needs at least {NUM_BLOCKS * MIN_BLOCK_LEN} phases, got {len(phases_rad)}; record longer"
        )
    if not 0.0 <= window_s <= interval_s:
        raise ValueError(f"window_s must be in [0, {interval_s:g}] (interval_s), got {window_s:g}")
    straight = scipy.signal.detrend(phases_rad[: NUM_BLOCKS * block_len])
    freqs_hz, spectra = _spectra(straight.reshape(NUM_BLOCKS, block_len), interval_s)
    bands = _bands(len(freqs_hz))
    counts = np.bincount(bands)
    spectrum = np.bincount(bands, spectra.mean(axis=0)) / counts
    centres_hz = np.bincount(bands, freqs_hz) / counts
    model = _model(bands, block_len, interval_s, window_s)
    floor = noise_variance * interval_s
    fit = model.fit(spectrum, counts, floor)
    seen = fit.gain > CERTAIN
    counted = counts
    for _ in range(REFITS if seen else 0):  # the model ends at 20 corners, and an oscillator's noise somewhere else
        counted = np.where(centres_hz <= max(REACH * fit.corner_hz, centres_hz[min(FEWEST, len(counts)) - 1]), counts, 0)
        fit = model.fit(spectrum, counted, floor, near=fit)
    common = _common(straight, noise_variance, noise_std)
    levels, levels_interval = _undo(spectrum, counts, centres_hz, floor, fit, model)
    rms = corner = _Summary(np.nan, np.nan, (0.0, np.inf))
    if seen:
        moved = [
            model.fit(spectrum, counted, max(floor + sign * noise_std * interval_s, 0.0), near=fit)
            for sign in (-1.0, 1.0)
        ]
        power_std, corner_std, freedom = model.spread(fit, spectrum, counted, floor)
        less, more = moved
        rms = _summarise(
            float(np.rad2deg(np.sqrt(fit.power))), power_std / 2.0, np.log(more.power / less.power) / 4.0, freedom
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


def one_pole_spectrum(freqs_hz: FloatArray, power: float, corner_hz: float) -> FloatArray:
    """Two-sided density in rad^2 / Hz of one-pole noise of variance `power`: also L(f), linear."""
    return np.where(np.abs(freqs_hz) <= REACH * corner_hz, _endless(freqs_hz, power, corner_hz), 0.0)


def _endless(freqs_hz: FloatArray, power: float, corner_hz: float) -> FloatArray:
    return np.asarray(power / (2.0 * corner_hz * np.arctan(REACH)) / (1.0 + (freqs_hz / corner_hz) ** 2))


@dataclass(frozen=True, eq=False)
class _Fit:
    """power: variance in rad^2. gain: twice the logarithm of its likelihood over that of noise alone."""

    power: float
    corner_hz: float
    gain: float


@dataclass(frozen=True, eq=False)
class _Model:
    """What is expected of the bands of a block's spectrum for unit variance: (num_corners, num_bands)."""

    corners_hz: FloatArray
    shapes: FloatArray

    def shape(self, corner_hz: float) -> FloatArray:
        """(num_bands,) between the corners of the table, a power law."""
        place = np.interp(np.log(corner_hz), np.log(self.corners_hz), np.arange(len(self.corners_hz)))
        first = min(int(place), len(self.corners_hz) - 2)
        logs = np.log(self.shapes[first : first + 2])
        return np.asarray(np.exp(logs[0] + (place - first) * (logs[1] - logs[0])))

    def fit(
        self, spectrum: FloatArray, counts: NDArray[np.intp], floor: float, near: _Fit | None = None
    ) -> _Fit:
        """Whittle's likelihood at its best: over the whole grid, or from a fit that is near."""
        weights = counts * (NUM_BLOCKS / HANN_WIDTH)
        least = TINY + 1e-9 * floor

        def cost(point: FloatArray) -> float:
            inside = np.clip(point[1], np.log(self.corners_hz[0]), np.log(self.corners_hz[-1]))
            expected = np.exp(point[0]) * self.shape(float(np.exp(inside))) + floor + least
            outside = float((point[1] - inside) ** 2)
            return float(np.sum(weights * (np.log(expected) + spectrum / expected))) + 1e3 * outside

        if near is None:
            excess = max(float(np.average(spectrum, weights=counts)), TINY)
            starts = [
                np.array([np.log(excess * share / np.average(shape, weights=counts)), np.log(corner)])
                for corner, shape in zip(self.corners_hz[::3], self.shapes[::3], strict=True)
                for share in STARTS
            ]
            start = min(starts, key=cost)
        else:
            start = np.log([near.power, near.corner_hz])
        found = scipy.optimize.minimize(
            cost, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4}
        )
        alone = float(np.sum(weights * (np.log(floor + least) + spectrum / (floor + least))))
        corner_hz = float(np.clip(np.exp(found.x[1]), self.corners_hz[0], self.corners_hz[-1]))
        return _Fit(float(np.exp(found.x[0])), corner_hz, 2.0 * (alone - float(found.fun)))


    def spread(
        self, fit: _Fit, spectrum: FloatArray, counts: NDArray[np.intp], floor: float
    ) -> tuple[float, float, float]:
        """Standard deviations of the logarithms of power and corner, and the degrees of freedom they are known with.

        The larger of what Gaussian noise leaves, and of what the bands' own scatter about the fit does (the sandwich
        of Huber and White): a few strong lines lie farther off it.
        """
        expected = fit.power * self.shape(fit.corner_hz) + floor + TINY
        nudge = 1e-3
        moved = [fit.power * self.shape(fit.corner_hz * np.exp(sign * nudge)) for sign in (-1.0, 1.0)]
        slopes = np.column_stack([expected - floor, (moved[1] - moved[0]) / (2.0 * nudge)]) / expected[:, None]
        information = (slopes * counts[:, None]).T @ slopes
        inverse = np.linalg.pinv(information)
        apart = counts * (spectrum / expected - 1.0)
        middle = (slopes * (apart**2)[:, None]).T @ slopes * HANN_WIDTH
        scattered = np.diag(inverse @ middle @ inverse)
        gaussian = np.diag(inverse) * HANN_WIDTH / NUM_BLOCKS
        influence = counts * np.sum(slopes @ inverse * slopes, axis=1)
        freedom = float(np.sum(influence) ** 2 / np.sum(influence**2))
        power, corner = np.sqrt(np.maximum(scattered, gaussian)).tolist()
        return power, corner, freedom


def _model(bands: NDArray[np.intp], block_len: int, interval_s: float, window_s: float) -> _Model:
    freqs_hz = np.arange(block_len // 2 + 2) / (block_len * interval_s)
    corners_hz = np.geomspace(0.3 / (block_len * interval_s), MOST_CORNER / interval_s, NUM_CORNERS)
    counts = np.bincount(bands)
    shapes = []
    for corner_hz in corners_hz:
        folds = np.arange(-1, int(np.ceil(REACH * corner_hz * interval_s)) + 1)
        folded = np.zeros(len(freqs_hz))
        for fold in np.unique(np.concatenate([folds, -folds])):
            at_hz = freqs_hz + fold / interval_s
            folded += _endless(at_hz, 1.0, corner_hz) * np.sinc(at_hz * window_s) ** 2
        tapered = (folded[:-2] + 4.0 * folded[1:-1] + folded[2:]) / 6.0  # a Hann taper's main lobe
        used = tapered[LOWEST_BIN - 1 : LOWEST_BIN - 1 + len(bands)]
        shapes.append(np.maximum(np.bincount(bands, used) / counts, TINY))
    return _Model(corners_hz, np.array(shapes))


def _spectra(blocks: FloatArray, interval_s: float) -> tuple[FloatArray, FloatArray]:
    """(num_freqs,) and (num_blocks, num_freqs) two-sided periodograms in rad^2 / Hz, Hann taper."""
    block_len = blocks.shape[1]
    taper = np.hanning(block_len + 1)[:-1]
    spectra = np.abs(scipy.fft.rfft(blocks * taper, axis=1)) ** 2 * interval_s / np.sum(taper**2)
    freqs_hz = scipy.fft.rfftfreq(block_len, interval_s)
    used = slice(LOWEST_BIN, (block_len + 1) // 2)  # half the rate has half the freedom
    return freqs_hz[used], spectra[:, used]


def _bands(num_freqs: int) -> NDArray[np.intp]:
    """(num_freqs,) number of the logarithmic band of each bin; no band is empty."""
    ranks = np.log10(np.arange(num_freqs) + LOWEST_BIN) * BINS_PER_DECADE
    return np.unique(np.floor(ranks), return_inverse=True)[1]


def _common(straight: FloatArray, noise_variance: float, noise_std: float) -> "_Summary":
    """Root mean square, deviation and 95 % interval in degrees: chi-square, with the freedom that the spectrum leaves."""
    lines = np.abs(scipy.fft.rfft(straight)[1:]) ** 2
    total = float(np.sum(straight**2)) / (len(straight) - 2)
    freedom = max(float(4.0 * np.sum(lines) ** 2 / np.sum(lines**2)), 1.0)  # of exponential lines, mean squares twice
    ends = total * freedom / scipy.stats.chi2.ppf([0.975, 0.025], freedom)
    apart = np.hypot(ends - total, 1.96 * noise_std) * [-1.0, 1.0]
    excess = total - noise_variance
    std = float(np.hypot(total * np.sqrt(2.0 / freedom), noise_std))
    low, middle, high = np.rad2deg(np.sqrt(np.maximum([excess + apart[0], excess, excess + apart[1]], 0.0))).tolist()
    return _Summary(middle, float(np.rad2deg(std / (2.0 * np.sqrt(max(excess, std, TINY))))), (low, high))


def _undo(
    spectrum: FloatArray,
    counts: NDArray[np.intp],
    freqs_hz: FloatArray,
    floor: float,
    fit: _Fit,
    model: _Model,
) -> tuple[FloatArray, FloatArray]:
    """(num_bands,) L(f) in dBc/Hz and (num_bands, 2) its interval, window and folding undone as in the model."""
    freedom = 2.0 * NUM_BLOCKS * np.maximum(counts / HANN_WIDTH, 1.0)
    low = spectrum * freedom / scipy.stats.chi2.ppf(0.975, freedom)
    high = spectrum * freedom / scipy.stats.chi2.ppf(0.025, freedom)
    ratio = _endless(freqs_hz, 1.0, fit.corner_hz) / model.shape(fit.corner_hz)
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
