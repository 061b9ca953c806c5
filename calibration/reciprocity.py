"""Whether a channel is the same both ways: the response there against the response back.

Waves do not care which end sends, so a path is reciprocal; radios are not, as each sends and receives through parts of
its own. What these do alike to all subcarriers, a gain, a phase and a delay, is apart from what they do unlike, which
is what keeps a device from learning its channel by listening (Kaltenberger et al., "Relative channel reciprocity
calibration in MIMO/TDD systems", Future Network and Mobile Summit 2010).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, chndtrinc

from calibration.delay import apply_delay, estimate_delay
from radio.decibel import to_db
from radio.ofdm import OfdmConfig

FITTED = 3  # real numbers: a gain, a phase and a delay
TAIL = 0.025
DB_PER_SHARE = 10.0 / math.log(10.0)
Complex = NDArray[np.complex128]


@dataclass(frozen=True, kw_only=True)
class ReciprocityEstimate:
    """error: power of what in the response back is not the response there, times one gain and behind one delay, over
    the power of the response back, measurement noise taken out; its 95 % interval. gain_db: power back over power
    there, with its standard deviation. quality: correlation of both over the band, in [0, 1], 1 if one is a multiple
    of the other."""

    error: float
    error_interval: tuple[float, float]
    gain_db: float
    gain_std_db: float
    quality: float


def estimate_reciprocity(
    there: Complex, there_variance: float, back: Complex, back_variance: float, rank: int, ofdm: OfdmConfig
) -> ReciprocityEstimate:
    """Of (num_active,) responses, each with errors of a variance a gain that fill a space of `rank` dimensions.

    The residual's energy over that of the errors' is chi-square with 2 rank - 3 degrees of freedom, not central if the
    responses differ. Raises ValueError for responses that are not of these subcarriers, or without energy.
    """
    for name, response in (("there", there), ("back", back)):
        if response.shape != (ofdm.num_active,):
            raise ValueError(f"{name} must have shape ({ofdm.num_active},), got {response.shape}")
    energy_there, energy_back = _energy(there), _energy(back)
    if not (energy_there > 0.0 and energy_back > 0.0):
        raise ValueError("a response is zero on all subcarriers; leave out devices that were not heard")
    turned = estimate_delay(back * there.conj(), 0.0, ofdm)
    moved = apply_delay(there, turned.delay_samples, ofdm)
    gain = complex(np.vdot(moved, back)) / energy_there
    error_energy_there, error_energy_back = ofdm.num_active * there_variance, ofdm.num_active * back_variance
    true_there = max(energy_there - error_energy_there, 0.5 * energy_there)
    true_back = max(energy_back - error_energy_back, 0.5 * energy_back)
    freedom = 2 * rank - FITTED
    per_part = (error_energy_back + abs(gain) ** 2 * error_energy_there) / (2 * rank)  # of a real dimension
    residual = _energy(back - gain * moved)
    low = high = 0.0
    if per_part > 0.0:
        ratio = residual / per_part
        if chdtr(freedom, ratio) > 1.0 - TAIL:  # more than noise alone would leave
            low = per_part * float(chndtrinc(ratio, freedom, 1.0 - TAIL))
        high = per_part * float(
            chndtrinc(max(ratio, freedom), freedom, TAIL)
        )  # less is luck: it bounds nothing
    error = max(residual - per_part * freedom, 0.0)
    shares = [
        2.0 * math.sqrt(error_energy / (2 * rank) / true)
        for error_energy, true in ((error_energy_there, true_there), (error_energy_back, true_back))
    ]
    return ReciprocityEstimate(
        error=error / true_back,
        error_interval=(low / true_back, high / true_back),
        gain_db=to_db(true_back / true_there),
        gain_std_db=DB_PER_SHARE * math.hypot(*shares),
        quality=min(abs(gain) * math.sqrt(energy_there / energy_back), 1.0),
    )


def _energy(response: Complex) -> float:
    return float(np.linalg.norm(response) ** 2)
