"""Paths of a channel from one response with known noise: taps, delay spread, coherence bandwidth, path count.

Delay spread and coherence bandwidth come from the correlation of the response over frequency,

    rho(m) = sum_k h(k + m) conj h(k) / sqrt(sum |h(k + m)|^2 sum |h(k)|^2),

not from taps: a path between two samples fills many taps, and noise all of them, which would both lengthen the channel.
So they are what the band shows: paths closer than a sample's width interfere there as they do for any receiver.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from calibration.channel import tap_subspace
from calibration.delay import centred_bins
from calibration.tone import estimate_tone
from radio.ofdm import OfdmConfig

COHERENT = 0.5  # correlation that defines the coherence bandwidth
WIDEST_SHARE = 0.5  # of the band: over wider steps too few subcarriers are left to compare
FALSE_ALARM = 1e-3  # probability that noise alone is counted as a path
MOST_PATHS = 16
FIT_STEPS = 4
MOST_STEP = 0.5  # samples by which a delay moves at once
RANK_TOLERANCE = 1e-3  # of the strongest direction: what taps reach less is noise
ROUNDING = 1e-10  # share of the energy that is not looked into without noise
TINY = 1e-300
ComplexArray = NDArray[np.complex128]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class MultipathEstimate:
    """taps: (prefix_len,) impulse response at delays -lead .. prefix_len - lead - 1 samples, of least energy among
    those that give the response on the active subcarriers; tap_std: of each through noise, both parts together.

    delay_spread_samples: root of the second central moment of delay, from the correlation between neighbouring
    subcarriers, (fft_len / 2 pi) sqrt(2 (1 - |rho(1)|)); noise removed, 0 at least. coherence_bandwidth_hz: least
    spacing at which |rho| falls to 0.5; where it does not over half the band, nan, and the interval runs from a lower
    bound to infinity. `..._std` predicted, `..._interval` of 95 %. path_delays_samples, path_gains: (num_paths,) in the
    order of falling strength, found one after the other until noise explains the rest; paths closer than
    fft_len / num_active samples merge, or split where they do not fit. quality: share of energy that is not noise.
    """

    taps: ComplexArray
    tap_std: FloatArray
    delay_spread_samples: float
    delay_spread_std_samples: float
    delay_spread_interval_samples: tuple[float, float]
    coherence_bandwidth_hz: float
    coherence_bandwidth_std_hz: float
    coherence_bandwidth_interval_hz: tuple[float, float]
    path_delays_samples: FloatArray
    path_gains: ComplexArray
    quality: float

    @property
    def num_paths(self) -> int:
        """Paths above noise."""
        return len(self.path_gains)


def estimate_multipath(
    response: NDArray[np.complexfloating],
    error_variance: float,
    ofdm: OfdmConfig,
    num_taps: int | None = None,
    lead_samples: int = 0,
) -> MultipathEstimate:
    """What one response (num_active,) says of the paths.

    error_variance: expected |error|^2 of a gain. num_taps: of the fit that the response came from, at delays from
    -lead_samples on, in whose space its errors lie; None if each gain has an error of its own.
    """
    if response.shape != (ofdm.num_active,):
        raise ValueError(f"response must have shape ({ofdm.num_active},), got {response.shape}")
    if not error_variance >= 0.0:
        raise ValueError(f"error_variance must be at least 0, got {error_variance:g}")
    if ofdm.prefix_len < 1:
        raise ValueError("prefix_len must be at least 1 for an impulse response, got 0; use a prefix")
    h = response.astype(np.complex128)
    errors = _error_basis(error_variance, ofdm, num_taps, lead_samples)
    energy = max(float(np.linalg.norm(h) ** 2) - error_variance * ofdm.num_active, 0.0)
    sums = _taken_off(h, errors, ofdm)
    taps, tap_std = _taps(h, errors, ofdm, lead_samples)
    spread, spread_std, spread_interval = _delay_spread(sums, h, errors, ofdm)
    width, width_std, width_interval = _coherence_bandwidth(sums, h, errors, ofdm)
    delays, gains = _paths(h, errors, ofdm)
    return MultipathEstimate(
        taps=taps,
        tap_std=tap_std,
        delay_spread_samples=spread,
        delay_spread_std_samples=spread_std,
        delay_spread_interval_samples=spread_interval,
        coherence_bandwidth_hz=width,
        coherence_bandwidth_std_hz=width_std,
        coherence_bandwidth_interval_hz=width_interval,
        path_delays_samples=delays,
        path_gains=gains,
        quality=energy / max(float(np.linalg.norm(h) ** 2), TINY),
    )


def _error_basis(
    error_variance: float, ofdm: OfdmConfig, num_taps: int | None, lead_samples: int
) -> ComplexArray:
    """(num_active, rank) matrix B with errors B n, n white of unit variance."""
    if num_taps is None:
        return np.sqrt(error_variance) * np.eye(ofdm.num_active, dtype=np.complex128)
    basis = tap_subspace(ofdm, num_taps, lead_samples)
    return np.asarray(basis * np.sqrt(error_variance * ofdm.num_active / basis.shape[1]))


def _taps(
    h: ComplexArray, errors: ComplexArray, ofdm: OfdmConfig, lead_samples: int
) -> tuple[ComplexArray, FloatArray]:
    inverse = _tap_inverse(ofdm, lead_samples)
    return inverse @ h, np.linalg.norm(inverse @ errors, axis=1)


@lru_cache(maxsize=4)
def _tap_inverse(ofdm: OfdmConfig, lead_samples: int) -> ComplexArray:
    """(prefix_len, num_active) from a response to the taps of least energy."""
    responses = _responses(np.arange(ofdm.prefix_len) - float(lead_samples), ofdm)
    return np.linalg.pinv(responses, rcond=RANK_TOLERANCE)


def _taken_off(h: ComplexArray, errors: ComplexArray, ofdm: OfdmConfig) -> ComplexArray:
    """(2 fft_len,) sum over k of h(k + m) conj h(k) for steps m of 0, 1, ..., less what noise adds in the mean."""
    bins = centred_bins(ofdm)

    def correlate(columns: ComplexArray) -> ComplexArray:
        spectra = np.zeros((2 * ofdm.fft_len, columns.shape[1]), dtype=np.complex128)
        spectra[bins] = columns
        return np.sum(scipy.fft.fft(np.abs(scipy.fft.ifft(spectra, axis=0)) ** 2, axis=0), axis=1)

    return np.asarray(2 * ofdm.fft_len * (correlate(h[:, None]) - correlate(errors)))


@dataclass(frozen=True, eq=False)
class _Correlation:
    """|rho|, noise removed, with its standard deviation."""

    value: float
    std: float


def _correlation(
    step: int, sums: ComplexArray, h: ComplexArray, errors: ComplexArray, ofdm: OfdmConfig
) -> _Correlation:
    """|rho(step)| as a ratio of Hermitian forms x^H M x of the response, and to first order the variance of that.

    Noise of covariance C moves a form by 2 Re(n^H M h) + n^H M n: variance 2 h^H M C M h + tr(M C M C). With the
    noisy response for h the first term is too large by twice the second.
    """
    bins = centred_bins(ofdm)
    shift = (bins[None, :] - bins[:, None] == step).astype(np.complex128)
    noise_power = np.linalg.norm(errors, axis=1) ** 2
    powers = np.abs(h) ** 2 - noise_power
    early, late = shift.sum(axis=1).real, shift.sum(axis=0).real
    sides = float(early @ powers), float(late @ powers)
    if min(sides) <= 0.0:
        return _Correlation(0.0, float("inf"))
    mean = float(np.sqrt(sides[0] * sides[1]))
    rho = float(np.abs(sums[step])) / mean
    turn = np.exp(-1j * np.angle(sums[step]))
    ratio = (turn * shift + np.conj(turn) * shift.T) / (2.0 * mean)
    ratio[np.diag_indices(len(bins))] -= rho / 2.0 * (early / sides[0] + late / sides[1])
    own = float(np.linalg.norm(errors.conj().T @ (ratio @ errors)) ** 2)
    along = float(np.linalg.norm(errors.conj().T @ (ratio @ h)) ** 2)
    return _Correlation(rho, float(np.sqrt(max(2.0 * along - own, own))))


def _delay_spread(
    sums: ComplexArray, h: ComplexArray, errors: ComplexArray, ofdm: OfdmConfig
) -> tuple[float, float, tuple[float, float]]:
    """Its square has nearly Gaussian errors, whether there is any spread or none."""
    rho = _correlation(1, sums, h, errors, ofdm)
    if not np.isfinite(rho.std):
        return 0.0, float("inf"), (0.0, float("inf"))
    scale = (ofdm.fft_len / (2.0 * np.pi)) ** 2
    square, std = 2.0 * (1.0 - rho.value) * scale, 2.0 * rho.std * scale
    low, middle, high = np.sqrt(np.maximum([square - 1.96 * std, square, square + 1.96 * std], 0.0)).tolist()
    return middle, std / (2.0 * float(np.sqrt(max(square, std, TINY)))), (low, high)


def _coherence_bandwidth(
    sums: ComplexArray, h: ComplexArray, errors: ComplexArray, ofdm: OfdmConfig
) -> tuple[float, float, tuple[float, float]]:
    """First crossing of COHERENT, between two steps on a straight line."""
    spacing_hz = ofdm.sample_rate_hz / ofdm.fft_len
    widest = max(int(WIDEST_SHARE * ofdm.num_active), 2)
    bins = centred_bins(ofdm)
    powers = np.zeros(bins[-1] - bins[0] + 1)
    powers[bins - bins[0]] = np.abs(h) ** 2 - np.linalg.norm(errors, axis=1) ** 2
    present = np.zeros(len(powers))
    present[bins - bins[0]] = 1.0
    values = [1.0]
    for step in range(1, widest + 1):
        early, late = powers[:-step] * present[step:], powers[step:] * present[:-step]
        mean = np.sqrt(max(float(early.sum()), 0.0) * max(float(late.sum()), 0.0))
        values.append(min(float(np.abs(sums[step])) / max(mean, TINY), 1.0 / ROUNDING))
    crossing = _first_below(values, COHERENT)
    std = _correlation(int(np.ceil(min(crossing, widest))), sums, h, errors, ofdm).std
    low, high = (_first_below(values, COHERENT + off) for off in (1.96 * std, -1.96 * std))
    if not np.isfinite(crossing):
        return float("nan"), float("nan"), (min(low, widest) * spacing_hz, float("inf"))
    spread = (min(high, widest) - low) / (2.0 * 1.96)
    return crossing * spacing_hz, spread * spacing_hz, (low * spacing_hz, high * spacing_hz)


def _first_below(values: list[float], level: float) -> float:
    """Step at which values (num_steps,), 1 at step 0, first fall below a level, between steps; infinite if never."""
    below = np.flatnonzero(np.array(values) < level)
    if len(below) == 0:
        return float("inf")
    last = int(below[0])
    if last == 0:
        return 0.0
    return last - 1 + (values[last - 1] - level) / (values[last - 1] - values[last])


def _paths(h: ComplexArray, errors: ComplexArray, ofdm: OfdmConfig) -> tuple[FloatArray, ComplexArray]:
    """Matching pursuit over any delay: the strongest tone in what is left, then all gains anew."""
    bins = centred_bins(ofdm)
    span = int(bins[-1] - bins[0] + 1)
    # Energy that noise puts along a unit tone, and the highest of about `span` independent ones.
    tones = np.exp(-2j * np.pi * np.outer(np.arange(span) / span, bins)) / np.sqrt(len(bins))
    along = float(np.max(np.linalg.norm(tones.conj() @ errors, axis=1) ** 2))
    threshold = along * -np.log(-np.expm1(np.log1p(-FALSE_ALARM) / span))
    delays, gains, left = np.empty(0), np.empty(0, dtype=np.complex128), h
    while len(delays) < MOST_PATHS:
        tone = estimate_tone(left, np.ones(len(bins)), bins, -0.5, 0.5)
        if abs(tone.correlation) ** 2 / len(bins) <= max(threshold, ROUNDING * float(np.linalg.norm(h) ** 2)):
            break
        delays = np.append(delays, -tone.frequency * ofdm.fft_len)
        delays, gains = _fit_paths(h, delays, ofdm)
        left = h - _responses(delays, ofdm) @ gains
    order = np.argsort(-np.abs(gains))
    return delays[order], gains[order]


def _fit_paths(h: ComplexArray, delays: FloatArray, ofdm: OfdmConfig) -> tuple[FloatArray, ComplexArray]:
    """Delays and gains of all paths together, from delays nearby: Gauss and Newton."""
    slope = -2j * np.pi * centred_bins(ofdm)[:, None] / ofdm.fft_len
    for _ in range(FIT_STEPS):
        responses = _responses(delays, ofdm)
        gains = np.linalg.lstsq(responses, h, rcond=RANK_TOLERANCE)[0]
        moving = slope * responses * gains
        # Real and imaginary parts apart: a delay's step is real.
        columns = np.concatenate([responses, 1j * responses, moving], axis=1)
        parts = np.concatenate([columns.real, columns.imag]), np.concatenate([h.real, h.imag])
        step = np.linalg.lstsq(*parts, rcond=RANK_TOLERANCE**2)[0][-len(delays) :]
        delays = delays + np.clip(step, -MOST_STEP, MOST_STEP)
    return delays, np.linalg.lstsq(_responses(delays, ofdm), h, rcond=RANK_TOLERANCE)[0]


def _responses(delays: FloatArray, ofdm: OfdmConfig) -> ComplexArray:
    """(num_active, num_delays) of unit paths."""
    return np.asarray(np.exp(-2j * np.pi * np.outer(centred_bins(ofdm), delays) / ofdm.fft_len))
