import numpy as np
import pytest

from calibration.delay_profile import estimate_delay_profile
from radio.ofdm import OfdmConfig
from tests.calibration.drawn_soundings import responses, white

OFDM = OfdmConfig()
NUM_LOOKS = 4000  # so many that what was drawn is the mean


def looks(rng, delays, powers, noise_variance=0.0):
    gains = np.sqrt(powers) * white(rng, NUM_LOOKS, len(delays))
    clean = responses(np.broadcast_to(delays, gains.shape), gains)
    return clean + np.sqrt(noise_variance) * white(rng, *clean.shape)


def test_paths_on_the_grid_have_their_powers(rng):
    delays, powers = np.array([0.5, 4.0, 9.0]), np.array([1.0, 0.3, 0.1])
    found = estimate_delay_profile(looks(rng, delays, powers, 0.05), 0.05, OFDM, -8.0, 24.0)
    for delay, power in zip(delays, powers, strict=True):  # 4,000 looks: a mean power to 1.6 %
        assert found.powers[np.abs(found.delays - delay) <= 0.5].sum() == pytest.approx(power, rel=0.07)
    assert found.powers.sum() == pytest.approx(powers.sum(), rel=0.05)


@pytest.mark.parametrize("apart", [0.1, 0.3])
def test_paths_closer_than_the_band_tells_apart_do_not_cancel(rng, apart):
    delays, powers = 3.2 + apart * np.arange(4), np.array([0.4, 0.3, 0.2, 0.1])
    found = estimate_delay_profile(looks(rng, delays, powers), 0.0, OFDM, -8.0, 24.0)
    assert found.powers.sum() == pytest.approx(1.0, rel=0.05)
    assert found.delays @ found.powers == pytest.approx(delays @ powers, abs=0.1)
    assert np.all(np.diff(found.delays) > 0.0)
    near = np.abs(found.delays - delays @ powers) < 1.5
    assert found.powers[near].sum() > 0.95


def test_gains_of_noise_alone_are_refused(rng):
    noise = white(rng, 50, OFDM.num_active)
    with pytest.raises(ValueError, match="mean power is no more than their noise's, 2"):
        estimate_delay_profile(noise, 2.0, OFDM, 0.0, 8.0)
