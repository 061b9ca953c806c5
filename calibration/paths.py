"""A few paths at any delays that together make responses: what an air is remade from.

One path after the other, each where it explains most of what is left, then the delays of all together by least squares,
their gains solved for at each step. Two paths that lie closer than the band tells apart may come out as one, or as
others that do the same within the band.
"""

from typing import NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from calibration.delay import centred_bins
from radio.ofdm import OfdmConfig

MOST_PATHS = 10
STEP, APART = 0.25, 0.5  # samples: of the delays that are tried, and between two of them at first
CLOSEST = 0.15  # samples between paths that the band still tells from one that bends
FAINTEST = 1e-4  # of the strongest path's gain
CLOSE = 1e-6  # share of a channel's energy that paths may miss, beside its noise
Complex = NDArray[np.complex128]
FloatArray = NDArray[np.float64]


class Paths(NamedTuple):
    """delays: (num_paths,) in samples, rising. gains: (num_responses, num_paths)."""

    delays: FloatArray
    gains: Complex


def paths_of(
    responses: Complex, noise_variance: float, ofdm: OfdmConfig, earliest: float, latest: float
) -> Paths:
    """As few as leave next to nothing but noise unexplained, at most MOST_PATHS, at delays that all responses share.

    responses: (num_responses, num_active), noise_variance: of each of their gains. earliest, latest: between which
    delays in samples they are sought.
    """
    energy = float(np.linalg.norm(responses)) ** 2
    most_left = CLOSE * energy + noise_variance * responses.size
    bins = 2.0 * np.pi * centred_bins(ofdm) / ofdm.fft_len
    tried = np.arange(earliest, latest + STEP / 2.0, STEP)
    columns = np.exp(-1j * np.outer(bins, tried))
    free = np.ones(len(tried), dtype=bool)
    delays, left = np.zeros(0), responses.T
    for _ in range(MOST_PATHS):
        best = int(np.argmax(np.where(free, np.linalg.norm(columns.conj().T @ left, axis=1), -1.0)))
        delays = _settle(responses.T, np.append(delays, tried[best]), bins, earliest, latest)
        gains, left = _gains(responses.T, delays, bins)
        free = np.min(np.abs(tried[:, None] - delays), axis=1) >= APART
        if float(np.linalg.norm(left) ** 2) <= most_left or not free.any():
            break
    order = np.argsort(delays)
    powers = np.linalg.norm(gains[order], axis=1)
    heard = powers > FAINTEST * float(powers.max())
    return Paths(delays[order][heard], gains[order][heard].T)


def _settle(
    columns: Complex, delays: FloatArray, bins: FloatArray, earliest: float, latest: float
) -> FloatArray:
    """Delays near these that explain most, unless two of them run into each other."""

    def misfit(point: FloatArray) -> FloatArray:
        left = _gains(columns, point, bins)[1].ravel()
        return np.concatenate([left.real, left.imag])

    inside = np.clip(delays, earliest + 1e-9, latest - 1e-9)
    found = scipy.optimize.least_squares(misfit, inside, bounds=(earliest, latest), x_scale=STEP, max_nfev=20)
    closest = np.min(np.diff(np.sort(found.x)), initial=np.inf)
    return np.asarray(found.x if closest >= CLOSEST else delays)


def _gains(columns: Complex, delays: FloatArray, bins: FloatArray) -> tuple[Complex, Complex]:
    """Least squares; and what is left. columns: (num_active, num_responses), gains: (num_paths, num_responses)."""
    paths = np.exp(-1j * np.outer(bins, delays))
    gains = np.linalg.lstsq(paths, columns, rcond=None)[0]
    return gains, columns - paths @ gains
