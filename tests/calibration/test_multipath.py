import numpy as np
import pytest
from drawn_soundings import OFDM, assert_covered, assert_unbiased, responses, white

from calibration.channel import tap_subspace
from calibration.multipath import estimate_multipath

SPACING_HZ = OFDM.sample_rate_hz / OFDM.fft_len
TAPS = 40


def fitted_errors(rng, variance):
    """Errors of a fit to TAPS taps, and their mean square."""
    basis = tap_subspace(OFDM, TAPS, 0)
    return np.sqrt(variance) * basis @ white(rng, basis.shape[1]), variance * basis.shape[1] / OFDM.num_active


def two_paths(rng, apart, weaker):
    paths = np.array([1.0, weaker]) * np.exp(2j * np.pi * rng.random(2))
    start = rng.uniform(3, 10)
    return responses(np.array([start, start + apart]), paths / np.linalg.norm(paths))


def correlation_of_two(apart, weaker, step):
    """|rho| of two paths: the line between the two ends of a turn, as far as whole beats fill the band."""
    turn = 2 * np.pi * apart * step / OFDM.fft_len
    return abs(1 + weaker**2 * np.exp(-1j * turn)) / (1 + weaker**2)


def test_two_paths_far_apart_have_the_spread_of_their_powers():
    for apart, weaker in ((8.0, 1.0), (12.0, 0.5), (20.0, 0.3)):
        h = responses(np.array([4.0, 4.0 + apart]), [1.0, weaker])
        found = estimate_multipath(h, 0.0, OFDM)
        share = weaker**2 / (1 + weaker**2)
        # chord for arc at the step of one subcarrier, and beats that do not fill the band
        assert found.delay_spread_samples == pytest.approx(apart * np.sqrt(share * (1 - share)), rel=0.02)


def test_coherence_bandwidth_of_two_paths_is_where_their_turn_says():
    apart, weaker = 20.0, 0.8
    h = responses(np.array([4.0, 4.0 + apart]), [1.0, weaker])
    found = estimate_multipath(h, 0.0, OFDM)
    steps = np.linspace(0, 20, 20_001)
    expected = steps[np.argmax([correlation_of_two(apart, weaker, step) < 0.5 for step in steps])]
    assert found.coherence_bandwidth_hz == pytest.approx(expected * SPACING_HZ, rel=0.05)


@pytest.mark.parametrize("num_taps", [None, TAPS])
def test_60_channels_are_known_as_well_as_stated(num_taps, rng):
    """Against the same response without errors: what is seen is the band's, not the taps'."""
    spreads, widths = [], []
    for _ in range(60):
        delays = rng.uniform(2, 20, 5)
        h = responses(delays, white(rng, 5) * np.exp(-(delays - 2) / 12))
        h /= np.sqrt(np.mean(np.abs(h) ** 2))
        variance = 10 ** (-rng.uniform(1.5, 3.0))
        if num_taps is None:
            errors, error_variance = np.sqrt(variance) * white(rng, OFDM.num_active), variance
        else:
            errors, error_variance = fitted_errors(rng, variance)
        truth = estimate_multipath(h, 0.0, OFDM)
        found = estimate_multipath(h + errors, error_variance, OFDM, num_taps)
        spreads.append(
            (
                *found.delay_spread_interval_samples,
                truth.delay_spread_samples,
                found.delay_spread_samples**2 - truth.delay_spread_samples**2,
            )
        )
        true_hz = truth.coherence_bandwidth_hz
        widths.append((*found.coherence_bandwidth_interval_hz, np.inf if np.isnan(true_hz) else true_hz))
    low, high, truth, error = np.array(spreads).T
    assert_covered(np.column_stack([low, high]), truth)
    assert_unbiased(error)
    low, high, truth = np.array(widths).T
    assert_covered(np.column_stack([low, high]), truth)


def test_noise_alone_does_not_spread_a_path(rng):
    """Its square is unbiased: half of the estimates are 0, and noise's own taps, 10 samples of rms, are not in it."""
    found = []
    for _ in range(60):
        errors, error_variance = fitted_errors(rng, 0.01)
        found.append(estimate_multipath(responses([7.3], [1.0]) + errors, error_variance, OFDM, TAPS))
    spreads = np.array([one.delay_spread_samples for one in found])
    assert 0.25 < np.mean(spreads == 0.0) < 0.75
    assert np.mean([one.delay_spread_interval_samples[0] == 0.0 for one in found]) > 0.9
    assert max(spreads) < 1.0
    assert all(one.num_paths == 1 for one in found)
    assert np.mean([abs(one.path_delays_samples[0] - 7.3) for one in found]) < 0.02
    assert all(np.isnan(one.coherence_bandwidth_hz) for one in found)
    assert all(one.coherence_bandwidth_interval_hz == (96 * SPACING_HZ, np.inf) for one in found)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_paths_apart_are_counted_and_placed(count, rng):
    right = 0
    for _ in range(25):
        delays = 3.0 + 5.0 * np.arange(count) + rng.uniform(0, 1, count)
        gains = np.exp(2j * np.pi * rng.random(count)) * 0.8 ** np.arange(count)
        found = estimate_multipath(responses(delays, gains) + 0.1 * white(rng, OFDM.num_active), 0.01, OFDM)
        right += found.num_paths == count
        if found.num_paths == count:
            order = np.argsort(found.path_delays_samples)
            np.testing.assert_allclose(found.path_delays_samples[order], delays, atol=0.06)
            np.testing.assert_allclose(np.abs(found.path_gains[order]), np.abs(gains), atol=0.06)
    assert right >= 22


def test_taps_give_the_response_back_and_their_noise_is_as_stated(rng):
    h = responses(np.array([-4.0, 0.0, 11.0]), white(rng, 3))
    found = estimate_multipath(h, 0.01, OFDM, lead_samples=4)
    again = responses(np.arange(OFDM.prefix_len) - 4.0, found.taps)
    np.testing.assert_allclose(again, h, atol=2e-2 * np.linalg.norm(h))
    apart = []
    for _ in range(80):
        noisy = estimate_multipath(h + 0.1 * white(rng, OFDM.num_active), 0.01, OFDM, lead_samples=4)
        apart.append(np.abs(noisy.taps - found.taps) ** 2)
    # 80 exponentials: their mean is known to 11 %; of 64 the worst is 3.5 times as far off
    np.testing.assert_allclose(np.mean(apart, axis=0), found.tap_std**2, rtol=0.45)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"shape \(192,\), got \(5,\)"):
        estimate_multipath(np.ones(5, complex), 0.1, OFDM)
    with pytest.raises(ValueError, match="error_variance must be at least 0, got -1"):
        estimate_multipath(np.ones(192, complex), -1.0, OFDM)
