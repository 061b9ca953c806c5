"""Random processes as sums of sinusoids: functions of absolute time, so silence costs nothing, nothing is stored."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

BLOCK = 256  # instants of a regular grid that share one set of rotations
NUM_SCATTERERS = 64
NUM_PHASE_TONES = 48
PHASE_REACH = 20.0  # phase noise ends at this many times its corner


@dataclass(frozen=True, eq=False)
class Tones:
    """z(t) = sum_k amplitudes[k] exp(2 pi j frequencies_hz[k] t); amplitudes complex."""

    amplitudes: NDArray[np.complex128]
    frequencies_hz: NDArray[np.float64]

    def at(self, times_s: NDArray[np.float64]) -> NDArray[np.complex128]:
        """(num_times,) values at any instants."""
        times = np.asarray(times_s, dtype=np.float64)
        values = np.empty(len(times), dtype=np.complex128)
        for first in range(0, len(times), BLOCK):
            cycles = np.outer(times[first : first + BLOCK], self.frequencies_hz)
            values[first : first + BLOCK] = np.exp(2j * np.pi * (cycles - np.round(cycles))) @ self.amplitudes
        return values

    def on_grid(self, start: int, count: int, rate_hz: float) -> NDArray[np.complex128]:
        """(count,) values at (start + i) / rate_hz: one rotation a block and one an instant within, then a product."""
        first = start // BLOCK
        blocks = np.arange(first, (start + max(count, 1) - 1) // BLOCK + 1, dtype=np.float64)
        per_block = np.outer(blocks, self.frequencies_hz * (BLOCK / rate_hz))
        outer = np.exp(2j * np.pi * (per_block - np.round(per_block))) * self.amplitudes
        offset = start - first * BLOCK
        return np.asarray((outer @ _within(self, rate_hz)).ravel()[offset : offset + count])

    def real_on_grid(self, start: int, count: int, rate_hz: float) -> NDArray[np.float32]:
        """(count,) real part of `on_grid` in single precision, for a fifth of the time."""
        first = start // BLOCK
        blocks = np.arange(first, (start + max(count, 1) - 1) // BLOCK + 1, dtype=np.float64)
        per_block = np.outer(blocks, self.frequencies_hz * (BLOCK / rate_hz))
        outer = np.exp(2j * np.pi * (per_block - np.round(per_block))) * self.amplitudes
        left = np.concatenate([outer.real, -outer.imag], axis=1).astype(np.float32)
        offset = start - first * BLOCK
        return np.asarray((left @ _within_in_parts(self, rate_hz)).ravel()[offset : offset + count])

    @cached_property
    def integral(self) -> "Tones":
        """Of dt, apart from its constant; no frequency may be 0."""
        return Tones(self.amplitudes / (2j * np.pi * self.frequencies_hz), self.frequencies_hz)


@lru_cache(maxsize=64)
def _within(tones: Tones, rate_hz: float) -> NDArray[np.complex128]:
    """(num_tones, BLOCK) rotations within a block, which all blocks share."""
    return np.exp(2j * np.pi / rate_hz * np.outer(tones.frequencies_hz, np.arange(BLOCK)))


@lru_cache(maxsize=64)
def _within_in_parts(tones: Tones, rate_hz: float) -> NDArray[np.float32]:
    """(2 num_tones, BLOCK) the same as real and imaginary parts."""
    inner = np.exp(2j * np.pi / rate_hz * np.outer(tones.frequencies_hz, np.arange(BLOCK)))
    return np.concatenate([inner.real, inner.imag], axis=0).astype(np.float32)


def scattering(doppler_hz: float, rng: np.random.Generator) -> Tones:
    """Jakes' spectrum: unit mean power, autocorrelation J_0(2 pi doppler_hz lag), |z| close to Rayleigh.

    One scatterer in each sector of the circle, so that every realisation, not the mean alone, comes near to J_0.
    """
    sectors = np.arange(NUM_SCATTERERS)
    arrivals = 2.0 * np.pi * (sectors + rng.random(NUM_SCATTERERS)) / NUM_SCATTERERS
    phases = np.exp(2j * np.pi * rng.random(NUM_SCATTERERS))
    return Tones(phases / np.sqrt(NUM_SCATTERERS), doppler_hz * np.cos(arrivals))


def one_pole(corner_hz: float, rng: np.random.Generator) -> Tones:
    """The real part has unit mean power and a spectrum 1 / (1 + (f / corner)^2) up to PHASE_REACH corners."""
    ranks = (np.arange(NUM_PHASE_TONES) + rng.random(NUM_PHASE_TONES)) / NUM_PHASE_TONES
    frequencies = corner_hz * np.tan(ranks * np.arctan(PHASE_REACH))
    phases = np.exp(2j * np.pi * rng.random(NUM_PHASE_TONES))
    return Tones(phases * np.sqrt(2.0 / NUM_PHASE_TONES), frequencies)


def random_walk(rng: np.random.Generator, slowest_hz: float, fastest_hz: float, per_octave: int = 6) -> Tones:
    """The real part W is Gaussian with E (W(t + s) - W(t))^2 = s for 1 / fastest_hz < s < 1 / slowest_hz.

    From the spectrum of Brownian motion, whose lines a^2 df = df / (pi f)^2 follow from
    integral (1 - cos 2 pi f s) / f^2 df = pi^2 s; one line at a random place in each sixth of an octave.
    """
    num_tones = round(per_octave * np.log2(fastest_hz / slowest_hz))
    edges = np.geomspace(slowest_hz, fastest_hz, num_tones + 1)
    frequencies = edges[:-1] * (edges[1:] / edges[:-1]) ** rng.random(num_tones)
    variances = (1.0 / edges[:-1] - 1.0 / edges[1:]) / np.pi**2
    gaussian = rng.normal(size=num_tones) + 1j * rng.normal(size=num_tones)
    return Tones(gaussian * np.sqrt(variances / 2.0), frequencies)
