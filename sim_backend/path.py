"""The way from one transmitter to one receiver: drawn from seed and device or given, every process absolute in time.

    y(t) = exp(j phase(t)) sum_l g_l(t) z(t - delay - delay_l),    z(t) = x(t + lead(t))

x is what the transmitter radiates on its own clock, `lead` that clock's advance, g_l(t) the gain of a tap with the
carrier's phase and the path's loss. The oscillator turns at the receiver's instants: a rotation while the wave
travels is a constant that the carrier's phase contains.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from radio.decibel import from_db
from radio.impairments import Impairments
from radio.measured_air import AirLaw, MeasuredDevice, known
from radio.seeds import Use, stream
from sim_backend import chebyshev
from sim_backend.crystal import Crystal, draw_crystal
from sim_backend.interpolate import HALF, delay_filters
from sim_backend.ports import port_key
from sim_backend.tones import Tones, scattering
from sim_backend.transmitter import Transmitter, draw_transmitter

USUAL_RECEIVER = -1  # port of the only receiver that keeps the air's own time
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """gain: carrier phase and path loss. steady: constant parts of the taps; scattered: their fading parts, or none."""

    sample_rate_hz: float
    transmitter: Transmitter
    crystal: Crystal
    delay_s: float
    gain: complex
    tap_delays_s: tuple[float, ...]
    steady: tuple[complex, ...]
    scattered: tuple[Tones, ...]
    doppler_hz: float

    @property
    def cfo_hz(self) -> float:
        """Carrier offset at time 0."""
        return self.crystal.cfo_hz

    @property
    def sro_ppm(self) -> float:
        """Sample-rate offset at time 0."""
        return self.crystal.sro_ppm

    def frequency_hz(self, times_s: FloatArray) -> FloatArray:
        """(num_times,) carrier offset against the receiver, drift included, phase noise not."""
        return self.crystal.frequency_hz(times_s)

    def phase(self, times_s: FloatArray) -> FloatArray:
        """(num_times,) rad, unwrapped: the transmitter's oscillator against the receiver's."""
        return self.crystal.phase(times_s)

    def tap_gains(self, times_s: FloatArray) -> NDArray[np.complex128]:
        """(num_taps, num_times) g_l(t)."""
        gains = np.repeat(np.array(self.steady)[:, None], len(times_s), axis=1)
        for tap, process in zip(gains, self.scattered, strict=False):
            tap += process.at(times_s)
        return self.gain * gains

    def response(self, times_s: FloatArray, freqs_hz: FloatArray) -> NDArray[np.complex128]:
        """(num_times, num_freqs) true channel: taps, fading, carrier phase, loss, delay.

        Neither the oscillator's rotation (`phase`) nor the clock's lead (`crystal.lead_s`). freqs_hz: at baseband.
        """
        delays = self.delay_s + np.array(self.tap_delays_s)
        return self.tap_gains(times_s).T @ np.exp(-2j * np.pi * np.outer(delays, freqs_hz))

    @cached_property
    def filters(self) -> tuple[int, FloatArray]:
        """Delay of their first coefficient in samples; (num_taps, filter_len) FIRs, one a tap's whole delay."""
        return delay_filters((self.delay_s + np.array(self.tap_delays_s)) * self.sample_rate_hz)

    def branches(self, start: int, count: int, filters: FloatArray) -> tuple[NDArray, NDArray | None]:
        """The taps over a stretch of the receiver's samples as a few constant FIRs with slow weights.

        returns: (num_branches, filter_len) FIRs; (num_branches, count) weights, or None for a single constant FIR.
        Chebyshev polynomials in time, or, where the taps are fewer, a tap a branch.
        """
        rate = self.sample_rate_hz
        if self.doppler_hz == 0.0 or not self.scattered:
            return self.tap_gains(np.array([start / rate])).T @ filters, None
        middle, reach = start + (count - 1) / 2.0, max(count - 1, 1) / 2.0
        num_terms = chebyshev.order(2.0 * np.pi * self.doppler_hz * reach / rate)
        if num_terms <= len(self.tap_delays_s):
            gains = self.tap_gains((middle + reach * chebyshev.nodes(num_terms)) / rate)
            places = (np.arange(start, start + count) - middle) / reach
            weights = chebyshev.evaluate(places, num_terms).astype(np.float32)
            return chebyshev.coefficients(gains.T) @ filters, weights
        weights = np.repeat(np.array(self.steady)[:, None], count, axis=1)
        for tap, process in zip(weights, self.scattered, strict=True):
            tap += process.on_grid(start, count, rate)
        return filters.astype(np.complex128), (self.gain * weights).astype(np.complex64)

    def span(self, start: int, count: int) -> tuple[int, int]:
        """First sample of the receiver that a burst touches, and one past the last; `start` on the sender's clock."""
        first, filters = self.filters
        low, high = self.on_clock(start, count)
        return low + first, high + first + filters.shape[1] - 1

    def on_clock(self, start: int, count: int) -> tuple[int, int]:
        """`span` before any delay: what the transmitter's clock alone does."""
        if self.crystal.keeps_time:
            return start, start + count
        rate = self.sample_rate_hz
        low, high = self.crystal.true_times(np.array([start, start + count]) / rate) * rate
        return math.floor(low) - HALF, math.ceil(high) + HALF


