"""One pole of phase noise as it shows in the spectrum of phases that were averaged, sampled and tapered: model and fit.

S(f) = c / (1 + (f / corner)^2), through sinc^2(f window), folded by the sampling, over white measurement noise.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

REACH = 20.0  # corners at which the noise ends
LOWEST_BIN = 3  # of a block's spectrum: below, the line that is taken out and the taper leave nothing
HANN_WIDTH = 1.5  # bins of a Hann taper's noise bandwidth: neighbours are no more independent than that
BANDS_PER_DECADE = 24
NUM_CORNERS = 72
MOST_CORNER = 4.0  # of the corners searched, over the rate of the phases
STARTS = 0.03, 0.2, 0.8  # shares of the power that may be phase noise, for a search to begin with
TINY = 1e-300
FloatArray = NDArray[np.float64]


def one_pole_spectrum(freqs_hz: FloatArray, power: float, corner_hz: float) -> FloatArray:
    """Two-sided density in rad^2 / Hz of one-pole noise of variance `power`: also L(f), linear."""
    return np.where(np.abs(freqs_hz) <= REACH * corner_hz, endless_spectrum(freqs_hz, power, corner_hz), 0.0)


def endless_spectrum(freqs_hz: FloatArray, power: float, corner_hz: float) -> FloatArray:
    """The same without an end."""
    return np.asarray(power / (2.0 * corner_hz * np.arctan(REACH)) / (1.0 + (freqs_hz / corner_hz) ** 2))


@dataclass(frozen=True, eq=False)
class OnePoleFit:
    """power: variance in rad^2. gain: twice the logarithm of its likelihood over that of noise alone."""

    power: float
    corner_hz: float
    gain: float


@dataclass(frozen=True, eq=False)
class OnePoleModel:
    """bands: (num_bins,) number of the band of each bin of a spectrum, from LOWEST_BIN on. shapes: (num_corners,
    num_bands) what is expected of the bands of a spectrum for noise of unit variance."""

    bands: NDArray[np.intp]
    corners_hz: FloatArray
    shapes: FloatArray

    def shape(self, corner_hz: float) -> FloatArray:
        """(num_bands,) between the corners of the table, a power law."""
        place = np.interp(np.log(corner_hz), np.log(self.corners_hz), np.arange(len(self.corners_hz)))
        first = min(int(place), len(self.corners_hz) - 2)
        logs = np.log(self.shapes[first : first + 2])
        return np.asarray(np.exp(logs[0] + (place - first) * (logs[1] - logs[0])))

    def fit(
        self, spectrum: FloatArray, looks: FloatArray, floor: float, near: OnePoleFit | None = None
    ) -> OnePoleFit:
        """Whittle's likelihood at its best: over the whole grid, or from a fit that is near.

        spectrum: (num_bands,) rad^2 / Hz. looks: (num_bands,) independent values that each is the mean of.
        floor: of measurement noise.
        """
        least = TINY + 1e-9 * floor

        def cost(point: FloatArray) -> float:
            inside = np.clip(point[1], np.log(self.corners_hz[0]), np.log(self.corners_hz[-1]))
            expected = np.exp(point[0]) * self.shape(float(np.exp(inside))) + floor + least
            outside = float((point[1] - inside) ** 2)
            return float(np.sum(looks * (np.log(expected) + spectrum / expected))) + 1e3 * outside

        if near is None:
            excess = max(float(np.average(spectrum, weights=looks)), TINY)
            starts = [
                np.array([np.log(excess * share / np.average(shape, weights=looks)), np.log(corner)])
                for corner, shape in zip(self.corners_hz[::3], self.shapes[::3], strict=True)
                for share in STARTS
            ]
            start = min(starts, key=cost)
        else:
            start = np.log([near.power, near.corner_hz])
        found = scipy.optimize.minimize(
            cost, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4}
        )
        alone = float(np.sum(looks * (np.log(floor + least) + spectrum / (floor + least))))
        corner_hz = float(np.clip(np.exp(found.x[1]), self.corners_hz[0], self.corners_hz[-1]))
        return OnePoleFit(float(np.exp(found.x[0])), corner_hz, 2.0 * (alone - float(found.fun)))

    def spread(
        self, fit: OnePoleFit, spectrum: FloatArray, looks: FloatArray, floor: float
    ) -> tuple[float, float, float]:
        """Standard deviations of the logarithms of power and corner, and the degrees of freedom they are known with.

        The larger of what Gaussian noise leaves, and of what the bands' own scatter about the fit does (the sandwich
        of Huber and White): a few strong lines lie farther off it.
        """
        expected = fit.power * self.shape(fit.corner_hz) + floor + TINY
        nudge = 1e-3
        moved = [fit.power * self.shape(fit.corner_hz * np.exp(sign * nudge)) for sign in (-1.0, 1.0)]
        slopes = (
            np.column_stack([expected - floor, (moved[1] - moved[0]) / (2.0 * nudge)]) / expected[:, None]
        )
        information = (slopes * looks[:, None]).T @ slopes
        inverse = np.linalg.pinv(information)
        apart = looks * (spectrum / expected - 1.0)
        middle = (slopes * (apart**2)[:, None]).T @ slopes * HANN_WIDTH
        scattered = np.diag(inverse @ middle @ inverse)
        gaussian = np.diag(inverse)
        influence = looks * np.sum(slopes @ inverse * slopes, axis=1)
        freedom = float(np.sum(influence) ** 2 / np.sum(influence**2))
        power, corner = np.sqrt(np.maximum(scattered, gaussian)).tolist()
        return power, corner, freedom


@lru_cache(maxsize=8)
def one_pole_model(block_len: int, interval_s: float, window_s: float) -> OnePoleModel:
    """Of block_len phases `interval_s` apart, averaged over `window_s`, Hann taper; bands are logarithmic."""
    num_bins = (block_len + 1) // 2 - LOWEST_BIN
    ranks = np.floor(np.log10(np.arange(num_bins) + LOWEST_BIN) * BANDS_PER_DECADE)
    bands = np.unique(ranks, return_inverse=True)[1]
    freqs_hz = np.arange(block_len // 2 + 2) / (block_len * interval_s)
    corners_hz = np.geomspace(0.3 / (block_len * interval_s), MOST_CORNER / interval_s, NUM_CORNERS)
    counts = np.bincount(bands)
    shapes = []
    for corner_hz in corners_hz:
        folds = np.arange(-1, int(np.ceil(REACH * corner_hz * interval_s)) + 1)
        folded = np.zeros(len(freqs_hz))
        for fold in np.unique(np.concatenate([folds, -folds])):
            at_hz = freqs_hz + fold / interval_s
            folded += endless_spectrum(at_hz, 1.0, corner_hz) * np.sinc(at_hz * window_s) ** 2
        tapered = (folded[:-2] + 4.0 * folded[1:-1] + folded[2:]) / 6.0  # a Hann taper's main lobe
        used = tapered[LOWEST_BIN - 1 : LOWEST_BIN - 1 + len(bands)]
        shapes.append(np.maximum(np.bincount(bands, used) / counts, TINY))
    return OnePoleModel(bands, corners_hz, np.array(shapes))
