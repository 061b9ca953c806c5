"""Frequency from channels measured again and again: phases followed over growing distances in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LadderEstimate:
    """offsets_hz: (num_devices,) residual carrier offset. gains: (num_devices, num_active) at the last instant, with
    that offset undone averaged over the instants at which the channel was still the same; error_variances:
    (num_devices,) what that leaves of a single measurement's. quality: (num_devices,) in [0, 1], share of the instants
    that agree with the last; far below 1 the channel fades in between or a turn was miscounted. unsteady_rad:
    (num_devices,) most that the phase of an instant differs from the last with the offset undone; a miscounted turn
    leaves a radian or more."""

    offsets_hz: NDArray[np.float64]
    gains: NDArray[np.complex128]
    error_variances: NDArray[np.float64]
    quality: NDArray[np.float64]
    unsteady_rad: NDArray[np.float64]


AGREEMENT = (
    1.5  # a measurement that differs from the last by more than this times what noise explains has aged
)


def climb_frequency(
    gains: NDArray[np.complexfloating],
    instants_s: Sequence[float],
    error_variance: float | NDArray[np.float64],
) -> LadderEstimate:
    """Follow each device's common phase from the first measurement to the last.

    gains: (num_instants, num_devices, num_active). instants_s: rising. The first step is unambiguous for offsets
    below 1 / (2 (t1 - t0)); each further one for what the steps before it leave uncertain, so distances may grow by
    about the inverse of the phase error in turns. error_variance: mean squared error of a single gain, one for all or
    (num_devices,).
    """
    offsets_hz = np.zeros(gains.shape[1])
    for gain, instant_s in zip(gains[1:], instants_s[1:], strict=True):
        distance_s = instant_s - instants_s[0]
        correlation = np.einsum("ik,ik->i", gains[0].conj(), gain)
        turned = correlation * np.exp(-2j * np.pi * offsets_hz * distance_s)
        offsets_hz = offsets_hz + np.angle(turned) / (2.0 * np.pi * distance_s)
    behind_s = np.asarray(instants_s) - instants_s[-1]
    still = gains * np.exp(-2j * np.pi * offsets_hz[None, :] * behind_s[:, None])[:, :, None]
    apart = np.mean(np.abs(still - still[-1]) ** 2, axis=2)
    agrees = (
        apart <= AGREEMENT * 2.0 * error_variance
    )  # (num_instants, num_devices); the last agrees with itself
    count = agrees.sum(axis=0)
    mean = np.einsum("bi,bik->ik", agrees, still) / count[:, None]
    unsteady_rad = np.abs(np.angle(np.einsum("bik,ik->bi", still, still[-1].conj()))).max(axis=0)
    return LadderEstimate(offsets_hz, mean, error_variance / count, count / len(gains), unsteady_rad)
