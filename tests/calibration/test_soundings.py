import numpy as np
import pytest
from drawn_soundings import OFDM, SYMBOL_S, noisy, responses, white

from calibration.soundings import Soundings, apply_drift, remove_drift

TIMES = SYMBOL_S * np.arange(5)


def soundings(**changes):
    parts = {
        "gains": np.ones((5, 2, OFDM.num_active), complex),
        "instants_s": TIMES,
        "error_variances": np.array([0.1, 0.2]),
        "ofdm": OFDM,
    }
    return Soundings(**(parts | changes))


def test_drift_turns_and_delays():
    moved = apply_drift(soundings(), np.array([100.0, -50.0]), np.array([3.0, -7.0]))
    turned = np.exp(2j * np.pi * 100.0 * TIMES[4])
    np.testing.assert_allclose(moved.gains[4, 0], turned * responses([3.0 * TIMES[4]], [1.0]), atol=1e-12)
    np.testing.assert_allclose(moved.gains[0], 1.0)
    back = remove_drift(moved, np.array([100.0, -50.0]), np.array([3.0, -7.0]))
    np.testing.assert_allclose(back.gains, 1.0, atol=1e-12)


def test_power_is_without_the_errors_share(rng):
    gains = np.full((200, 1, OFDM.num_active), 0.5j)
    found = noisy(rng, gains, SYMBOL_S * np.arange(200), 0.0).powers[0]
    # |0.5 j + e|^2 has variance 2 * 0.25 + 1 for e of variance 1
    assert found == pytest.approx(0.25, abs=3.5 * np.sqrt(1.5 / (200 * OFDM.num_active)))


def test_errors_of_a_fit_are_stronger_along_each_direction_that_taps_reach(rng):
    taps = responses(np.arange(16.0)[:, None], np.ones((16, 1)))
    basis = np.linalg.qr(taps.T)[0]
    errors = np.sqrt(0.1 * OFDM.num_active / 16) * white(rng, 3000, 16) @ basis.T
    assert np.mean(np.abs(errors) ** 2) == pytest.approx(0.1, rel=0.03)
    channel = basis @ white(rng, 16)
    along = errors @ channel.conj() / np.linalg.norm(channel)
    fitted = soundings(num_taps=16)
    assert np.mean(np.abs(along) ** 2) == pytest.approx(fitted.noise_variances[0], rel=0.08)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gains": np.ones((5, 2, 7))}, r"shape \(num_instants, num_devices, 192\), got \(5, 2, 7\)"),
        ({"instants_s": TIMES[:4]}, r"shape \(5,\) as gains, got \(4,\)"),
        ({"error_variances": np.ones(3)}, r"shape \(2,\), one a device, got \(3,\)"),
        ({"instants_s": TIMES[[0, 1, 3, 2, 4]]}, "instant 3 is not after the one before it"),
        ({"gains": np.full((5, 2, 192), np.nan)}, "gains must be finite"),
        ({"error_variances": np.array([0.1, -1.0])}, "at least 0, got -1"),
        ({"num_taps": 193}, r"\[1, 192\] \(num_active\), got 193"),
    ],
)
def test_bad_soundings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        soundings(**changes)