def draw_path(
    air: AirLaw,
    seed: int,
    device: int,
    sample_rate_hz: float,
    center_hz: float,
    receiver: int = USUAL_RECEIVER,
) -> Path:
    """A pure function of seed, device and receiver, which are ports of radios.

    Crystal and transmitter belong to the device alone; what lies between two radios is the same both ways. What was
    measured is the path to the usual receiver, and from it.
    """
    ends = sorted((receiver, device))
    given, impairments = known(air, ends[1] if ends[0] == USUAL_RECEIVER else None)
    taps_rng, delay_rng, gain_rng, phase_rng = (
        stream(seed, Use.PATH, *map(port_key, ends), part) for part in range(4)
    )
    powers = np.array([from_db(power) for power in impairments.tap_powers_db])
    steady, scattered = _draw_taps(impairments, powers / powers.sum(), taps_rng)
    loss_db = impairments.path_loss_db
    if impairments.near_far_db > 0.0:
        half_db = impairments.near_far_db / 2.0
        mean_power = (from_db(half_db) - from_db(-half_db)) / (2.0 * half_db * math.log(10.0) / 10.0)
        loss_db += gain_rng.uniform(-half_db, half_db) + 10.0 * math.log10(mean_power)
    turn = float(phase_rng.random()) if impairments.random_phase else 0.0
    drawn = Path(
        sample_rate_hz=sample_rate_hz,
        transmitter=draw_transmitter(air, seed, device),
        crystal=draw_crystal(air, seed, device, center_hz),
        delay_s=float(delay_rng.uniform(0.0, impairments.max_delay_s)),
        gain=complex(10.0 ** (-loss_db / 20.0) * np.exp(2j * np.pi * turn)),
        tap_delays_s=impairments.tap_delays_s,
        steady=steady,
        scattered=scattered,
        doppler_hz=impairments.doppler_hz,
    )
    return drawn if given is None else _with_given(drawn, given)


def _with_given(drawn: Path, given: MeasuredDevice) -> Path:
    """A path with its constants as measured. Of fading taps these are the first one's line of sight alone."""
    steady = given.taps
    if given.fading != "none":
        steady = (abs(drawn.steady[0]) * given.taps[0] / abs(given.taps[0]), *drawn.steady[1:])
    return replace(drawn, delay_s=given.delay_s, gain=given.gain, steady=steady)


def _draw_taps(
    impairments: Impairments, powers: FloatArray, rng: np.random.Generator
) -> tuple[tuple[complex, ...], tuple[Tones, ...]]:
    """Steady parts and fading parts; E sum |g_l|^2 = 1."""
    phases = np.exp(2j * np.pi * rng.random(len(powers)))
    if impairments.fading == "none":
        phases[0] = 1.0  # the carrier has a phase of its own
        return tuple(map(complex, np.sqrt(powers) * phases)), ()
    k = from_db(impairments.rician_k_db) if impairments.fading == "rician" else 0.0
    steady = np.zeros(len(powers), dtype=np.complex128)
    steady[0] = math.sqrt(k / (k + 1.0)) * phases[0]
    scattered = []
    for power in powers / (k + 1.0):
        process = scattering(impairments.doppler_hz, rng)
        scattered.append(Tones(math.sqrt(power) * process.amplitudes, process.frequencies_hz))
    return tuple(map(complex, steady)), tuple(scattered)
