"""Frequency from channels measured again and again: phases followed over growing distances in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LadderEstimate:
    """offsets_hz: (num_devices,) residual carrier offset. gains: (num_devices, num_active) at the last instant,
    averaged over all instants with that offset undone. quality: (num_devices,) in [0, 1], coherence of the last
    measurement with the mean; far below 1 the channel has changed or a turn was miscounted."""

    offsets_hz: NDArray[np.float64]
    gains: NDArray[np.complex128]
    quality: NDArray[np.float64]


def climb_frequency(gains: NDArray[np.complexfloating], instants_s: Sequence[float]) -> LadderEstimate:
    """Follow each device's common phase from the first measurement to the last.

    gains: (num_instants, num_devices, num_active). instants_s: rising. The first step is unambiguous for offsets
    below 1 / (2 (t1 - t0)); each further one for what the steps before it leave uncertain, so distances may grow by
    about the inverse of the phase error in turns.
    """
    offsets_hz = np.zeros(gains.shape[1])
    for gain, instant_s in zip(gains[1:], instants_s[1:], strict=True):
        distance_s = instant_s - instants_s[0]
        correlation = np.einsum("ik,ik->i", gains[0].conj(), gain)
        turned = correlation * np.exp(-2j * np.pi * offsets_hz * distance_s)
        offsets_hz = offsets_hz + np.angle(turned) / (2.0 * np.pi * distance_s)
    behind_s = np.asarray(instants_s) - instants_s[-1]
    still = gains * np.exp(-2j * np.pi * offsets_hz[None, :] * behind_s[:, None])[:, :, None]
    mean = still.mean(axis=0)
    norms = np.linalg.norm(mean, axis=1) * np.linalg.norm(gains[-1], axis=1)
    quality = np.abs(np.einsum("ik,ik->i", mean.conj(), gains[-1])) / np.maximum(norms, 1e-30)
    return LadderEstimate(offsets_hz, mean, quality)
