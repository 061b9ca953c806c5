"""A device's burst of training, alone on the air: carrier offset, delay, channel, and what no channel explains.

The channel is fitted first, subcarrier by subcarrier; then the whole burst, prefixes and preamble too, is compared
with what that channel makes of what was sent. So the carrier's offset is as good as all of the burst's energy allows,
however many paths there are.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from calibration.channel import estimate_channels, tap_subspace
from calibration.delay import estimate_mean_delay
from calibration.frequency import remove_cfo
from calibration.tone import Tone, estimate_tone, tone_std
from calibration.waveforms import probe, probe_len, probe_symbols
from radio.interface import Samples
from radio.ofdm import OfdmConfig, demodulate
from radio.preamble import preamble_len

ITERATIONS = 3
NUM_DRAWS = 100  # of noise, for the deviation of what is no linear function of the channel
SEEN = 1e-3  # share of the strongest direction below which taps are not told apart
Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class BurstEstimate:
    """start: first sample of the window, which delays count from. middle: sample at which the response's phase holds.

    response: (num_active,) gains in units of the level; error_variance: of each, in a space of `rank` dimensions that
    holds the response too. delay_samples: mean over the channel's paths. noise_variance: of a resource element, from
    what differs from symbol to symbol. quality in [0, 1]: share of the burst's energy that is explained. The `_std` are
    predicted.
    """

    start: int
    middle: float
    response: Complex
    error_variance: float
    rank: int
    delay_samples: float
    delay_std_samples: float
    cfo_hz: float
    cfo_std_hz: float
    noise_variance: float
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
    for _ in range(ITERATIONS):
        centred = remove_cfo(window, cfo_hz, rate_hz)
        rows = demodulate(centred[preamble_len(ofdm) :], ofdm).astype(np.complex128) * (known.conj() / level)
        fitted = estimate_channels(rows.mean(axis=0)[None], ofdm, num_taps, 0).gains[0]
        model = level * _through(sent, fitted, num_taps, ofdm)
        tone = _leftover(centred, model, ofdm)
        cfo_hz += tone.frequency * rate_hz
    strength = float(np.linalg.norm(model) ** 2)
    gain_power = abs(tone.correlation / strength) ** 2 if strength > 0.0 else 0.0
    noise_variance = float(np.sum(np.abs(rows - rows.mean(axis=0)) ** 2)) / (
        (num_symbols - 1) * ofdm.num_active
    )
    rank = tap_subspace(ofdm, num_taps, 0).shape[1]
    error_variance = noise_variance / num_symbols * rank / ofdm.num_active
    middle = preamble_len(ofdm) + num_symbols * ofdm.symbol_len / 2.0
    cfo_std_hz = math.hypot(
        tone_std(tone, gain_power, noise_variance * level**2) * rate_hz,
        _wander_hz(rows, fitted, noise_variance, ofdm),
    )
    delay_std = _delay_std(fitted, error_variance, num_taps, ofdm)
    return BurstEstimate(
        start=first,
        middle=first + middle,
        response=fitted * np.exp(2j * np.pi * (cfo_hz / rate_hz) * middle),
        error_variance=error_variance,
        rank=rank,
        delay_samples=float(estimate_mean_delay(fitted, ofdm)),
        delay_std_samples=delay_std,
        cfo_hz=cfo_hz,
        cfo_std_hz=cfo_std_hz,
        noise_variance=noise_variance,
        quality=min(gain_power * strength / energy, 1.0),
    )


def _through(sent: Samples, response: Complex, num_taps: int, ofdm: OfdmConfig) -> Complex:
    """(num_samples,) what a channel with this response, of taps at delays 0 to num_taps - 1, makes of a burst."""
    turns = np.exp(-2j * np.pi * np.outer(ofdm.active_bins, np.arange(num_taps)) / ofdm.fft_len)
    taps = np.linalg.lstsq(turns, response, rcond=SEEN)[0]
    return np.asarray(scipy.signal.oaconvolve(sent.astype(np.complex128), taps)[: len(sent)])


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


def _wander_hz(rows: Complex, response: Complex, noise_variance: float, ofdm: OfdmConfig) -> float:
    """What phase noise, beyond the receiver's, adds to the deviation of a frequency: from the scatter of the symbols'
    phases about a line, taken as independent from symbol to symbol."""
    num_symbols, energy = len(rows), float(np.linalg.norm(response) ** 2)
    phases = np.unwrap(np.angle(rows @ response.conj()))
    index = np.arange(num_symbols) - (num_symbols - 1) / 2.0
    slope = float(phases @ index / (index @ index))
    scatter = float(np.sum((phases - phases.mean() - slope * index) ** 2)) / (num_symbols - 2)
    excess = max(scatter - noise_variance / (2.0 * energy), 0.0) if energy > 0.0 else 0.0
    return math.sqrt(excess / float(index @ index)) * ofdm.sample_rate_hz / (2.0 * math.pi * ofdm.symbol_len)


def _delay_std(response: Complex, error_variance: float, num_taps: int, ofdm: OfdmConfig) -> float:
    """By drawing noise anew, where the fit's noise lies."""
    basis = tap_subspace(ofdm, num_taps, 0)
    rng = np.random.default_rng(len(response))  # the same draws for the same measurement
    draws = (rng.standard_normal((NUM_DRAWS, basis.shape[1], 2)) @ [1.0, 1j]) / math.sqrt(2.0)
    scale = math.sqrt(error_variance * ofdm.num_active / basis.shape[1])
    delays = estimate_mean_delay(response + scale * (draws @ basis.T), ofdm)
    turned = np.exp(2j * np.pi * (delays - float(estimate_mean_delay(response, ofdm))) / ofdm.fft_len)
    return float(np.sqrt(np.mean(np.angle(turned) ** 2))) * ofdm.fft_len / (2.0 * math.pi)
