"""A device's burst of training, alone on the air: carrier offset, delay, channel, and what no channel explains.

The channel is fitted first, subcarrier by subcarrier, and by how much its delay grows from symbol to symbol; then the
whole burst, prefixes and preamble too, is compared with what that channel makes of what was sent. So the carrier's
offset is as good as all of the burst's energy allows, however many paths there are.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from calibration.channel import estimate_channels, tap_subspace
from calibration.delay import centred_bins, estimate_mean_delay
from calibration.frequency import remove_cfo
from calibration.tone import Tone, estimate_tone, tone_std
from calibration.waveforms import probe, probe_len, probe_symbols
from radio.interface import Samples
from radio.ofdm import OfdmConfig, demodulate
from radio.preamble import preamble_len

ITERATIONS = 4
NUM_DRAWS = 100  # of noise, for the deviation of what is no linear function of the channel
SEEN = 1e-3  # share of the strongest direction below which taps are not told apart
LONGEST_MEMORY = 0.8  # correlation of the phase noise of symbols beside each other; more is seen as an offset
CERTAIN = 4.0  # standard deviations of a response's change that is one
TINY = 1e-300
Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class BurstEstimate:
    """start: first sample of the window, which delays count from. middle: sample at which response and delay hold.

    response: (num_active,) gains in units of the level; error_variance: of each, in a space of `rank` dimensions that
    holds the response too; magnitude_std: of all of it, relative. delay_samples: mean over the channel's paths; drift:
    its change, samples a sample. phase_rad: of the gain at the carrier. shape_std: of a gain once the delay is removed.
    noise_variance: of a resource element, from what differs from symbol to symbol, with its deviation. quality in
    [0, 1]: share of the burst's energy that is explained. The `_std` are predicted, with what phase noise adds.
    """

    start: int
    middle: float
    response: Complex
    error_variance: float
    magnitude_std: float
    rank: int
    delay_samples: float
    delay_std_samples: float
    drift: float
    drift_std: float
    phase_rad: float
    phase_std_rad: float
    cfo_hz: float
    cfo_std_hz: float
    shape_std: float
    noise_variance: float
    noise_std: float
    quality: float


def estimate_burst(
    samples: Samples,
    device: int,
    num_symbols: int,
    ofdm: OfdmConfig,
    *,
    start: float,
    cfo_hz: float,
    level: float,
    num_taps: int,
    lead: int,
) -> BurstEstimate:
    """Measure a probe (`calibration.waveforms`) that begins near sample `start` on about the carrier `cfo_hz`.

    samples: (num_samples,) with the whole burst in them. start: good to `lead`; cfo_hz: to a sixteenth of the
    subcarrier spacing. num_taps: span of the channel from `lead` samples before the start. Raises ValueError where the
    burst is cut off, or nothing was received.
    """
    first, length = math.floor(start) - lead, probe_len(num_symbols, ofdm)
    if first < 0 or first + length > len(samples):
        raise ValueError(
            f"a probe of {length} samples from {start:.1f} does not lie within {len(samples)}; receive more"
        )
    window = samples[first : first + length]
    energy = float(np.linalg.norm(window) ** 2)
    if energy == 0.0:
        raise ValueError(f"all {length} samples of the probe are zero; nothing was received")
    sent, known, rate_hz = (
        probe(device, num_symbols, ofdm),
        probe_symbols(num_symbols, ofdm),
        ofdm.sample_rate_hz,
    )
    drift = 0.0
    for number in range(ITERATIONS):
        centred = remove_cfo(window, cfo_hz, rate_hz)
        rows = demodulate(centred[preamble_len(ofdm) :], ofdm).astype(np.complex128) * (known.conj() / level)
        rows *= _drifted(-drift, num_symbols, ofdm)
        fitted = estimate_channels(rows.mean(axis=0)[None], ofdm, num_taps, 0).gains[0]
        if number > 0:  # once the carrier is known so well that symbols are turned alike
            drift += _drift(rows, fitted, ofdm)[0]
        taps = _taps(fitted, num_taps, ofdm)
        model = level * _through(sent, taps)
        tone = _leftover(centred, model, ofdm)
        cfo_hz += tone.frequency * rate_hz + _centroid(fitted, ofdm) * drift * rate_hz / ofdm.fft_len
    strength = float(np.linalg.norm(model) ** 2)
    gain_power = abs(tone.correlation / strength) ** 2 if strength > 0.0 else 0.0
    noise_variance, noise_std = _noise(rows)
    rank = tap_subspace(ofdm, num_taps, 0).shape[1]
    error_variance = noise_variance / num_symbols * rank / ofdm.num_active
    middle = (
        preamble_len(ofdm) + (num_symbols * ofdm.symbol_len + ofdm.prefix_len) / 2.0
    )  # of what was transformed
    wander_rad, wander_hz = _wander(rows, fitted, noise_variance, ofdm)
    delay_std, shape_std = _stds(fitted, error_variance, num_taps, ofdm)
    magnitude_std, phase_std = _scatter(rows, fitted, num_taps, ofdm)
    turned = 2.0 * math.pi * (cfo_hz / rate_hz) * middle
    return BurstEstimate(
        start=first,
        middle=first + middle,
        response=fitted * np.exp(1j * turned),
        error_variance=error_variance,
        magnitude_std=magnitude_std,
        rank=rank,
        delay_samples=float(estimate_mean_delay(fitted, ofdm)),
        delay_std_samples=delay_std,
        drift=drift,
        drift_std=_drift_std(rows, fitted, noise_variance, num_taps, ofdm),
        phase_rad=math.remainder(float(np.angle(taps.sum())) + turned, 2.0 * math.pi),
        phase_std_rad=math.hypot(phase_std, wander_rad),
        cfo_hz=cfo_hz,
        cfo_std_hz=math.hypot(tone_std(tone, gain_power, noise_variance * level**2) * rate_hz, wander_hz),
        shape_std=shape_std,
        noise_variance=noise_variance,
        noise_std=noise_std,
        quality=min(gain_power * strength / energy, 1.0),
    )


def _taps(responses: Complex, num_taps: int, ofdm: OfdmConfig) -> Complex:
    """(..., num_taps) gains of paths at delays 0 to num_taps - 1 that make responses (..., num_active). Their sum is
    the gain at the carrier."""
    return np.asarray(responses @ _tap_fit(ofdm, num_taps))


def _through(sent: Samples, taps: Complex) -> Complex:
    """(num_samples,) what paths at delays 0, 1, .. make of a burst."""
    return np.asarray(scipy.signal.oaconvolve(sent.astype(np.complex128), taps)[: len(sent)])


@lru_cache(maxsize=8)
def _tap_fit(ofdm: OfdmConfig, num_taps: int) -> Complex:
    """(num_active, num_taps)."""
    turns = np.exp(-2j * np.pi * np.outer(ofdm.active_bins, np.arange(num_taps)) / ofdm.fft_len)
    return np.asarray(np.linalg.pinv(turns, rcond=SEEN).T)


def _drifted(drift: float, num_symbols: int, ofdm: OfdmConfig) -> Complex:
    """(num_symbols, num_active) what a delay that grows evenly, and is 0 in the middle, multiplies symbols by."""
    late = (np.arange(num_symbols) - (num_symbols - 1) / 2.0) * ofdm.symbol_len
    return np.asarray(np.exp(-2j * np.pi * drift * np.outer(late, centred_bins(ofdm)) / ofdm.fft_len))


def _drift(rows: Complex, response: Complex, ofdm: OfdmConfig) -> tuple[float, float]:
    """Samples a sample, small, by least squares whatever the phases of symbols; and the energy that tells it."""
    late = (np.arange(len(rows)) - (len(rows) - 1) / 2.0) * ofdm.symbol_len
    bins = centred_bins(ofdm) - _centroid(response, ofdm)
    slope = -2j * np.pi * np.outer(late, bins) / ofdm.fft_len * response
    energy = max(float(np.linalg.norm(slope) ** 2), TINY)
    return float(np.vdot(slope, rows - response).real) / energy, energy


def _drift_std(
    rows: Complex, response: Complex, noise_variance: float, num_taps: int, ofdm: OfdmConfig
) -> float:
    """Through noise, and through a channel that fades: paths that come and go move their mean delay as a clock does.
    As far as a response changes evenly in time beyond turning and being delayed, it may be delayed by that as well."""
    late = (np.arange(len(rows)) - (len(rows) - 1) / 2.0) * ofdm.symbol_len
    basis = tap_subspace(ofdm, num_taps, 0)
    change = (late @ (rows - response) / (late @ late)) @ basis.conj() @ basis.T
    for known in (1j * response, 1j * (centred_bins(ofdm) - _centroid(response, ofdm)) * response):
        change = change - known * np.vdot(known, change).real / max(float(np.linalg.norm(known) ** 2), TINY)
    freedom = 2 * basis.shape[1] - 2
    each = noise_variance / 2.0 / float(late @ late)  # of each of them
    excess = float(np.linalg.norm(change) ** 2) - freedom * each
    moved = (
        excess / 2.0 if excess > CERTAIN * math.sqrt(2.0 * freedom) * each else 0.0
    )  # two paths have two left
    energy = _drift(rows, response, ofdm)[1]
    return math.sqrt((noise_variance / 2.0 + moved * float(late @ late)) / energy)


def _centroid(response: Complex, ofdm: OfdmConfig) -> float:
    """Mean subcarrier, by power: where a growing delay is the same as a carrier offset."""
    powers = np.abs(response) ** 2
    return float(powers @ centred_bins(ofdm) / max(float(powers.sum()), TINY))


def _leftover(centred: Samples, model: Complex, ofdm: OfdmConfig) -> Tone:
    """What still turns between samples and model."""
    most = 1.0 / (8.0 * ofdm.fft_len)
    return estimate_tone(
        centred * model.conj(),
        np.square(np.abs(model)).astype(np.float64),
        np.arange(len(model)),
        -most,
        most,
    )


def _noise(rows: Complex) -> tuple[float, float]:
    """Variance of a resource element over symbols, and the deviation of that, from the symbols' own: phase noise is
    alike on all subcarriers of a symbol, and somewhat in neighbours."""
    num_symbols = len(rows)
    powers = np.mean(np.abs(rows - rows.mean(axis=0)) ** 2, axis=1) * num_symbols / (num_symbols - 1)
    left = powers - powers.mean()
    scatter = float(left @ left) / (num_symbols - 1)
    memory = float(left[1:] @ left[:-1]) / (num_symbols - 1) / scatter if scatter > 0.0 else 0.0
    memory = min(max(memory, 0.0), LONGEST_MEMORY)
    longer = (1.0 + memory) / (1.0 - memory)
    return float(powers.mean()), math.sqrt(longer * scatter / num_symbols)


def _wander(rows: Complex, response: Complex, noise_variance: float, ofdm: OfdmConfig) -> tuple[float, float]:
    """What phase noise, beyond the receiver's, adds to the deviations of the middle's phase in rad, apart from the
    symbols' scatter, and of the frequency in Hz: from the scatter of the symbols' phases about a line. What is alike in
    neighbours is of one process with an exponential memory."""
    num_symbols, energy = len(rows), float(np.linalg.norm(response) ** 2)
    phases = np.unwrap(np.angle(rows @ response.conj()))
    index = np.arange(num_symbols) - (num_symbols - 1) / 2.0
    slope = float(phases @ index / (index @ index))
    left = phases - phases.mean() - slope * index
    scatter = float(left @ left) / (num_symbols - 2)
    excess = max(scatter - noise_variance / (2.0 * energy), 0.0) if energy > 0.0 else 0.0
    if excess == 0.0:
        return 0.0, 0.0
    memory = min(max(float(left[1:] @ left[:-1]) / (num_symbols - 3) / excess, 0.0), LONGEST_MEMORY)
    longer = (1.0 + memory) / (1.0 - memory)
    hz = (
        math.sqrt(longer * excess / float(index @ index))
        * ofdm.sample_rate_hz
        / (2.0 * math.pi * ofdm.symbol_len)
    )
    return math.sqrt((longer - 1.0) * excess / num_symbols), hz


def _scatter(rows: Complex, response: Complex, num_taps: int, ofdm: OfdmConfig) -> tuple[float, float]:
    """Deviations of the response's magnitude as a whole, relative, and of the carrier's phase, from what symbols tell
    one by one: an image is alike on mirrored subcarriers, and offsets of all radios spill over near the carrier, so
    that errors are no white noise within a symbol."""
    energy = max(float(np.linalg.norm(response) ** 2), TINY)
    magnitudes = (rows @ response.conj()).real / energy
    carrier = complex(_taps(response, num_taps, ofdm).sum())
    basis = tap_subspace(ofdm, num_taps, 0)
    weights = basis.conj() @ (basis.T @ _tap_fit(ofdm, num_taps).sum(axis=1))
    turns = (rows @ weights * np.conj(carrier)).imag / max(abs(carrier) ** 2, TINY)
    magnitude_std, phase_std = (
        float(values.std(ddof=1)) / math.sqrt(len(rows)) for values in (magnitudes, turns)
    )
    return magnitude_std, phase_std


def _stds(response: Complex, error_variance: float, num_taps: int, ofdm: OfdmConfig) -> tuple[float, float]:
    """Of the delay in samples, and of a gain once the delay is removed, by drawing noise anew, where the fit's noise
    lies."""
    basis = tap_subspace(ofdm, num_taps, 0)
    rng = np.random.default_rng(len(response))  # the same draws for the same measurement
    draws = (rng.standard_normal((NUM_DRAWS, basis.shape[1], 2)) @ [1.0, 1j]) / math.sqrt(2.0)
    scale = math.sqrt(error_variance * ofdm.num_active / basis.shape[1])
    around = np.concatenate([response[None], response + scale * (draws @ basis.T)])
    delays = estimate_mean_delay(around, ofdm)
    turned = np.exp(2j * np.pi * delays / ofdm.fft_len)
    delay_rad = float(np.sqrt(np.mean(np.angle(turned[1:] * turned[0].conj()) ** 2)))
    shapes = around * np.exp(2j * np.pi * np.outer(delays, centred_bins(ofdm)) / ofdm.fft_len)
    shape_std = math.sqrt(float(np.mean(np.abs(shapes[1:] - shapes[0]) ** 2)))
    return delay_rad * ofdm.fft_len / (2.0 * math.pi), shape_std
