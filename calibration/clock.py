"""What a device's clock does against the receiver's: carrier, sample clock and delay, each measured by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.clock_filter import ClockState, filter_clock
from calibration.delay import centred_bins, estimate_mean_delay, remove_delay
from calibration.lag_pairs import lag_pairs
from calibration.soundings import Soundings
from calibration.steps import Steps, estimate_steps
from radio.correction import Correction

SEPARATE_STDS = 4.0  # disagreement of carrier and sample clock that one crystal does not explain
MIN_INSTANTS = 4
HEARD = 0.5  # power of a gain over its error's variance, which may be known to a few tenths only
COUNTABLE_CYCLES = 0.08  # deviation of a phase up to which the ladder takes the next step
LADDER_S = 0.1  # longest distance of the ladder: over longer ones a frequency that walks is no longer one
WALK_GUESS_HZ = 3.0  # by which the frequency may differ between the first instant and the mean
MAX_SRO_PPM = 200.0
MOST_WANDER_RAD = 1.0  # of a delay, over the band's standard deviation: it stays among the paths
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class ClockEstimate:
    """All (num_devices,); what a device undid already is added. `..._std`: predicted, with the walk of the frequency.

    cfo_hz: mean carrier offset from the first instant to the last, from phases. last_cfo_hz: at the last instant.
    sro_ppm: mean sample-rate offset over the same span, from delays alone. delay_samples: mean delay of the paths at
    the last instant, as received, behind the window's start; what the device undid is not added to it.
    delay_rate: its change, samples a second, from the first instant to the last.
    residual_cfo_hz: cfo_hz as received. walk_hz_per_root_s: random walk of the frequency, with its 95 % interval
    (num_devices, 2). agreement: sample-rate offset that the carrier implies, less the measured one, in standard
    deviations. quality: probability that all turns of the phase were counted right; 0 of a device not heard, or whose
    channel fades between soundings.
    """

    cfo_hz: FloatArray
    cfo_std_hz: FloatArray
    last_cfo_hz: FloatArray
    last_cfo_std_hz: FloatArray
    sro_ppm: FloatArray
    sro_std_ppm: FloatArray
    delay_samples: FloatArray
    delay_std_samples: FloatArray
    delay_rate: FloatArray
    residual_cfo_hz: FloatArray
    walk_hz_per_root_s: FloatArray
    walk_interval_hz_per_root_s: FloatArray
    agreement: FloatArray
    quality: FloatArray

    @property
    def separate_clocks(self) -> NDArray[np.bool_]:
        """(num_devices,) whether one crystal cannot drive both carrier and sample clock."""
        return np.asarray(np.abs(self.agreement) > SEPARATE_STDS)


def estimate_clock(
    soundings: Soundings, center_hz: float, corrections: Sequence[Correction] = ()
) -> ClockEstimate:
    """Carrier and sample clock of each device over the whole span of its soundings.

    corrections: what each device undid while it sounded; none: nothing. The first step of the frequency is unambiguous
    within half a turn over the shortest distance between instants.
    """
    num_instants, num_devices = soundings.gains.shape[:2]
    if num_instants < MIN_INSTANTS:
        raise ValueError(f"a clock needs at least {MIN_INSTANTS} soundings, got {num_instants}; sound longer")
    undone = tuple(corrections) or (Correction(),) * num_devices
    if len(undone) != num_devices:
        raise ValueError(f"corrections must be one for each of {num_devices} devices, got {len(undone)}")
    rate_hz = soundings.ofdm.sample_rate_hz
    steps = estimate_steps(soundings)
    carrier = _follow_carrier(steps, soundings.instants_s)
    # Delays in cycles of the carrier: one crystal's frequency then walks alike in both.
    cycles_per_sample = center_hz / rate_hz
    sampling = filter_clock(
        steps.delays_samples * cycles_per_sample,
        soundings.instants_s,
        _noise(steps.delays_samples, steps.delay_variances, soundings.instants_s, np.inf)
        * cycles_per_sample**2,
        np.zeros(num_devices),
        np.full(num_devices, MAX_SRO_PPM * 1e-6 * center_hz),
        wrapped=False,
    )
    drift = -sampling.mean_hz / center_hz  # of the sample clock, relative
    undone_drift = np.array([correction.drift for correction in undone])
    undone_cfo_hz = np.array([correction.cfo_hz for correction in undone])
    sro_ppm = 1e6 * (drift - undone_drift)
    # A device turns its samples back on its own clock, which runs faster by the sample-rate offset.
    cfo_hz = carrier.mean_hz + undone_cfo_hz * (1.0 + 1e-6 * sro_ppm)
    cfo_fading_hz, sro_fading = _fading(soundings, steps)
    sro_std = 1e6 * np.hypot(sampling.mean_std_hz / center_hz, sro_fading)
    cfo_std = np.hypot(carrier.mean_std_hz, cfo_fading_hz)
    last_std = np.hypot(carrier.last_std_hz, steps.wander_rate / (2.0 * np.pi))
    delay, delay_std = _delays(soundings, steps, sampling, cycles_per_sample)
    heard = soundings.powers > HEARD * soundings.error_variances
    unknown = np.where(heard, 1.0, np.inf)
    difference = 1e6 * cfo_hz / center_hz - sro_ppm
    return ClockEstimate(
        cfo_hz=cfo_hz,
        cfo_std_hz=cfo_std * unknown,
        last_cfo_hz=cfo_hz - carrier.mean_hz + carrier.last_hz,
        last_cfo_std_hz=last_std * unknown,
        sro_ppm=sro_ppm,
        sro_std_ppm=sro_std * unknown,
        delay_samples=delay,
        delay_std_samples=delay_std * unknown,
        delay_rate=sampling.mean_hz / cycles_per_sample,
        residual_cfo_hz=carrier.mean_hz,
        walk_hz_per_root_s=carrier.walk,
        walk_interval_hz_per_root_s=carrier.walk_interval,
        agreement=np.where(heard, difference / np.hypot(1e6 * cfo_std / center_hz, sro_std), 0.0),
        quality=np.where(heard & _is_followed(soundings, steps), carrier.quality, 0.0),
    )


def _follow_carrier(steps: Steps, instants_s: FloatArray) -> ClockState:
    turns = steps.phases_rad / (2.0 * np.pi)
    variances = _noise(turns, steps.phase_variances / (2.0 * np.pi) ** 2, instants_s, 1.0)
    guess_hz, guess_std_hz = _climb(turns, instants_s, variances)
    return filter_clock(turns, instants_s, variances, guess_hz, guess_std_hz, wrapped=True)


def _climb(turns: FloatArray, instants_s: FloatArray, variances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean frequency from pairs at growing distances, wherever they lie in the span, and what it is known to."""
    shortest_s = float(np.min(np.diff(instants_s)))
    longest_s = max(min(LADDER_S, float(instants_s[-1] - instants_s[0])), 1.01 * shortest_s)
    frequency, known_to = np.zeros(turns.shape[1]), np.full(turns.shape[1], np.inf)
    climbing = np.ones(turns.shape[1], dtype=bool)
    for pairs in lag_pairs(instants_s, shortest_s, longest_s):
        apart = turns[pairs.late] - turns[pairs.early] - frequency * pairs.lags_s[:, None]
        common = np.angle(np.mean(np.exp(2j * np.pi * apart), axis=0)) / (2.0 * np.pi)
        apart = apart - common
        spread = np.var(apart - np.round(apart), axis=0) + 2.0 * variances
        std_hz = np.sqrt(spread / max(len(pairs.early) / 4.0, 1.0)) / pairs.lag_s  # neighbours share instants
        climbing &= np.where(np.isinf(known_to), True, known_to * pairs.lag_s < COUNTABLE_CYCLES)
        climbing &= spread < 0.25**2
        better = climbing & (std_hz < known_to)
        frequency = np.where(better, frequency + common / pairs.lag_s, frequency)
        known_to = np.where(better, std_hz, known_to)
    edge_hz = 0.5 / shortest_s
    return frequency, np.minimum(
        np.where(np.isinf(known_to), edge_hz, 4.0 * known_to + WALK_GUESS_HZ), edge_hz
    )


