"""A known OFDM burst through two front ends and a channel, on its subcarriers; see `calibration/iq.py`.

Symbols lie in rows. Columns are the active subcarriers in rising order, then the empty carrier bin.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from calibration.delay import centred_bins
from radio.interface import Samples
from radio.ofdm import OfdmConfig

TX_IMAGE, RX_IMAGE, LEAKAGE, DC = range(4)
TAILS = 4  # taps that paths between samples reach beyond the prefix, on either side
WEAKEST = 1e-3  # share below which a direction of the taps is hidden by the guard bands
Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False, kw_only=True)
class KnownBurst:
    """windows: (num_symbols, fft_len) received bodies, indices: of their samples, 0 in their middle. sent, mirrored:
    (num_symbols, num_active) symbols and their images."""

    windows: Complex
    indices: NDArray[np.float64]
    sent: Complex
    mirrored: Complex
    ofdm: OfdmConfig

    @property
    def late(self) -> NDArray[np.float64]:
        """(num_symbols,) index of each window's middle."""
        return self.indices.mean(axis=1)

    @property
    def columns(self) -> NDArray[np.intp]:
        """(num_active + 1,) FFT bins."""
        return np.append(self.ofdm.active_bins, 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Point:
    """Values of all unknowns. turned: (num_symbols, fft_len) by what the carrier has turned each sample, in rad;
    drift: samples a sample; gains: (num_active,); four: TX_IMAGE, RX_IMAGE, LEAKAGE, DC."""

    turned: NDArray[np.float64]
    drift: float
    gains: Complex
    four: Complex


@dataclass(frozen=True, eq=False)
class Linear:
    """The model at a point. basis: (num_symbols, num_active) what the gains multiply. regressors: (4, num_symbols,
    num_active + 1) derivatives in the four. residual: (num_symbols, num_active + 1) what is not explained."""

    basis: Complex
    regressors: Complex
    residual: Complex


def cut(received: Samples, symbols: NDArray[np.complexfloating], ofdm: OfdmConfig, lead: int) -> KnownBurst:
    """received: (num_symbols * symbol_len,); windows begin `lead` samples before the prefixes' ends."""
    starts = np.arange(len(symbols)) * ofdm.symbol_len + ofdm.prefix_len - lead
    indices = starts[:, None] + np.arange(ofdm.fft_len)
    sent = symbols.astype(np.complex128)
    return KnownBurst(
        windows=received.astype(np.complex128)[indices],
        indices=indices - indices.mean(),
        sent=sent,
        mirrored=sent[:, ::-1].conj(),
        ofdm=ofdm,
    )


@lru_cache(maxsize=8)
def carrier_weights(ofdm: OfdmConfig) -> Complex:
    """(num_active,) weights that interpolate a channel of taps within the prefix to the empty carrier bin."""
    delays = np.arange(-TAILS, ofdm.prefix_len + TAILS)
    responses = np.exp(-2j * np.pi * np.outer(centred_bins(ofdm), delays) / ofdm.fft_len)
    return np.linalg.pinv(responses, rcond=WEAKEST).sum(
        axis=0
    )  # at the carrier every tap has a response of 1


def linearise(burst: KnownBurst, point: Point) -> Linear:
    """The receiver's image is taken as known from the fit itself: it is a small part of what it is made from."""
    delays = np.outer(burst.late * point.drift, centred_bins(burst.ofdm))
    delayed = np.exp(-2j * np.pi * delays / burst.ofdm.fft_len)
    basis = delayed * (burst.sent + point.four[TX_IMAGE] * burst.mirrored)
    regressors = np.zeros((4, len(burst.sent), burst.ofdm.num_active + 1), dtype=np.complex128)
    regressors[TX_IMAGE, :, :-1] = delayed * burst.mirrored * point.gains
    regressors[LEAKAGE, :, -1] = np.sqrt(burst.ofdm.fft_len) * (carrier_weights(burst.ofdm) @ point.gains)
    arrived = point.four[LEAKAGE] * regressors[LEAKAGE]
    arrived[:, :-1] += basis * point.gains
    back = np.exp(-1j * point.turned)
    grid = np.zeros(back.shape, dtype=np.complex128)
    grid[:, burst.columns] = arrived
    conjugate = (scipy.fft.ifft(grid, axis=1, norm="ortho") * back.conj()).conj()
    on_air = scipy.fft.fft(np.stack([conjugate, np.ones_like(back), burst.windows]) * back, norm="ortho")
    regressors[RX_IMAGE], regressors[DC], received = on_air[:, :, burst.columns]
    parasites = point.four[RX_IMAGE] * regressors[RX_IMAGE] + point.four[DC] * regressors[DC]
    return Linear(basis, regressors, received - arrived - parasites)


def first_guess(burst: KnownBurst, offset: float, drift: float) -> Point:
    """Phases added up from symbol to symbol, gains by least squares, nothing of the four.

    offset: of the carrier, cycles a sample.
    """
    blank = Point(
        turned=2.0 * np.pi * offset * burst.indices,
        drift=drift,
        gains=np.zeros(burst.ofdm.num_active, dtype=np.complex128),
        four=np.zeros(4, dtype=np.complex128),
    )
    linear = linearise(burst, blank)
    seen = linear.residual[:, :-1] * linear.basis.conj()
    steps = np.angle(np.sum(seen[1:] * seen[:-1].conj(), axis=1))
    turned = _turn(burst, blank, np.concatenate([[0.0], np.cumsum(steps)]))
    return refit(burst, turned, linearise(burst, turned))


def refit(burst: KnownBurst, point: Point, linear: Linear) -> Point:
    """The nuisances one by one: gains, then the carrier's turns, and drift."""
    change = np.sum(linear.basis.conj() * linear.residual[:, :-1], axis=0) / energies(linear)
    gains = point.gains + change
    residual = linear.residual[:, :-1] - change * linear.basis
    signal = gains * linear.basis
    turns = np.angle(np.sum(signal.conj() * (signal + residual), axis=1))
    sliding = -2j * np.pi * np.outer(burst.late, centred_bins(burst.ofdm)) / burst.ofdm.fft_len * signal
    slid = float(np.sum(sliding.conj() * residual).real / np.sum(np.abs(sliding) ** 2))
    return _turn(burst, replace(point, gains=gains, drift=point.drift + slid), turns - turns.mean())


def energies(linear: Linear) -> NDArray[np.float64]:
    """(num_active,) what the noise on a gain is divided by."""
    return np.sum(np.abs(linear.basis) ** 2, axis=0)


def _turn(burst: KnownBurst, point: Point, turns: NDArray[np.float64]) -> Point:
    """Turned further, by `turns` (num_symbols,) in the middles of the windows and steadily between them."""
    slope = np.sum(turns * burst.late) / np.sum(burst.late**2)
    bent = np.interp(burst.indices, burst.late, turns - slope * burst.late)
    return replace(point, turned=point.turned + slope * burst.indices + bent)
