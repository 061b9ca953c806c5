"""What transmitters do to each other: soundings of each alone against a sounding of all together."""

from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

SILENT = 1e-20  # of a device's power: as much noise is assumed where none is stated
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class CrosstalkEstimate:
    """gain_change_db, phase_change_rad: (num_devices,) of each device when all send, against alone, in the mean over
    the band; with their standard deviations. leakage_db: (num_devices, num_devices) power that appears in the place of
    device j while i alone sends (row i, column j), over i's own, noise taken out; nan where none is seen, 0 on the
    diagonal. leakage_bound_db: 95 % upper bound; leakage_interval_db: (..., 2) of 95 %, from -inf where none is seen.
    quality: (num_devices,) correlation over the band between alone and together, 1 if only a factor changed.
    """

    gain_change_db: FloatArray
    gain_change_std_db: FloatArray
    phase_change_rad: FloatArray
    phase_change_std_rad: FloatArray
    leakage_db: FloatArray
    leakage_interval_db: FloatArray
    leakage_bound_db: FloatArray
    quality: FloatArray


def estimate_crosstalk(
    alone: NDArray[np.complexfloating],
    together: NDArray[np.complexfloating],
    alone_variance: FloatArray,
    together_variance: FloatArray,
    num_taps: int | None = None,
    wander_rad: float = 0.0,
    comparisons: int = 1,
) -> CrosstalkEstimate:
    """Compare soundings of the same layout.

    alone: (num_devices, num_devices, num_active), row i with i alone sending, gains in the places of all. together:
    (num_devices, num_active). alone_variance (num_devices, num_devices), together_variance (num_devices,): expected
    |error|^2 of a gain. num_taps: degrees of freedom of a response's errors, None for one each. wander_rad: rms turn of
    a clock between the soundings, as its drift and structure function give it: a phase that changed by so much tells
    nothing of the others. comparisons: leakages of which the largest will be picked; intervals and bounds are then so
    wide that all of them hold together with 95 % (Bonferroni).
    """
    num_devices, num_active = together.shape
    if alone.shape != (num_devices, num_devices, num_active):
        raise ValueError(
            f"alone must have shape {(num_devices, num_devices, num_active)} (who sends, whose place, subcarrier), got "
            f"{alone.shape}"
        )
    for name, values, shape in (
        ("alone_variance", alone_variance, (num_devices, num_devices)),
        ("together_variance", together_variance, (num_devices,)),
    ):
        if values.shape != shape or not np.all(values >= 0.0):
            raise ValueError(f"{name} must be {shape} numbers of at least 0, got shape {values.shape}")
    if num_taps is not None and not 1 <= num_taps <= num_active:
        raise ValueError(f"num_taps must be in [1, {num_active}] (num_active), got {num_taps}")
    if comparisons < 1:
        raise ValueError(f"comparisons must be at least 1, got {comparisons}")
    freedom = num_active if num_taps is None else num_taps
    own = alone[np.arange(num_devices), np.arange(num_devices)].astype(np.complex128)
    own_variance = np.diag(alone_variance)
    powers = np.mean(np.abs(alone) ** 2, axis=2)
    own_power = np.diag(powers) - own_variance
    if not np.all(own_power > 0.0):
        silent = int(np.argmin(own_power))
        raise ValueError(f"device {silent} was not heard when it sent alone; check its gain and cable")
    products = np.mean(together * own.conj(), axis=1)
    factors = products / own_power
    # Along the response's own direction there is a share of a gain's error; the noise of both soundings counts.
    strengths = np.maximum(np.abs(factors) ** 2, 1e-300)
    relative = (together_variance / strengths + own_variance * (1.0 + own_variance / own_power)) / (
        own_power * freedom
    )
    each = np.sqrt(relative / 2.0)
    together_power = np.maximum(np.mean(np.abs(together) ** 2, axis=1) - together_variance, 1e-300)
    leakage, interval, bound = _leakage(powers, alone_variance, own_power, freedom, 0.05 / comparisons)
    return CrosstalkEstimate(
        gain_change_db=20.0 * np.log10(np.maximum(np.abs(factors), 1e-15)),
        gain_change_std_db=20.0 / np.log(10.0) * each,
        phase_change_rad=np.angle(factors),
        phase_change_std_rad=np.hypot(each, wander_rad),
        leakage_db=leakage,
        leakage_interval_db=interval,
        leakage_bound_db=bound,
        quality=np.minimum(np.abs(products) / np.sqrt(own_power * together_power), 1.0),
    )


def _leakage(
    powers: FloatArray, variances: FloatArray, own_power: FloatArray, freedom: int, outside: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Leakage in dB, (..., 2) its interval, and its one-sided bound, relative to the power of who sends.
    outside: probability that the truth is not within.

    With noise, 2 freedom power / variance has a non-central chi-square law of 2 freedom degrees, whose parameter is
    that ratio without noise: inverted exactly. The own power's uncertainty is added to the ends.
    """
    least = np.maximum(variances, SILENT * own_power[:, None])
    seen = 2.0 * freedom * powers / least
    # Less than the mean noise is luck: it does not bound the leakage any lower.
    unlucky = np.maximum(seen, 2.0 * freedom)
    low, high, bound = (
        scipy.special.chndtrinc(at, 2.0 * freedom, level)
        for at, level in ((seen, 1.0 - outside / 2.0), (unlucky, outside / 2.0), (unlucky, outside))
    )
    clear = (scipy.special.chndtr(seen, 2.0 * freedom, 0.0) > 1.0 - outside / 2.0) & (low > 0.0)
    reach = float(scipy.special.ndtri(1.0 - outside / 2.0))
    scale = least / (2.0 * freedom) / own_power[:, None]
    own_db = 10.0 / np.log(10.0) * np.sqrt(2.0 * np.diag(variances) / (freedom * own_power))[:, None]
    middle_db, low_db, high_db, bound_db = (
        10.0 * np.log10(np.maximum(ratio, SILENT))
        for ratio in ((powers - variances) / own_power[:, None], low * scale, high * scale, bound * scale)
    )
    interval = np.stack(
        [
            np.where(clear, middle_db - np.hypot(middle_db - low_db, reach * own_db), -np.inf),
            np.where(clear, middle_db + np.hypot(high_db - middle_db, reach * own_db), high_db),
        ],
        axis=2,
    )
    itself = np.eye(len(powers), dtype=bool)
    interval[itself] = 0.0
    return (
        np.where(itself, 0.0, np.where(clear, middle_db, np.nan)),
        interval,
        np.where(itself, 0.0, bound_db),
    )
