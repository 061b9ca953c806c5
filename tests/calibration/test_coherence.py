import numpy as np
import pytest
from drawn_soundings import OFDM, assert_covered, bursts, noisy, responses
from scipy.optimize import brentq
from scipy.special import j0

from calibration.ageing import fading_coherence
from calibration.coherence import estimate_coherence
from sim_backend.tones import scattering

EVERY_5_MS = bursts(np.arange(0.0, 1.0, 0.005), 2)
TENTH = brentq(lambda x: j0(x) - 0.9, 0.1, 1.0) / (2 * np.pi)  # coherence times Doppler of Jakes' fading
DEVICES, CALLS = 8, 15


def faded(rng, instants_s, doppler_hz, num_taps):
    """(num_devices,) Doppler and taps of Rayleigh paths 3 samples apart, and what is sounded of them."""
    gains = np.empty((len(instants_s), len(doppler_hz), OFDM.num_active), complex)
    for device, (doppler, taps) in enumerate(zip(doppler_hz, num_taps, strict=True)):
        start_s = rng.uniform(0, 1000)
        powers = np.exp(-np.arange(taps) / 1.5)
        paths = [
            np.sqrt(power / powers.sum()) * scattering(doppler, rng).at(instants_s + start_s)
            for power in powers
        ]
        gains[:, device] = responses(3.0 * np.arange(taps), np.stack(paths, axis=1))
    return noisy(rng, gains, instants_s, rng.uniform(18, 30))


def test_120_fading_channels_are_known_as_well_as_stated(rng):
    """One to three paths, 70 to 250 coherence times in the capture."""
    found, bursts_found = [], []
    for _ in range(CALLS):
        doppler_hz = rng.uniform(70 * TENTH, 250 * TENTH, DEVICES)
        estimate = estimate_coherence(
            faded(rng, EVERY_5_MS, doppler_hz, rng.integers(1, 4, DEVICES)), max_loss_db=0.5
        )
        truths = TENTH / doppler_hz
        found.append(np.column_stack([estimate.coherence_s, estimate.coherence_interval_s, truths]))
        losses = [
            brentq(lambda lag, f=f: fading_coherence(f, lag)[0] - 10 ** (-0.5 / 20), 1e-3 / f, 0.2 / f)
            for f in doppler_hz
        ]
        bursts_found.append(np.column_stack([estimate.longest_burst_s, estimate.burst_interval_s, losses]))
    for rows, scale in ((np.concatenate(found), 0.2), (np.concatenate(bursts_found), 0.25)):
        value, low, high, truth = rows.T
        assert np.isfinite(value).mean() > 0.98
        stated = np.isfinite(value)
        errors = np.log(value[stated] / truth[stated])
        assert np.sqrt(np.mean(errors**2)) < scale
        assert abs(errors.mean()) < 3.5 * errors.std(ddof=1) / np.sqrt(len(errors))
        assert_covered(np.column_stack([low, high]), truth)


def test_of_few_coherence_times_a_bound_is_stated(rng):
    doppler_hz = rng.uniform(5 * TENTH, 35 * TENTH, 80)
    low = []
    for part in np.split(doppler_hz, 10):
        estimate = estimate_coherence(faded(rng, EVERY_5_MS, part, np.ones(8, int)))
        low.extend(estimate.coherence_interval_s[:, 0])
        assert np.isnan(estimate.coherence_s).all()
        assert np.isinf(estimate.coherence_interval_s[:, 1]).all()
        assert np.all(estimate.quality < 1.0)
    below = np.array(low) / (TENTH / doppler_hz)
    assert np.mean(below <= 1.0) >= 0.9  # 95 % within 2.5 standard errors
    assert np.median(below) > 0.2  # and not for nothing


def test_correlation_is_that_of_jakes_and_noise_is_not_in_it(rng):
    estimate = estimate_coherence(faded(rng, EVERY_5_MS, np.full(40, 15.0), np.full(40, 3)))
    expected = j0(2 * np.pi * 15.0 * estimate.lags_s)
    early = estimate.lags_s < 0.03
    mean = estimate.correlation[:, early].real.mean(axis=0)
    spread = estimate.correlation[:, early].std(axis=0) / np.sqrt(40)
    assert np.all(np.abs(mean - expected[early]) < 4 * spread + 0.02)
    assert abs(mean[0] - 1.0) < 0.003


def test_what_stands_still_never_loses_coherence(rng):
    estimate = estimate_coherence(
        noisy(rng, np.ones((len(EVERY_5_MS), 3, OFDM.num_active), complex), EVERY_5_MS, 15.0)
    )
    assert np.isnan(estimate.coherence_s).all()
    assert np.all(estimate.coherence_interval_s[:, 0] > 0.05)
    assert np.isinf(estimate.burst_interval_s[:, 1]).all()
    assert np.all(estimate.longest_burst_s > 0.1)


def test_bursts_all_in_one_place_and_bad_limits_are_refused(rng):
    still = noisy(rng, np.ones((40, 1, OFDM.num_active), complex), bursts([0.0], 40), 15.0)
    with pytest.raises(ValueError, match="max_loss_db must be above 0, got 0"):
        estimate_coherence(still, max_loss_db=0.0)
    sparse = bursts([0.0, 0.9], 2)
    with pytest.raises(ValueError, match=r"8 times without overlap .* repeat bursts evenly over it"):
        estimate_coherence(noisy(rng, np.ones((4, 1, OFDM.num_active), complex), sparse, 15.0))