def _noise(values: FloatArray, predicted: FloatArray, instants_s: FloatArray, period: float) -> FloatArray:
    """(num_devices,) variance of a value's noise: as predicted, or as three neighbours scatter about a line if more.

    Only triples within twice the shortest distance count, over which no clock bends.
    """
    gaps = np.diff(instants_s)
    near = np.maximum(gaps[:-1], gaps[1:]) < 2.0 * gaps.min()
    if not near.any():
        return predicted
    share = (gaps[:-1] / (gaps[:-1] + gaps[1:]))[:, None]
    bent = values[1:-1] - (1.0 - share) * values[:-2] - share * values[2:]
    if np.isfinite(period):
        first, second = values[1:-1] - values[:-2], values[2:] - values[1:-1]
        first, second = (step - period * np.round(step / period) for step in (first, second))
        bent = (1.0 - share) * first - share * second
        bent = bent - period * np.round(bent / period)
    scatter = (bent**2 / (1.0 + share**2 + (1.0 - share) ** 2))[near]
    return np.maximum(predicted, scatter.mean(axis=0))


def _fading(soundings: Soundings, steps: Steps) -> tuple[FloatArray, FloatArray]:
    """(num_devices,) deviations of the frequency in Hz and of the drift, of a channel that fades.

    What fading turns a response by, from the first instant to the last, is not told from an offset; a band's delay
    moves by as much as turns its edges by that, and by no more than the paths lie apart.
    """
    rad_per_sample = 2.0 * np.pi * np.std(centred_bins(soundings.ofdm)) / soundings.ofdm.fft_len
    per_s = steps.wander_rad / soundings.span_s
    at_most = np.minimum(steps.wander_rad, MOST_WANDER_RAD) / soundings.span_s
    lost = np.where(_is_followed(soundings, steps), per_s, np.maximum(per_s, steps.wander_rate))
    return lost / (2.0 * np.pi), at_most / rad_per_sample / soundings.ofdm.sample_rate_hz


