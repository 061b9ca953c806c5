"""Front ends' images and offsets, of both ends at once, from one burst of known random OFDM symbols.

With x the samples sent, n counted from the first of them, and h an unknown channel within the prefix:

    u = x + a x* + leakage,    r = e^{j w n} (h * u),    y = r + b r* + dc + noise

On subcarriers, after e^{-j w n}, the transmitter's image is the mirrored symbol through the channel, its leakage a
constant on the empty carrier bin; the receiver's image is the conjugate of all that arrived, 2 w away. So it is w that
tells the one end from the other. Least squares for the channel per subcarrier and the four together, the channel
partialled out exactly (Frisch and Waugh, Econometrica 1(4), 1933), made linear anew until it is still. The phase of
each symbol and the drift of the delay are followed too.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from calibration.iq_model import (
    DC,
    LEAKAGE,
    RX_IMAGE,
    TX_IMAGE,
    Complex,
    KnownBurst,
    Linear,
    Point,
    carrier_weights,
    cut,
    energies,
    first_guess,
    linearise,
    refit,
)
from calibration.power import estimate_noise_beside
from radio.decibel import to_db
from radio.interface import Samples
from radio.ofdm import OfdmConfig

MAX_STEPS = 12
STILL = 1e-3  # standard deviations that the last step may have moved
HIDDEN = 1e-6  # and the last step of what cannot be told
LEAST_APART = 1e-6  # share of a regressor that no other explains, below which rounding decides
NOISE_MARGIN = 5.0  # and how far it must lie above what noise in the channel's estimate fakes
MIXED = 1e-3  # share in a direction that cannot be seen, above which a value is not known
LEAST_SYMBOLS = 8
NORMAL_95 = 1.96


@dataclass(frozen=True)
class FrontEndEstimate:
    """Images relative to the signal, offsets relative to full scale; `..._std` of each of real and imaginary part.

    A std is infinite where two of the four cannot be told apart: then only their sum is right. `quality` in [0, 1]:
    share of the signal of each of the four, the least of them, that the other three do not explain.
    `carrier_offset_hz`: refined, as it was in the burst. `noise_variance`: of a sample.
    """

    tx_image: complex
    tx_image_std: float
    rx_image: complex
    rx_image_std: float
    leakage: complex
    leakage_std: float
    dc: complex
    dc_std: float
    carrier_offset_hz: float
    carrier_offset_std_hz: float
    noise_variance: float
    quality: float

    @property
    def tx_image_db(self) -> float:
        """Relative to the signal."""
        return _amplitude_db(self.tx_image)

    @property
    def rx_image_db(self) -> float:
        """Relative to the signal."""
        return _amplitude_db(self.rx_image)

    @property
    def leakage_db(self) -> float:
        """Relative to the transmitter's full scale."""
        return _amplitude_db(self.leakage)

    @property
    def dc_db(self) -> float:
        """Relative to the receiver's full scale."""
        return _amplitude_db(self.dc)


@dataclass(frozen=True, eq=False)
class _Normal:
    """Normal equations of the four, the channel partialled out. gram, inverse: (4, 4); slope: (4,); the inverse leaves
    out what cannot be seen. variances: (4,), complex. quality as above."""

    gram: Complex
    inverse: Complex
    slope: Complex
    variances: NDArray[np.float64]
    quality: float


def estimate_front_ends(
    received: Samples,
    symbols: NDArray[np.complexfloating],
    ofdm: OfdmConfig,
    carrier_offset_hz: float,
    *,
    drift: float = 0.0,
    lead_samples: int = 0,
) -> FrontEndEstimate:
    """Images of both ends, leakage and DC.

    received: (num_symbols * symbol_len,) from the first sample of the first prefix. symbols: (num_symbols, num_active)
    as sent, in units of the transmitter's full scale, independent of each other (`radio.training.training_symbols`
    times a level). carrier_offset_hz: received carrier minus the receiver's, tuning included, within a quarter of
    sample_rate_hz / symbol_len. Tune the receiver some subcarriers off: at 0 and over a single path the two images,
    and leakage and DC, are alike, as the stds then say. drift: change of the delay per sample, as in `Correction`, to
    a sample over the burst. lead_samples: how far before its first sample a symbol's paths may arrive.
    Raises ValueError for lengths that do not fit, a band that the receiver cannot see whole, or silence.
    """
    _check(received, symbols, ofdm, carrier_offset_hz, lead_samples)
    burst = cut(received, symbols, ofdm, lead_samples)
    point = first_guess(burst, carrier_offset_hz / ofdm.sample_rate_hz, drift)
    for _ in range(MAX_STEPS):
        normal = _normal(linearise(burst, point), burst)
        step = normal.inverse @ normal.slope
        point = replace(point, four=point.four + step)
        point = refit(burst, point, linearise(burst, point))
        known = np.isfinite(normal.variances)  # what cannot be told yet may be with the next gains
        if np.all(
            np.abs(step) <= np.where(known, STILL * np.sqrt(np.where(known, normal.variances, 0.0)), HIDDEN)
        ):
            break
    linear = linearise(burst, point)
    normal = _normal(linear, burst)
    four = normal.inverse @ (normal.gram @ point.four)  # a noisy channel makes regressors too strong
    stds = np.sqrt(normal.variances / 2.0)
    return FrontEndEstimate(
        tx_image=complex(four[TX_IMAGE]),
        tx_image_std=float(stds[TX_IMAGE]),
        rx_image=complex(four[RX_IMAGE]),
        rx_image_std=float(stds[RX_IMAGE]),
        leakage=complex(four[LEAKAGE]),
        leakage_std=math.hypot(stds[LEAKAGE], abs(four[LEAKAGE]) * _carrier_doubt(linear, point, burst)),
        dc=complex(four[DC]),
        dc_std=float(stds[DC]),
        carrier_offset_hz=_offset(point, burst) * ofdm.sample_rate_hz,
        carrier_offset_std_hz=_offset_std(linear, point, burst) * ofdm.sample_rate_hz,
        noise_variance=_noise(linear),
        quality=normal.quality,
    )


