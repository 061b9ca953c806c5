"""Compression of a transmitter from a received ramp (`calibration/ramp.py`): gain and phase over level, 1 dB point.

A tone sees one complex gain once its path has settled. Each level is compared with the references around it: that
takes out the path, its drift and what the carrier offset leaves. Two levels share the noise of the reference between
them, which the fit of Rapp's law (`calibration/rapp.py`) accounts for.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from calibration.one_db_point import find_one_db
from calibration.ramp import Ramp
from calibration.rapp import RappFit, fit_rapp, saturation_db
from radio.interface import Samples

NUM_PARTS = 8  # of a segment; their scatter is the noise
DB = 20.0 / math.log(10.0)  # of a small relative change of amplitude
MISFIT_TAIL = 1e-3  # probability with which an amplifier after Rapp's law is taken for another
SECOND_DIFFERENCES = (
    3.9  # variance of the mean square of n of them, times n, over its square: 2 (1 + 2 (4/9 + 1/36))
)
VAGUE_DB, VAGUE_LOG = 1.0, 0.35  # stds of saturation and of the logarithm of smoothness that tell nothing
FloatArray = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False, kw_only=True)
class CompressionEstimate:
    """Levels relative to full scale, a tone of amplitude 1; rising, (num_levels,). `..._std`: predicted.

    gains_db: relative to small signals, or to the reference level where no law holds; phases_rad: relative to the
    reference level. They share some of their error, that of the references. one_db_dbfs: where the gain has fallen by
    1 dB, None beyond the highest level sent; at_least_dbfs: what that point exceeds with 97.5 % of probability, at most
    the highest level sent. saturation_db, smoothness: Rapp's A and p, None where the data do not tell. is_rapp: whether
    his law explains the gains; if not, the 1 dB point is read off the curve (`calibration/one_db_point.py`).
    quality in [0, 1]: share of the references' energy that is the tone.
    """

    levels_db: FloatArray
    gains_db: FloatArray
    gain_stds_db: FloatArray
    phases_rad: FloatArray
    phase_stds_rad: FloatArray
    one_db_dbfs: float | None
    one_db_std_db: float | None
    at_least_dbfs: float
    saturation_db: float | None
    saturation_std_db: float | None
    smoothness: float | None
    smoothness_std: float | None
    is_rapp: bool
    quality: float


@dataclass(frozen=True, eq=False)
class _Segments:
    """tones: (num_segments,) complex amplitudes; part_variance: of one part of each, from noise."""

    tones: Complex
    part_variance: float
    quality: float


def estimate_compression(
    received: Samples,
    ramp: Ramp,
    sample_rate_hz: float,
    carrier_offset_hz: float = 0.0,
    *,
    guard_samples: int = 96,
) -> CompressionEstimate:
    """AM/AM, AM/PM and the 1 dB point.

    received: (num_segments * segment_len,) from the ramp's first sample, to guard_samples / 4. carrier_offset_hz: to
    sample_rate_hz / segment_len. guard_samples: left out at the start of each segment, while the paths settle, and a
    quarter of it at the end. Raises ValueError for a wrong length, a guard that leaves too little, or silence.
    """
    segments = _segments(received, ramp, carrier_offset_hz / sample_rate_hz, guard_samples)
    order = np.argsort(ramp.levels_db, kind="stable")
    levels_db = np.asarray(ramp.levels_db)[order]
    compared, covariances = _compare(segments, ramp)
    gains_db = DB * compared.real[order] - (levels_db - ramp.reference_db)
    covariance = DB**2 * covariances[0][np.ix_(order, order)]
    fit = fit_rapp(levels_db, gains_db, covariance, ramp.reference_db)
    free = len(levels_db) - 2
    is_rapp = bool(fit.misfit * free <= scipy.stats.chi2.isf(MISFIT_TAIL, free))
    point = (
        (fit.one_db_db, math.sqrt(fit.covariance[0, 0]), fit.at_least_db)
        if is_rapp
        else find_one_db(levels_db, gains_db, covariance, fit.one_db_db)
    )
    one_db_dbfs, std_db, at_least_dbfs = point
    inside = one_db_dbfs <= levels_db[-1]
    law = _law(fit) if is_rapp else None
    return CompressionEstimate(
        levels_db=levels_db,
        gains_db=gains_db + (fit.own_gain_db if is_rapp else 0.0),
        gain_stds_db=np.sqrt(fit.gain_variances if is_rapp else np.diag(covariance)),
        phases_rad=compared.imag[order],
        phase_stds_rad=np.sqrt(np.diag(covariances[1])[order]),
        one_db_dbfs=one_db_dbfs if inside else None,
        one_db_std_db=std_db if inside else None,
        at_least_dbfs=min(at_least_dbfs, float(levels_db[-1])),
        saturation_db=law[0] if law else None,
        saturation_std_db=law[1] if law else None,
        smoothness=law[2] if law else None,
        smoothness_std=law[3] if law else None,
        is_rapp=is_rapp,
        quality=segments.quality,
    )


def _segments(received: Samples, ramp: Ramp, offset: float, guard: int) -> _Segments:
    """offset: of the carrier in cycles a sample; what it leaves is found from part to part and turned back."""
    num_samples = ramp.num_segments * ramp.segment_len
    if len(received) != num_samples:
        raise ValueError(f"the ramp lasts {num_samples} samples, received {len(received)}")
    part_len = (ramp.segment_len - guard - guard // 4) // (NUM_PARTS * ramp.period) * ramp.period
    if guard < 0 or part_len < ramp.period:
        raise ValueError(
            f"guard_samples must be in [0, {(ramp.segment_len - NUM_PARTS * ramp.period) * 4 // 5}] for segments of "
            f"{ramp.segment_len}, got {guard}"
        )
    if not np.any(received):
        raise ValueError(f"all {num_samples} samples are zero; nothing was received")
    index = np.arange(num_samples)
    turned = received * ramp.tone().conj() * np.exp(-2j * np.pi * offset * index)
    window = slice(guard, guard + NUM_PARTS * part_len)
    kept = turned.reshape(ramp.num_segments, -1)[:, window]
    middles = index.reshape(ramp.num_segments, -1)[:, window].reshape(-1, NUM_PARTS, part_len).mean(axis=2)
    parts = kept.reshape(-1, NUM_PARTS, part_len).mean(axis=2)
    step = np.angle(np.sum(parts[:, 1:] * parts[:, :-1].conj()))
    parts = parts * np.exp(-1j * step / part_len * middles)
    tones = parts.mean(axis=1)
    # Along the tone: phase noise lies across it. A segment's mean and slope are not noise.
    along = (parts * np.exp(-1j * np.angle(tones))[:, None]).real
    places = np.arange(NUM_PARTS) - (NUM_PARTS - 1) / 2.0
    basis = np.stack([np.ones(NUM_PARTS), places], axis=1)
    left = along - along @ basis @ np.diag(1.0 / np.sum(basis**2, axis=0)) @ basis.T
    part_variance = float(np.sum(left**2)) / (left.size - 2 * len(left)) / NUM_PARTS
    energy = float(np.mean(np.abs(kept[::2]) ** 2))
    return _Segments(tones, part_variance, min(float(np.mean(np.abs(tones[::2]) ** 2)) / energy, 1.0))


def _compare(segments: _Segments, ramp: Ramp) -> tuple[Complex, tuple[FloatArray, FloatArray]]:
    """Logarithms of the levels' tones over those of the references beside them, (num_levels,), and the covariances of
    their real and imaginary parts."""
    references, levels = segments.tones[::2], segments.tones[1::2]
    logs = np.log(np.abs(references)) + 1j * np.unwrap(np.angle(references))
    beside = (logs[1:] + logs[:-1]) / 2.0
    compared = np.log(np.abs(levels)) - beside.real + 1j * np.angle(levels * np.exp(-1j * beside.imag))
    halves = 0.5 * (np.eye(len(levels), len(logs)) + np.eye(len(levels), len(logs), 1))
    noise = segments.part_variance / np.abs(references) ** 2
    own = segments.part_variance / np.abs(levels) ** 2
    own += ramp.rounding * 10.0 ** (-np.asarray(ramp.levels_db) / 10.0)
    shared = np.diag(own) + halves * noise @ halves.T
    return compared, (
        shared + np.eye(len(levels)) * _unsteadiness(logs.real, noise),
        shared + np.eye(len(levels)) * _unsteadiness(logs.imag, noise),
    )


def _unsteadiness(references: FloatArray, noise: FloatArray) -> float:
    """Variance by which a reference differs from the mean of its neighbours, beyond what noise explains and chance."""
    bent = references[1:-1] - (references[2:] + references[:-2]) / 2.0
    expected = float(np.mean(noise[1:-1] + (noise[2:] + noise[:-2]) / 4.0))
    seen = float(np.mean(bent**2))
    chance = 3.0 * math.sqrt(SECOND_DIFFERENCES / len(bent))
    return seen - expected if seen > (1.0 + chance) * expected else 0.0


def _law(fit: RappFit) -> tuple[float, float, float, float] | None:
    """Saturation and smoothness with stds, if the data tell both."""
    step = 1e-4
    here = saturation_db(fit.one_db_db, fit.smoothness)
    slope = np.array([1.0, (saturation_db(fit.one_db_db, fit.smoothness * math.exp(step)) - here) / step])
    saturation_std, log_std = math.sqrt(slope @ fit.covariance @ slope), math.sqrt(fit.covariance[1, 1])
    if saturation_std > VAGUE_DB or log_std > VAGUE_LOG:
        return None
    return here, saturation_std, fit.smoothness, fit.smoothness * log_std