def _is_followed(soundings: Soundings, steps: Steps) -> NDArray[np.bool_]:
    """(num_devices,) whether fading turns channels by less than half a turn between soundings: else turns are lost."""
    return np.asarray(steps.wander_rate * np.max(np.diff(soundings.instants_s)) < np.pi)


def _delays(
    soundings: Soundings, steps: Steps, sampling: ClockState, cycles_per_sample: float
) -> tuple[FloatArray, FloatArray]:
    """Mean delay of the paths at the last instant, and its standard deviation.

    The phase between neighbouring subcarriers, summed: z = sum of h(k + 1) conj h(k). An error e moves its angle by
    Im sum e(k) conj b(k) / |z| to first order. A mean over instants has an instant's noise over their number; a channel
    that fades is taken as it is at the last instant.
    """
    ofdm = soundings.ofdm
    offsets = sampling.last_cycles / cycles_per_sample
    delay, std = np.empty(len(offsets)), np.empty(len(offsets))
    bins = centred_bins(ofdm)
    for device, noise in enumerate(soundings.noise_variances):
        if steps.steady[device]:
            response, averaged, moved = steps.references[device], len(soundings.instants_s), offsets[device]
        else:
            response, averaged, moved = soundings.gains[-1, device], 1, 0.0
        mean = float(estimate_mean_delay(response, ofdm))
        straight = np.zeros(2 * ofdm.fft_len, dtype=np.complex128)
        straight[bins] = remove_delay(response, mean, ofdm)
        neighbours = np.zeros((2, len(straight)), dtype=np.complex128)
        present = np.zeros(len(straight), dtype=bool)
        present[bins] = True
        for side, shift in enumerate((1, -1)):
            neighbours[side] = np.where(present & np.roll(present, shift), np.roll(straight, shift), 0.0)
        strength = float(abs(np.vdot(neighbours[0], straight)))
        turned = neighbours[0] - neighbours[1]
        variance = float(np.linalg.norm(turned) ** 2) * noise / averaged / 2.0 / max(strength, 1e-300) ** 2
        delay[device] = mean + moved
        std[device] = np.sqrt(
            variance * (ofdm.fft_len / (2.0 * np.pi)) ** 2
            + (sampling.last_std_cycles[device] / cycles_per_sample) ** 2 * bool(steps.steady[device])
        )
    return delay, std