def _noise(linear: Linear) -> float:
    """Of a sample; gains, the four, a turn for each symbol, of which two are offset and phase, and drift are free."""
    num_symbols, num_active = linear.basis.shape
    free = num_active + 4 + (num_symbols + 1) // 2
    return estimate_noise_beside(linear.residual, np.zeros_like(linear.residual), free).variance


def _normal(linear: Linear, burst: KnownBurst) -> _Normal:
    num_symbols, num_active = linear.basis.shape
    noise = _noise(linear)
    weights_of_gains = energies(linear)
    own = linear.regressors.copy()
    along = np.sum(linear.basis.conj() * own[:, :, :-1], axis=1) / weights_of_gains
    own[:, :, :-1] -= linear.basis * along[:, None, :]
    flat = own.reshape(4, -1)
    gram = flat.conj() @ flat.T
    scale = np.sqrt(np.diag(gram).real)
    # Noise in the gains makes the images' regressors and the leakage's stronger, and seem less alike, than they are.
    at_carrier = burst.windows.size * np.sum(np.abs(carrier_weights(burst.ofdm)) ** 2 / weights_of_gains)
    share = noise * np.array([num_active, num_active, at_carrier, 0.0]) / scale**2
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale) - np.diag(share))
    weights = np.abs(vectors) ** 2
    seen = values > np.maximum(LEAST_APART, NOISE_MARGIN * share @ weights)
    half = vectors[:, seen] / scale[:, None]
    inverse = (half / values[seen]) @ half.conj().T
    # Symbols are independent of each other; subcarriers are not where phase noise spills one onto others. The channel
    # and the four have taken a symbol each.
    slopes = np.einsum("imk,mk->mi", own.conj(), linear.residual)
    moved = slopes @ inverse.T
    variances = np.sum(np.abs(moved - moved.mean(axis=0)) ** 2, axis=0) * num_symbols / (num_symbols - 2)
    variances *= (scipy.stats.t.ppf(0.975, 2 * num_symbols - 2) / NORMAL_95) ** 2
    variances[weights[:, ~seen].sum(axis=1) > MIXED] = math.inf
    quality = min(float(np.min(1.0 / (weights @ (1.0 / values)))), 1.0) if seen.all() else 0.0
    return _Normal(gram, inverse, slopes.sum(axis=0), variances, quality)


def _carrier_doubt(linear: Linear, point: Point, burst: KnownBurst) -> float:
    """Relative standard deviation, of one part, of the channel at the carrier."""
    weights = carrier_weights(burst.ofdm)
    variance = _noise(linear) * np.sum(np.abs(weights) ** 2 / energies(linear))
    return math.sqrt(variance / 2.0) / abs(complex(weights @ point.gains))


def _offset(point: Point, burst: KnownBurst) -> float:
    """Mean over the burst, cycles a sample."""
    return float(np.polyfit(burst.late, point.turned.mean(axis=1), 1)[0]) / (2.0 * math.pi)


def _offset_std(linear: Linear, point: Point, burst: KnownBurst) -> float:
    """Cycles a sample."""
    signal = np.sum(np.abs(linear.basis * point.gains) ** 2, axis=1)
    variance = _noise(linear) / 2.0 * np.mean(1.0 / signal) / np.sum(burst.late**2)
    return math.sqrt(variance) / (2.0 * math.pi)


def _amplitude_db(value: complex) -> float:
    return to_db(abs(value) ** 2)


def _check(
    received: Samples,
    symbols: NDArray[np.complexfloating],
    ofdm: OfdmConfig,
    carrier_offset_hz: float,
    lead_samples: int,
) -> None:
    if len(symbols) < LEAST_SYMBOLS or symbols.shape[1:] != (ofdm.num_active,):
        raise ValueError(
            f"symbols must be ({LEAST_SYMBOLS} or more, {ofdm.num_active}), got {symbols.shape}; send more training"
        )
    if len(received) != len(symbols) * ofdm.symbol_len:
        raise ValueError(
            f"{len(symbols)} symbols last {len(symbols) * ofdm.symbol_len} samples, received {len(received)}"
        )
    if not 0 <= lead_samples < ofdm.prefix_len:
        raise ValueError(f"lead_samples must be in [0, {ofdm.prefix_len}) (prefix_len), got {lead_samples}")
    limit_hz = (1.0 - (ofdm.num_active + 1) / ofdm.fft_len) * ofdm.sample_rate_hz / 2.0
    if abs(carrier_offset_hz) > limit_hz:
        raise ValueError(
            f"carrier_offset_hz must be within +-{limit_hz:g}, or part of the band lies beyond the receiver's; "
            f"got {carrier_offset_hz:g}"
        )
    if not np.any(received):
        raise ValueError(f"all {len(received)} samples are zero; nothing was received")
