import numpy as np
import pytest

from calibration.ladder import climb_frequency

INSTANTS_S = (0.0, 0.64e-3, 3.8e-3, 19.8e-3)


def measured(rng, offsets_hz, noise_std, num_active=192):
    still = rng.normal(size=(len(offsets_hz), num_active)) + 1j * rng.normal(
        size=(len(offsets_hz), num_active)
    )
    turn = np.exp(2j * np.pi * np.outer(INSTANTS_S, offsets_hz))
    noise = noise_std * (rng.normal(size=(2, 4, *still.shape)) / np.sqrt(2))
    return still, turn[:, :, None] * still + noise[0] + 1j * noise[1]


def test_offsets_are_exact_without_noise(rng):
    offsets_hz = np.array([-700.0, -3.2, 0.0, 0.7, 240.0, 770.0])
    still, gains = measured(rng, offsets_hz, 0.0)
    found = climb_frequency(gains, INSTANTS_S, 1e-9)
    np.testing.assert_allclose(found.offsets_hz, offsets_hz, atol=1e-6)
    turned = still * np.exp(2j * np.pi * offsets_hz * INSTANTS_S[-1])[:, None]
    np.testing.assert_allclose(found.gains, turned, atol=1e-9)  # as they are at the last instant
    np.testing.assert_allclose(found.quality, 1.0)


def test_the_error_is_that_of_the_longest_distance(rng):
    # phase of a correlation over K entries at SNR s: variance 1 / (K s) for each of two noisy ends, K s large
    offsets_hz = rng.uniform(-100, 100, size=400)
    _, gains = measured(rng, offsets_hz, np.sqrt(2 / 10))  # SNR 10
    errors = climb_frequency(gains, INSTANTS_S, 0.2).offsets_hz - offsets_hz
    expected = np.sqrt(1 / (192 * 10)) / (2 * np.pi * INSTANTS_S[-1])
    assert np.std(errors) == pytest.approx(expected, rel=0.15)


def test_what_is_still_the_same_is_averaged_and_what_has_aged_is_not(rng):
    _, gains = measured(rng, np.array([5.0, -7.0]), np.sqrt(0.02))
    gains[:2, 1] += 1.0  # device 1 saw another channel at the first two instants
    found = climb_frequency(gains, INSTANTS_S, 0.02)
    np.testing.assert_allclose(found.error_variances, [0.02 / 4, 0.02 / 2])
    np.testing.assert_allclose(found.quality, [1.0, 0.5])


def test_a_single_measurement_is_returned_as_it_is(rng):
    gains = rng.normal(size=(1, 3, 8)) + 1j * rng.normal(size=(1, 3, 8))
    found = climb_frequency(gains, (0.0,), 0.1)
    np.testing.assert_array_equal(found.gains, gains[0])
    assert not found.offsets_hz.any()


@pytest.mark.parametrize("aliased_hz", [820.0, 1000.0, -1100.0])
def test_an_offset_beyond_what_can_be_counted_leaves_phases_unsteady_or_an_offset_near_the_edge(
    aliased_hz, rng
):
    _, gains = measured(rng, np.array([aliased_hz, 5.0]), np.sqrt(0.02))
    found = climb_frequency(gains, INSTANTS_S, 0.02)
    edge_hz = 1 / (2 * (INSTANTS_S[1] - INSTANTS_S[0]))
    assert abs(found.offsets_hz[0] - aliased_hz) > 10.0
    assert found.unsteady_rad[0] > 0.8 or abs(found.offsets_hz[0]) > 0.5 * edge_hz
    assert found.unsteady_rad[1] < 0.1
