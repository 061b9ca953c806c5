"""OFDM with a cyclic prefix: amplitudes of subcarriers to samples and back. The transform is unitary."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from radio.interface import Samples


@dataclass(frozen=True, kw_only=True)
class OfdmConfig:
    """Numerology of an OFDM symbol, and how a payload lies on it; all radios of a testbed must agree on both.

    Lengths in samples. The DC bin stays empty, the band edges are guards. num_pilots: active subcarriers that carry
    known pilots in every payload symbol. interleave: whether elements are spread over the subcarriers. precoding:
    whether elements are turned by a shared pseudo-random code on the air.
    """

    fft_len: int = 256
    prefix_len: int = 64
    num_active: int = 192
    sample_rate_hz: float = 4e6
    num_pilots: int = 0
    interleave: bool = True
    precoding: bool = False

    def __post_init__(self) -> None:
        if not 64 <= self.fft_len <= 4096:
            raise ValueError(f"fft_len must be in [64, 4096], got {self.fft_len}")
        if not 0 <= self.prefix_len <= self.fft_len:
            raise ValueError(f"prefix_len must be in [0, {self.fft_len}] (fft_len), got {self.prefix_len}")
        if not (2 <= self.num_active <= self.fft_len - 2 and self.num_active % 2 == 0):
            raise ValueError(
                f"number of active subcarriers must be even and in [2, {self.fft_len - 2}], got {self.num_active}"
            )
        most = self.num_active // 4 * 2  # a comb with more teeth than gaps is no comb
        if not (0 <= self.num_pilots <= most and self.num_pilots % 2 == 0):
            raise ValueError(
                f"number of pilot subcarriers must be even and in [0, {most}], half of the {self.num_active} active "
                f"ones, got {self.num_pilots}; lower radio.pilots or raise radio.active"
            )

    @property
    def num_data(self) -> int:
        """Active subcarriers that carry elements of the payload."""
        return self.num_active - self.num_pilots

    @property
    def pilot_subcarriers(self) -> NDArray[np.intp]:
        """(num_pilots,) places among the active subcarriers, rising: even steps, symmetric about DC."""
        half, teeth = self.num_active // 2, self.num_pilots // 2
        above = half + (2 * np.arange(teeth) + 1) * half // max(2 * teeth, 1)
        return np.concatenate([self.num_active - 1 - above[::-1], above]).astype(np.intp)

    @property
    def data_subcarriers(self) -> NDArray[np.intp]:
        """(num_data,) the other places among the active subcarriers, rising."""
        return np.setdiff1d(np.arange(self.num_active), self.pilot_subcarriers)

    @property
    def symbol_len(self) -> int:
        """Samples of one symbol with its prefix."""
        return self.fft_len + self.prefix_len

    @property
    def active_bins(self) -> NDArray[np.intp]:
        """(num_active,) FFT bins in order of rising frequency, half below and half above the empty DC bin."""
        half = self.num_active // 2
        return np.concatenate([np.arange(self.fft_len - half, self.fft_len), np.arange(1, half + 1)])

    @property
    def active_freqs_hz(self) -> NDArray[np.float64]:
        """(num_active,) of the active subcarriers at baseband, in the order of `active_bins`."""
        below = self.active_bins >= self.fft_len // 2
        return np.asarray((self.active_bins - self.fft_len * below) * self.sample_rate_hz / self.fft_len)


def modulate(symbols: NDArray[np.complexfloating], ofdm: OfdmConfig) -> Samples:
    """Turn subcarrier amplitudes into time samples.

    symbols: (num_symbols, num_active), complex, any scale; analog, so never sliced.
    returns: (num_symbols * symbol_len,), complex64. A symbol's body has the energy of its amplitudes; the
        prefix adds its own.
    """
    half = ofdm.num_active // 2
    grid = np.zeros((len(symbols), ofdm.fft_len), dtype=np.complex64)
    grid[:, -half:] = symbols[:, :half]
    grid[:, 1 : half + 1] = symbols[:, half:]
    body = scipy.fft.ifft(grid, axis=1, norm="ortho", overwrite_x=True)
    samples = np.empty((len(symbols), ofdm.symbol_len), dtype=np.complex64)
    samples[:, ofdm.prefix_len :] = body
    samples[:, : ofdm.prefix_len] = body[:, ofdm.fft_len - ofdm.prefix_len :]
    return samples.ravel()


def demodulate(samples: Samples, ofdm: OfdmConfig) -> NDArray[np.complex64]:
    """Inverse of `modulate`: drop each prefix, transform, keep the active subcarriers.

    samples: (num_symbols * symbol_len,), starting at the first sample of a prefix.
    returns: (num_symbols, num_active), complex64.
    """
    if len(samples) % ofdm.symbol_len:
        raise ValueError(f"{len(samples)} samples are not a whole number of symbols of {ofdm.symbol_len}")
    body = samples.reshape(-1, ofdm.symbol_len)[:, ofdm.prefix_len :]
    grid = scipy.fft.fft(body, axis=1, norm="ortho")
    half = ofdm.num_active // 2
    symbols = np.empty((len(grid), ofdm.num_active), dtype=np.complex64)
    symbols[:, :half] = grid[:, -half:]
    symbols[:, half:] = grid[:, 1 : half + 1]
    return symbols
