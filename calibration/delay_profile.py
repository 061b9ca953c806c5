"""Mean power over delay of a channel that fades, from how alike subcarriers are that lie so far apart.

Paths that scatter each by itself make E h(k) conj h(k + m) = sum_l p_l exp(2 pi j m delay_l / N), whatever k (Bello,
IEEE Trans. Commun. Syst. 11(4), 1963). The powers are those that fit best of all that are not negative: paths closer
than the band tells apart come out as one or two, and never as large ones that cancel.
"""

from typing import NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from calibration.delay import centred_bins
from radio.ofdm import OfdmConfig

STEP = 0.5  # samples between delays that are tried
FAINTEST = 3e-3  # of the strongest path's power
FloatArray = NDArray[np.float64]


class DelayProfile(NamedTuple):
    """(num_paths,), delays in samples, rising; powers sum to the mean power of a gain, noise taken out."""

    delays: FloatArray
    powers: FloatArray


def estimate_delay_profile(
    gains: NDArray[np.complexfloating],
    noise_variance: float,
    ofdm: OfdmConfig,
    earliest: float,
    latest: float,
) -> DelayProfile:
    """gains: (num_looks, num_active). noise_variance: of each. earliest, latest: samples between which delays lie.

    Raises ValueError where there is no power beside the noise.
    """
    places = np.rint(centred_bins(ofdm) - centred_bins(ofdm)[0]).astype(int)
    span = int(places[-1]) + 1
    spread = np.zeros((len(gains), span), dtype=np.complex128)
    spread[:, places] = gains
    there = np.zeros((1, span))
    there[:, places] = 1.0
    pairs = _correlated(there).real
    alike = _correlated(spread) / np.maximum(pairs, 1.0)
    alike[0] -= noise_variance
    if not alike[0].real > 0.0:
        raise ValueError(f"the gains' mean power is no more than their noise's, {noise_variance:.3g}")
    delays = np.arange(earliest, latest + STEP / 2.0, STEP)
    model = np.exp(2j * np.pi * np.outer(np.arange(span), delays) / ofdm.fft_len)
    weights = np.sqrt(pairs)  # a mean over so many is that much better known
    columns, wanted = weights[:, None] * model, weights * alike
    powers = scipy.optimize.nnls(
        np.concatenate([columns.real, columns.imag]), np.concatenate([wanted.real, wanted.imag])
    )[0]
    heard = powers > FAINTEST * powers.max()
    return DelayProfile(delays[heard], powers[heard] * (alike[0].real / powers[heard].sum()))


def _correlated(rows: NDArray[np.complexfloating] | FloatArray) -> NDArray[np.complex128]:
    """(span,) sum over k of x(k) conj x(k + m) for m = 0, 1, .., mean over rows."""
    span = rows.shape[1]
    spectra = np.fft.fft(rows, 2 * span, axis=1)
    return np.asarray(np.fft.ifft(np.mean(np.abs(spectra) ** 2, axis=0))[:span].conj())
