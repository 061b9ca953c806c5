"""First contact: a known preamble in noise of unknown power, with a carrier offset beyond its coherence.

The preamble is correlated at every carrier of a grid. In white noise the share of a window's energy that one carrier
explains has a Beta(1, n - 1) law whatever the noise power, so the threshold follows from the false-alarm rate alone.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from radio.interface import Samples

BLOCK_LEN = 7600  # starts correlated at once: with the usual preamble an FFT of 8,192, which fits the cache
SILENCE = 1e-4  # share of the mean energy that any window is taken to hold: rounding errors explain nothing


@dataclass(frozen=True, eq=False, kw_only=True)
class Detector:
    """What to look for. reference: (reference_len,). false_alarm: probability, per sample of white noise, that some
    carrier passes (a union bound over carriers: the true rate is a little lower)."""

    reference: Samples
    sample_rate_hz: float
    max_cfo_hz: float
    false_alarm: float = 1e-7

    def __post_init__(self) -> None:
        if not 0.0 < self.false_alarm < 1.0:
            raise ValueError(f"false_alarm must be in (0, 1), got {self.false_alarm:g}")
        if not 0.0 <= self.max_cfo_hz < self.sample_rate_hz / 2.0:
            raise ValueError(
                f"max_cfo_hz must be in [0, {self.sample_rate_hz / 2.0:g}) (half the rate), got {self.max_cfo_hz:g}"
            )

    @property
    def carriers_hz(self) -> NDArray[np.float64]:
        """Grid of at most half a cycle over the preamble: at worst 0.9 dB of the correlation is lost."""
        spacing_hz = self.sample_rate_hz / (2.0 * len(self.reference))
        num_carriers = max(1, int(np.ceil(2.0 * self.max_cfo_hz / spacing_hz)))
        edges = np.linspace(-self.max_cfo_hz, self.max_cfo_hz, num_carriers + 1)
        return (edges[:-1] + edges[1:]) / 2.0

    @property
    def threshold(self) -> float:
        """Share of a window's energy that noise explains with the stated probability."""
        each = self.false_alarm / len(self.carriers_hz)
        return float(-np.expm1(np.log(each) / (len(self.reference) - 1)))


@dataclass(frozen=True)
class Acquisition:
    """`start_index`: of the preamble, to the nearest sample. `cfo_hz`: nearest carrier of the grid.
    `quality` in [0, 1]: share of the window's energy explained, about snr / (1 + snr); `detected`: above threshold."""

    detected: bool
    start_index: int
    cfo_hz: float
    quality: float
    threshold: float


def explained_share(samples: NDArray[np.complex64], detector: Detector) -> NDArray[np.float32]:
    """Share of the energy that the preamble explains at its best carrier, for every start.

    samples: (..., num_samples); returns: (..., num_samples - reference_len + 1), each in [0, 1].
    """
    length, count = len(detector.reference), samples.shape[-1]
    if count < length:
        raise ValueError(f"{count} samples are fewer than the preamble's {length}")
    best = np.zeros((*samples.shape[:-1], count - length + 1), dtype=np.float32)
    for first in range(0, best.shape[-1], BLOCK_LEN):
        energy = best[..., first : first + BLOCK_LEN]
        block = samples[..., first : first + BLOCK_LEN + length - 1]
        fft_len = scipy.fft.next_fast_len(block.shape[-1])
        spectrum = scipy.fft.fft(block, fft_len)
        for carrier in _carrier_spectra(detector, fft_len):
            matched = scipy.fft.ifft(spectrum * carrier, overwrite_x=True)[..., : energy.shape[-1]]
            np.maximum(energy, matched.real**2 + matched.imag**2, out=energy)
    power = samples.real.astype(np.float64) ** 2 + samples.imag.astype(np.float64) ** 2
    running = np.concatenate([np.zeros((*samples.shape[:-1], 1)), np.cumsum(power, axis=-1)], axis=-1)
    floor = np.maximum(SILENCE * length / count * running[..., -1:], np.finfo(np.float32).tiny)
    local = np.maximum(running[..., length:] - running[..., :-length], floor)
    return best / local.astype(np.float32)


def detect(samples: Samples, detector: Detector) -> Acquisition:
    """Most likely start and carrier of one burst in (num_samples,); refine with `single_path.estimate_path`."""
    share = explained_share(samples, detector)
    start = int(np.argmax(share))
    window = samples[start : start + len(detector.reference)].astype(np.complex128)
    index = np.arange(len(window))
    turns = np.exp(-2j * np.pi * np.outer(detector.carriers_hz / detector.sample_rate_hz, index))
    strength = np.abs(turns @ (window * detector.reference.conj()))
    quality = min(float(share[start]), 1.0)
    return Acquisition(
        detected=quality > detector.threshold,
        start_index=start,
        cfo_hz=float(detector.carriers_hz[np.argmax(strength)]),
        quality=quality,
        threshold=detector.threshold,
    )


@lru_cache(maxsize=4)
def _carrier_spectra(detector: Detector, fft_len: int) -> NDArray[np.complex64]:
    """(num_carriers, fft_len) conjugate spectra of the preamble on each carrier, of unit energy."""
    reference = detector.reference.astype(np.complex128) / np.linalg.norm(detector.reference)
    cycles = np.outer(detector.carriers_hz / detector.sample_rate_hz, np.arange(len(reference)))
    turned = reference * np.exp(2j * np.pi * cycles)
    return scipy.fft.fft(turned, fft_len, axis=1).conj().astype(np.complex64)
