"""A few paths at any delays that together make a response: what an air is remade from.

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
Complex = NDArray[np.complex128]
FloatArray = NDArray[np.float64]


class Paths(NamedTuple):
    """(num_paths,), delays in samples and rising."""

    delays: FloatArray
    gains: Complex


def paths_of(response: Complex, most_left: float, ofdm: OfdmConfig, earliest: float, latest: float) -> Paths:
    """As few as leave no more than `most_left` of a response's energy unexplained, at most MOST_PATHS.

    response: (num_active,). earliest, latest: between which delays in samples they are sought.
    """
    bins = 2.0 * np.pi * centred_bins(ofdm) / ofdm.fft_len
    tried = np.arange(earliest, latest + STEP / 2.0, STEP)
    columns = np.exp(-1j * np.outer(bins, tried))
    free = np.ones(len(tried), dtype=bool)
    delays, left = np.zeros(0), response
    for _ in range(MOST_PATHS):
        best = int(np.argmax(np.where(free, np.abs(columns.conj().T @ left), -1.0)))
        delays = _settle(response, np.append(delays, tried[best]), bins, earliest, latest)
        gains, left = _gains(response, delays, bins)
        free = np.min(np.abs(tried[:, None] - delays), axis=1) >= APART
        if float(np.linalg.norm(left) ** 2) <= most_left or not free.any():
            break
    order = np.argsort(delays)
    heard = np.abs(gains[order]) > FAINTEST * float(np.max(np.abs(gains)))
    return Paths(delays[order][heard], gains[order][heard])


def _settle(
    response: Complex, delays: FloatArray, bins: FloatArray, earliest: float, latest: float
) -> FloatArray:
    """Delays near these that explain most, unless two of them run into each other."""

    def misfit(point: FloatArray) -> FloatArray:
        left = _gains(response, point, bins)[1]
        return np.concatenate([left.real, left.imag])

    inside = np.clip(delays, earliest + 1e-9, latest - 1e-9)
    found = scipy.optimize.least_squares(misfit, inside, bounds=(earliest, latest), x_scale=STEP, max_nfev=20)
    closest = np.min(np.diff(np.sort(found.x)), initial=np.inf)
    return np.asarray(found.x if closest >= CLOSEST else delays)


def _gains(response: Complex, delays: FloatArray, bins: FloatArray) -> tuple[Complex, Complex]:
    """Least squares; and what is left."""
    columns = np.exp(-1j * np.outer(bins, delays))
    gains = np.linalg.lstsq(columns, response, rcond=None)[0]
    return gains, response - columns @ gains
