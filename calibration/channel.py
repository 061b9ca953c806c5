"""Channel of each subcarrier from noisy per-subcarrier observations, under a model of a few taps."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from radio.ofdm import OfdmConfig

RANK_TOLERANCE = 1e-3  # directions that the taps reach with less than this share are noise, not channel


@dataclass(frozen=True, eq=False)
class ChannelEstimate:
    """`gains`: (num_devices, num_active) complex. `noise_variance`: of one observation, from what the taps cannot
    explain. `error_variance`: expected mean squared error of a gain."""

    gains: NDArray[np.complex128]
    noise_variance: float
    error_variance: float


@lru_cache(maxsize=8)
def tap_subspace(ofdm: OfdmConfig, num_taps: int, lead_samples: int) -> NDArray[np.complex128]:
    """(num_active, rank) orthonormal basis of the responses of taps at delays -lead .. num_taps - lead - 1.

    With guard bands the taps are not all seen independently: rank is below num_taps.
    """
    delays = np.arange(num_taps) - lead_samples
    responses = np.exp(-2j * np.pi * np.outer(ofdm.active_bins, delays) / ofdm.fft_len)
    basis, share, _ = np.linalg.svd(responses, full_matrices=False)
    return np.asarray(basis[:, share > RANK_TOLERANCE * share[0]])


def estimate_channels(
    observed: NDArray[np.complexfloating], ofdm: OfdmConfig, num_taps: int, lead_samples: int
) -> ChannelEstimate:
    """Least-squares fit of a tapped delay line to each device's observed response.

    observed: (num_devices, num_active) complex, noise of equal variance on each entry.
    num_taps, lead_samples: span of the taps and how many of them lie before the demodulator's window reference.
    """
    basis = tap_subspace(ofdm, num_taps, lead_samples)
    gains = (observed @ basis.conj()) @ basis.T
    free = basis.shape[0] - basis.shape[1]
    if free <= 0:
        raise ValueError(
            f"{num_taps} taps leave no subcarrier of {len(basis)} to measure noise with; use fewer taps"
        )
    noise = float(np.sum(np.abs(observed - gains) ** 2)) / (len(observed) * free)
    return ChannelEstimate(gains, noise, noise * basis.shape[1] / basis.shape[0])
