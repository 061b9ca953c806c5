import numpy as np
import pytest

from calibration.channel import estimate_channels, tap_subspace
from radio.ofdm import OfdmConfig

OFDM = OfdmConfig()


def response(taps, delays):
    return np.exp(-2j * np.pi * np.outer(OFDM.active_bins, delays) / OFDM.fft_len) @ np.asarray(taps)


def white(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


def test_a_channel_of_few_taps_is_returned_as_it_is():
    truth = np.stack([response([1.0, -0.4j, 0.2], [8, 9, 13]), response([0.3j], [8])])
    estimate = estimate_channels(truth, OFDM, 32, 0)
    np.testing.assert_allclose(
        estimate.gains, truth, atol=2e-3
    )  # directions below RANK_TOLERANCE are left out
    assert estimate.noise_variance < 1e-6


def test_noise_is_measured_and_reduced_as_stated(rng):
    truth = np.stack([response(white(rng, 3), [8, 10, 15]) for _ in range(300)])
    estimate = estimate_channels(truth + 0.5 * white(rng, 300, OFDM.num_active), OFDM, 32, 0)
    assert estimate.noise_variance == pytest.approx(0.25, rel=0.03)
    error = np.mean(np.abs(estimate.gains - truth) ** 2)
    assert error == pytest.approx(estimate.error_variance, rel=0.1)
    rank = tap_subspace(OFDM, 32, 0).shape[1]
    assert error == pytest.approx(
        0.25 * rank / OFDM.num_active, rel=0.1
    )  # the projection keeps rank of 192 parts


def test_the_subspace_has_an_orthonormal_basis_no_larger_than_its_taps():
    basis = tap_subspace(OFDM, 32, 4)
    assert basis.shape[1] <= 32
    np.testing.assert_allclose(basis.conj().T @ basis, np.eye(basis.shape[1]), atol=1e-10)


def test_more_taps_than_subcarriers_leave_no_noise_to_measure():
    ofdm = OfdmConfig(fft_len=64, prefix_len=64, num_active=8)
    with pytest.raises(
        ValueError, match="64 taps leave no subcarrier of 8 to measure noise with; use fewer taps"
    ):
        estimate_channels(np.ones((1, 8), complex), ofdm, 64, 0)
