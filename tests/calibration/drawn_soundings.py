"""Random settings with known truth, as periodic soundings show them, and what estimates must be over many of them."""

import numpy as np
from scipy.stats import binom

from calibration.delay import centred_bins
from calibration.soundings import Soundings
from radio.ofdm import OfdmConfig
from sim_backend.crystal import FASTEST_HZ, SLOWEST_HZ, Crystal
from sim_backend.tones import Tones, random_walk

OFDM = OfdmConfig()
CENTER_HZ, RATE_HZ = 915e6, OFDM.sample_rate_hz
SYMBOL_S = OFDM.symbol_len / RATE_HZ


def bursts(starts_s, symbols):
    """(num_instants,) symbol after symbol in each burst."""
    return np.sort((np.asarray(starts_s)[:, None] + SYMBOL_S * np.arange(symbols)).ravel())


EVEN = bursts(np.arange(0.0, 1.0, 0.02), 4)
GROWING = bursts(np.concatenate([[0.0], np.geomspace(2e-3, 1.0, 14)]), 12)


def white(rng, *shape):
    """E|x|^2 = 1."""
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


def responses(delays_samples, gains):
    """(..., num_active) of paths (..., num_paths)."""
    turns = np.exp(-2j * np.pi * np.multiply.outer(delays_samples, centred_bins(OFDM)) / OFDM.fft_len)
    return np.einsum("...l,...lk->...k", np.asarray(gains, dtype=complex), turns)


def crystal(rng, walk_hz_per_root_s=0.0, ppm=0.1, **changes):
    """Within +-ppm of the receiver's, as after a first correction."""
    offset = 1e-6 * ppm * rng.uniform(-1, 1)
    drift = None
    if walk_hz_per_root_s:
        walk = random_walk(rng, SLOWEST_HZ, FASTEST_HZ)
        drift = Tones(walk_hz_per_root_s * walk.amplitudes, walk.frequencies_hz)
    return Crystal(CENTER_HZ, **{"offset": offset, "sample_offset": offset, "drift": drift} | changes)


def sounded(rng, crystals, channels, instants_s, snr_db, jitter_rad=0.0):
    """Soundings of devices with channels (num_devices, num_active) of unit power behind their clocks."""
    gains = np.empty((len(instants_s), *channels.shape), dtype=complex)
    for device, clock in enumerate(crystals):
        late = -clock.lead_s(instants_s) * RATE_HZ
        turns = clock.phase(instants_s) + jitter_rad * rng.normal(size=len(instants_s))
        ramps = np.exp(-2j * np.pi * np.outer(late, centred_bins(OFDM)) / OFDM.fft_len)
        gains[:, device] = channels[device] * ramps * np.exp(1j * turns)[:, None]
    return noisy(rng, gains, instants_s, snr_db)


def noisy(rng, gains, instants_s, snr_db):
    """Soundings with errors of each gain, 1 over the power of a unit channel."""
    variance = 10 ** (-snr_db / 10)
    return Soundings(
        gains=gains + np.sqrt(variance) * white(rng, *gains.shape),
        instants_s=instants_s,
        error_variances=np.full(gains.shape[1], variance),
        ofdm=OFDM,
    )


def assert_covered(intervals, truths):
    """95 % intervals (num, 2) hold the truth as often as 99.9 % of exact ones would: 179 to 198 of 200."""
    intervals, truths = np.asarray(intervals), np.broadcast_to(truths, len(intervals))
    hits = int(np.sum((intervals[:, 0] <= truths) & (truths <= intervals[:, 1])))
    low, high = binom.ppf([0.0005, 0.9995], len(truths), 0.95)
    assert low <= hits <= high, f"{hits} of {len(truths)}, expected {low:.0f} to {high:.0f}"


def plus_minus(values, stds):
    """(num, 2) Gaussian 95 % intervals."""
    return np.stack([values - 1.96 * stds, values + 1.96 * stds], axis=1)


def assert_unbiased(errors):
    """The mean of independent errors is 0 within 3.5 standard errors."""
    errors = np.asarray(errors)
    assert abs(errors.mean()) < 3.5 * errors.std(ddof=1) / np.sqrt(len(errors))
