"""Joint sounding: every device sends the same Zadoff-Chu sequence over the subcarriers, cyclically shifted in time.

A shift by d samples is a phase ramp over subcarriers, and to the receiver it is a channel delayed by d: devices
whose channels are shorter than the shift lie side by side in the time domain. Devices that do not fit beside each
other are told apart by orthogonal covers over the symbols of the slot. Guard bands and the empty DC bin make taps
of neighbours overlap a little, so all windows of a symbol are fitted together.

Limits. Devices must arrive within one tap window of each other and of the receiver's window, and with CFOs below 2 %
of the subcarrier spacing: to a Zadoff-Chu sequence a frequency offset is a delay, and covers turn with it. At +-2 %
errors are -29 dB with one symbol, -21 dB with two covers over two, -15 dB with four over four; each tenth of the offset
takes 20 dB off. More symbols under as few covers do not leak more: what counts is how far apart the covers are.
"""

import sys
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from radio.ofdm import OfdmConfig

NUMERICAL_RANK = 1e-10  # directions below this share of the strongest are lost to rounding


@dataclass(frozen=True, kw_only=True)
class JointSounding:
    """Who sounds at once, and how far apart. The tap window of each device spans delays 0 .. num_taps - 1 samples.

    num_covers: groups of devices that covers tell apart, as few as can be: each costs accuracy where devices turn.
    shift_samples: distance between two devices of a symbol. num_taps: delay plus channel spread of a device, at most
    the active share of the shift; error grows as it comes close to that. root: of the sequence, coprime to num_active.
    """

    num_devices: int
    num_symbols: int
    num_covers: int
    shift_samples: int
    num_taps: int
    ofdm: OfdmConfig
    root: int = 1

    def __post_init__(self) -> None:
        ofdm = self.ofdm
        if self.num_devices < 1 or self.num_symbols < 1:
            raise ValueError(
                f"num_devices and num_symbols must be at least 1, got {self.num_devices}, {self.num_symbols}"
            )
        if not 1 <= self.num_covers <= min(self.num_devices, self.num_symbols):
            raise ValueError(
                f"num_covers must be in [1, {min(self.num_devices, self.num_symbols)}] (num_devices and num_symbols), "
                f"got {self.num_covers}"
            )
        widest = self.shift_samples * ofdm.num_active // ofdm.fft_len
        if not 1 <= self.num_taps <= widest:
            raise ValueError(
                f"num_taps must be in [1, {widest}] (shift_samples {self.shift_samples} times the active share of "
                f"the band), got {self.num_taps}; use wider shifts"
            )
        fitting = ofdm.fft_len // self.shift_samples
        if self.per_symbol > fitting:
            raise ValueError(
                f"{self.num_devices} devices under {self.num_covers} covers are {self.per_symbol} a symbol, but only "
                f"{fitting} shifts of {self.shift_samples} samples fit into fft_len {ofdm.fft_len}; use more covers "
                f"or narrower shifts"
            )
        if self.num_covers == self.num_symbols and self.per_symbol * self.num_taps >= ofdm.num_active:
            raise ValueError(
                f"{self.per_symbol} devices of {self.num_taps} taps explain any {ofdm.num_active} values of a symbol "
                f"and leave none to measure noise with; use fewer num_taps or one more symbol"
            )
        if np.gcd(self.root, ofdm.num_active) != 1:
            raise ValueError(f"root must be coprime to num_active {ofdm.num_active}, got {self.root}")

    @property
    def per_symbol(self) -> int:
        """Devices side by side in one symbol: as few as the covers allow."""
        return -(-self.num_devices // self.num_covers)

    @property
    def covers(self) -> NDArray[np.intp]:
        """(num_covers,) numbers of the covers in use, as far apart as can be; the others measure noise."""
        return np.arange(self.num_covers) * self.num_symbols // self.num_covers

    def place(self, device: int) -> tuple[int, int]:
        """(cover, shift): number of the device's cover, and its cyclic shift in samples."""
        group, slot = divmod(device, self.per_symbol)
        return int(self.covers[group]), slot * self.shift_samples


@dataclass(frozen=True, eq=False)
class JointChannels:
    """`gains`: (num_devices, num_active) complex. `error_variances`: the same shape, expected |error|^2 of a gain
    whose taps fill their window evenly. `noise_variance`: of one resource element, from what no tap explains."""

    gains: NDArray[np.complex128]
    error_variances: NDArray[np.float64]
    noise_variance: float


def zadoff_chu(length: int, root: int = 1) -> NDArray[np.complex128]:
    """(length,) of magnitude 1 and, for coprime root and length, constant magnitude after a DFT of that length.

    Chu, IEEE Trans. Inf. Theory 18(4), 1972; Frank, Zadoff and Heimiller, IRE Trans. Inf. Theory 8(6), 1962.
    """
    index = np.arange(length)
    half_turns = root * index * (index + length % 2) % (2 * length)  # whole numbers: exact at any length
    return np.exp(-1j * np.pi * half_turns / length)


def sounding_amplitudes(sounding: JointSounding, device: int) -> NDArray[np.complex64]:
    """(num_symbols, num_active) of magnitude 1, what device number `device` (from 0) sends."""
    if not 0 <= device < sounding.num_devices:
        raise ValueError(f"device must be in [0, {sounding.num_devices - 1}], got {device}")
    cover, shift = sounding.place(device)
    turns = np.exp(2j * np.pi * cover * np.arange(sounding.num_symbols) / sounding.num_symbols)
    ramp = np.exp(
        -2j * np.pi * (sounding.ofdm.active_bins * shift % sounding.ofdm.fft_len) / sounding.ofdm.fft_len
    )
    sequence = zadoff_chu(sounding.ofdm.num_active, sounding.root) * ramp
    return np.outer(turns, sequence).astype(np.complex64)


def separate_joint(received: NDArray[np.complexfloating], sounding: JointSounding) -> JointChannels:
    """Fit the tap windows of all devices to the superposition: regularised least squares, exact without noise.

    received: (num_symbols, num_active) amplitudes of the slot, any scale.
    The weight of the penalty is the measured noise over the measured power of a tap (linear MMSE for windows filled
    evenly): where the guard bands leave directions unseen, plain least squares would blow up the noise.
    """
    windows = sounding.per_symbol
    expected = (sounding.num_symbols, sounding.ofdm.num_active)
    if received.shape != expected:
        raise ValueError(
            f"received must have shape {expected} (num_symbols, num_active), got {received.shape}"
        )
    fit = _window_fit(sounding)
    sequence = zadoff_chu(sounding.ofdm.num_active, sounding.root)
    # Unitary over symbols: noise keeps its variance, and a device has sqrt(num_symbols) times its gain.
    uncovered = np.fft.fft(received, axis=0, norm="ortho") * sequence.conj()
    num_covers = sounding.num_covers
    explained = uncovered[sounding.covers] @ fit.basis.conj()  # (num_covers, rank)
    energy, signal = float(np.sum(np.abs(uncovered) ** 2)), float(np.sum(np.abs(explained) ** 2))
    free = uncovered.size - explained.size
    noise = max(energy - signal, sys.float_info.epsilon * energy) / free
    tap_power = max(signal - noise * explained.size, noise) / (
        expected[1] * sounding.num_devices * sounding.num_taps
    )
    penalised = fit.strengths**2 + noise / max(tap_power, sys.float_info.min)
    taps = (explained * (fit.strengths / penalised)) @ fit.directions.conj()
    taps = taps.reshape(num_covers * windows, sounding.num_taps)[: sounding.num_devices]
    gains = taps @ fit.response.T / np.sqrt(sounding.num_symbols)
    spread = np.einsum("wkr,r->wk", fit.spread, 1.0 / penalised) * noise / sounding.num_symbols
    errors = np.tile(spread, (num_covers, 1))[: sounding.num_devices]
    return JointChannels(gains, errors, noise)


@dataclass(frozen=True, eq=False)
class _WindowFit:
    """Singular value decomposition of the tap windows of one symbol, and what it takes to read a device from it."""

    basis: NDArray[np.complex128]  # (num_active, rank)
    strengths: NDArray[np.float64]  # (rank,)
    directions: NDArray[np.complex128]  # (rank, per_symbol * num_taps)
    response: NDArray[np.complex128]  # (num_active, num_taps) of taps at delays 0 .. num_taps - 1
    spread: NDArray[np.float64]  # (per_symbol, num_active, rank): |gain of a window|^2 along each direction


@lru_cache(maxsize=8)
def _window_fit(sounding: JointSounding) -> _WindowFit:
    ofdm, windows = sounding.ofdm, sounding.per_symbol
    delays = np.arange(windows)[:, None] * sounding.shift_samples + np.arange(sounding.num_taps)
    responses = np.exp(-2j * np.pi * np.outer(ofdm.active_bins, delays) / ofdm.fft_len)
    basis, strengths, directions = np.linalg.svd(responses, full_matrices=False)
    seen = strengths > NUMERICAL_RANK * strengths[0]
    basis, strengths, directions = basis[:, seen], strengths[seen], directions[seen]
    alone = responses[:, : sounding.num_taps]
    by_window = directions.conj().T.reshape(windows, sounding.num_taps, -1)
    return _WindowFit(basis, strengths, directions, alone, np.abs(alone @ by_window) ** 2)
