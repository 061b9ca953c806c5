import numpy as np
import pytest
from scipy.special import j0

from calibration.ageing import fading_coherence, phase_variance, predict_ageing


@pytest.mark.parametrize("lag_s", [1e-3, 1e-2, 3e-2, 6e-2])
def test_fading_coherence_is_the_mean_over_drawn_gains(rng, lag_s):
    correlation = j0(2 * np.pi * 10.0 * lag_s)  # the last is negative
    now, other = rng.normal(scale=np.sqrt(0.5), size=(2, 400_000, 2)) @ [1.0, 1j]
    before = correlation * now + np.sqrt(1 - correlation**2) * other
    turned = np.abs(now) ** 2 * np.cos(np.angle(now) - np.angle(before))
    assert fading_coherence(10.0, lag_s)[0] == pytest.approx(
        turned.mean(), abs=5 * turned.std() / np.sqrt(400_000)
    )


def test_a_channel_that_stands_still_keeps_its_phase():
    np.testing.assert_allclose(fading_coherence(0.0, [0.0, 1.0]), 1.0, atol=1e-5)
    assert predict_ageing(1e-3, 19e-3) == pytest.approx(0.0, abs=1e-5)


def test_a_walking_frequency_is_predicted_as_drawn(rng):
    """Random walks of 1 Hz per root second; the sounding knows their mean over the 20 ms before its end."""
    step_s, observed, after = 1e-4, 200, 300
    walks = np.cumsum(rng.normal(scale=np.sqrt(step_s), size=(20_000, observed + after)), axis=1)
    known = walks[:, :observed].mean(axis=1)
    phase = 2 * np.pi * step_s * np.sum(walks[:, observed:] - known[:, None], axis=1)
    predicted = phase_variance(after * step_s, 0.0, 1.0, observed * step_s)[0]
    assert phase.var() == pytest.approx(predicted, rel=0.04)  # 20,000 draws, steps of a two-hundredth


def test_a_constant_offset_ages_as_its_phase():
    (variance,) = phase_variance(2e-3, 3.0, 0.0, 0.0)
    assert np.sqrt(variance) == pytest.approx(2 * np.pi * 3.0 * 2e-3)
