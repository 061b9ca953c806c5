"""Gain and SNR of one device from its channel over the subcarriers."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.power import NoiseEstimate
from radio.decibel import to_db

NORMAL_95 = 1.96
DB = 10.0 / math.log(10.0)


@dataclass(frozen=True, kw_only=True)
class GainEstimate:
    """`power`: mean |h|^2 over the subcarriers, noise taken out; `magnitude`: mean |h|. `..._std`: predicted.
    `quality` in [0, 1]: share of the observed energy that is the channel's."""

    power: float
    power_std: float
    magnitude: float
    magnitude_std: float
    quality: float

    @property
    def gain_db(self) -> float:
        """Of the mean power."""
        return to_db(self.power)

    @property
    def gain_std_db(self) -> float:
        """Infinite without a signal."""
        return DB * self.power_std / self.power if self.power > 0.0 else math.inf


@dataclass(frozen=True, kw_only=True)
class SnrEstimate:
    """`snr_std_db`: predicted. `low_db`, `high_db`: ends of the 95 % interval, minus and plus infinity where signal or
    noise is not seen for certain. `quality` in [0, 1]: the probability that there is a signal."""

    snr_db: float
    snr_std_db: float
    low_db: float
    high_db: float
    quality: float


def estimate_gain(
    response: NDArray[np.complexfloating],
    noise: NoiseEstimate,
    basis: NDArray[np.complexfloating] | None = None,
) -> GainEstimate:
    """How strong a channel is.

    response: (num_active,) gains, as observed or as fitted. noise: of one gain as observed, before any fit. basis:
    (num_active, rank) orthonormal, of the fit if there was one (`calibration.channel.tap_subspace`): it keeps rank of
    the num_active parts of the noise. Raises ValueError if they do not fit each other.
    """
    count = len(response)
    if basis is not None and len(basis) != count:
        raise ValueError(f"the basis has {len(basis)} subcarriers, the response {count}")
    rank = count if basis is None else basis.shape[1]
    powers = np.abs(response.astype(np.complex128)) ** 2
    left = noise.variance * rank / count
    power = float(np.mean(powers)) - left
    # |h + e|^2 = |h|^2 + 2 Re h* e + |e|^2, and what is subtracted is known as well as the noise is.
    variance = 2.0 * noise.variance * max(power, 0.0) / count + noise.variance**2 * rank / count**2
    power_std = math.hypot(math.sqrt(variance), noise.std * rank / count)
    magnitudes = np.sqrt(np.maximum(powers - left / 2.0, 0.0))  # E|h + e| is |h| + E|e|^2 / (4 |h|)
    directions = np.exp(1j * np.angle(response))
    along = directions if basis is None else basis.conj().T @ directions
    magnitude_std = math.sqrt(noise.variance / 2.0) * float(np.linalg.norm(along)) / count
    return GainEstimate(
        power=power,
        power_std=power_std,
        magnitude=float(np.mean(magnitudes)),
        magnitude_std=magnitude_std,
        quality=min(max(power / (power + left), 0.0), 1.0) if power + left > 0.0 else 0.0,
    )


def estimate_snr(power: float, power_std: float, noise: NoiseEstimate) -> SnrEstimate:
    """Ratio of two measured powers, with the interval of Fieller's theorem (J. Roy. Stat. Soc. B 16(2), 1954).

    power: of the signal without the noise, by whatever measure noise is of one value of, both errors independent and
    normal. Raises ValueError for noise or stds that are not above 0.
    """
    if not (noise.variance > 0.0 and noise.std > 0.0 and power_std > 0.0):
        raise ValueError(
            f"noise and both stds must be above 0, got {noise.variance:g}, {noise.std:g} and {power_std:g}"
        )
    # All ratios q for which |power - q noise| is within 1.96 of its standard deviations.
    leading = noise.variance**2 - (NORMAL_95 * noise.std) ** 2
    middle = power * noise.variance
    last = power**2 - (NORMAL_95 * power_std) ** 2
    root = math.sqrt(max(middle**2 - leading * last, 0.0))
    known = power > 0.0
    return SnrEstimate(
        snr_db=to_db(max(power, 0.0) / noise.variance),
        snr_std_db=DB * math.hypot(power_std / power, noise.std / noise.variance) if known else math.inf,
        low_db=to_db(max(last / (middle + root), 0.0)) if last > 0.0 and known else -math.inf,
        high_db=to_db(max(middle + root, 0.0) / leading) if leading > 0.0 else math.inf,
        quality=0.5 * math.erfc(-power / power_std / math.sqrt(2.0)),
    )


def amplitude_std_db(amplitude: complex, std: float) -> float:
    """Of 20 log10 |amplitude|, from the std of each of its parts, where it is a small share of the amplitude."""
    return 2.0 * DB * std / abs(amplitude) if amplitude else math.inf
