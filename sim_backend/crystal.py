"""A device's crystal against the receiver's: it drives the carrier and, unless stated otherwise, the sample clock."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.impairments import REFERENCE_HZ
from radio.measured_air import AirLaw, known
from radio.seeds import Use, stream
from sim_backend import tones
from sim_backend.ports import port_key
from sim_backend.tones import Tones

SLOWEST_HZ, FASTEST_HZ = 1e-5, 1e3  # the random walk is one between a millisecond and a day
STRIDE = 64  # samples between instants at which the slow drift is evaluated


@dataclass(frozen=True)
class Crystal:
    """offset: carrier over nominal, minus 1, at time 0; sample_offset: the same of the sample clock.

    drift: frequency in Hz at this carrier, apart from a constant. jitter: phase noise in rad. Both by their real parts;
    None is no such thing. advance_s: by how much the sample clock is ahead at time 0.
    """

    center_hz: float
    offset: float = 0.0
    sample_offset: float = 0.0
    drift: Tones | None = None
    jitter: Tones | None = None
    one_crystal: bool = True
    advance_s: float = 0.0

    @property
    def cfo_hz(self) -> float:
        """Carrier offset at time 0."""
        return self.offset * self.center_hz

    @property
    def sro_ppm(self) -> float:
        """Sample-rate offset at time 0."""
        return 1e6 * self.sample_offset

    @property
    def keeps_time(self) -> bool:
        """Whether its samples stay in step with the receiver's for ever."""
        steady = self.drift is None or not self.one_crystal
        return steady and self.sample_offset == 0.0 and self.advance_s == 0.0

    def frequency_hz(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """(num_times,) carrier offset without phase noise."""
        frequency = np.full(len(times_s), self.cfo_hz)
        if self.drift is not None:
            frequency += self.drift.at(times_s).real - self._drift_start()
        return frequency

    def phase(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """(num_times,) rad, unwrapped: carrier offset, drift and phase noise; 0 at time 0 but for the noise."""
        times = np.asarray(times_s, dtype=np.float64)
        phase = 2.0 * np.pi * (self.cfo_hz * times + self._drifted(times))
        if self.jitter is not None:
            phase += self.jitter.at(times).real
        return phase

    def lead_s(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """(num_times,) by how much the sample clock runs ahead of the receiver's at the receiver's times."""
        times = np.asarray(times_s, dtype=np.float64)
        lead = self.advance_s + self.sample_offset * times
        return lead + self._drifted(times) / self.center_hz if self.one_crystal else lead

    def rotation(self, start: int, count: int, rate_hz: float) -> NDArray[np.complex128] | None:
        """(count,) exp(j phase) at the receiver's samples from `start`; None where it is 1."""
        if self.offset == 0.0 and self.drift is None and self.jitter is None:
            return None
        cycles = self.cycles(start, count, rate_hz)
        phase = 2.0 * np.pi * (cycles - np.round(cycles))
        if self.jitter is not None:
            phase += self.jitter.on_grid(start, count, rate_hz).real
        return np.exp(1j * phase)

    def cycles(self, start: int, count: int, rate_hz: float) -> NDArray[np.float64]:
        """(count,) turns of the carrier since time 0 at the receiver's samples from `start`, phase noise apart."""
        cycles = (self.cfo_hz / rate_hz) * np.arange(start, start + count, dtype=np.float64)
        cycles += self._drifted_on_grid(start, count, rate_hz)
        return cycles

    def leads(self, start: int, count: int, rate_hz: float) -> NDArray[np.float64]:
        """(count,) `lead_s` at the receiver's samples from `start`, in samples."""
        lead = self.sample_offset * np.arange(start, start + count, dtype=np.float64)
        lead += self.advance_s * rate_hz
        if self.one_crystal:
            lead += self._drifted_on_grid(start, count, rate_hz) * (rate_hz / self.center_hz)
        return lead

    def true_time(self, clock_s: float) -> float:
        """Receiver's time at which the device's clock reads `clock_s`: the fixed point of t + lead(t) = clock."""
        return float(self.true_times(np.array([clock_s]))[0])

    def true_times(self, clock_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """(num_times,) `true_time` of many readings."""
        times, before = clock_s - self.lead_s(clock_s), clock_s
        for _ in range(7):  # each step leaves 1e-3 of the error or less, as offsets are at most some 100 ppm
            if np.array_equal(times, before):
                break
            times, before = clock_s - self.lead_s(times), times
        return times

    def _drift_start(self) -> float:
        return 0.0 if self.drift is None else float(self.drift.amplitudes.real.sum())

    def _drifted(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """(num_times,) cycles gained through drift since time 0."""
        if self.drift is None:
            return np.zeros(len(times))
        integral = self.drift.integral
        start = float(integral.amplitudes.real.sum())
        return np.asarray(integral.at(times).real - start - self._drift_start() * times)

    def _drifted_on_grid(self, start: int, count: int, rate_hz: float) -> NDArray[np.float64]:
        """(count,) `_drifted`, linear over STRIDE samples: the fastest line is a thousand times slower than that."""
        if self.drift is None:
            return np.zeros(count)
        first = start // STRIDE
        num_coarse = (start + count) // STRIDE + 2 - first
        coarse_rate = rate_hz / STRIDE
        integral = self.drift.integral
        values = integral.on_grid(first, num_coarse, coarse_rate).real - float(integral.amplitudes.real.sum())
        coarse = np.arange(first, first + num_coarse)
        values -= self._drift_start() / coarse_rate * coarse
        return np.interp(np.arange(start, start + count), coarse * STRIDE, values)


def draw_crystal(air: AirLaw, seed: int, device: int, center_hz: float) -> Crystal:
    """A device's own, a pure function of seed and device. Its relative frequency does not depend on the carrier."""
    given, impairments = known(air, device)
    offset_rng, drift_rng, jitter_rng = (
        stream(seed, Use.CRYSTAL, port_key(device), part) for part in range(3)
    )
    bound = 1e-6 * impairments.max_clock_offset_ppm
    offset = float(offset_rng.uniform(-bound, bound)) if bound else 0.0
    if given is not None:
        offset = 1e-6 * given.clock_offset_ppm
    drift = jitter = None
    if impairments.drift_hz_per_root_s > 0.0:
        walk = tones.random_walk(drift_rng, SLOWEST_HZ, FASTEST_HZ)
        scale = impairments.drift_hz_per_root_s * center_hz / REFERENCE_HZ
        drift = Tones(scale * walk.amplitudes, walk.frequencies_hz)
    if impairments.phase_noise_deg > 0.0:
        noise = tones.one_pole(impairments.phase_noise_corner_hz, jitter_rng)
        jitter = Tones(np.deg2rad(impairments.phase_noise_deg) * noise.amplitudes, noise.frequencies_hz)
    separate = impairments.separate_sample_clock
    sample_offset = 1e-6 * impairments.sample_clock_offset_ppm if separate else offset
    return Crystal(center_hz, offset, sample_offset, drift, jitter, not separate)
