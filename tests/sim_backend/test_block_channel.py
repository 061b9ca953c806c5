import numpy as np
import pytest

from radio.air_config import AirConfig, Fading
from sim_backend.channel import BlockChannel


def test_gain_is_drawn_anew_for_every_device_and_block():
    channel = BlockChannel(Fading(law="rayleigh"), AirConfig(), 4, 100_000)
    assert len({channel.gain(device, block) for device in range(3) for block in range(3)}) == 9
    assert channel.gain(1, 2) == BlockChannel(Fading(law="rayleigh"), AirConfig(), 4, 100_000).gain(1, 2)


def test_multipath_has_unit_energy_and_its_profile():
    air = AirConfig(tap_delays_samples=(0, 3), tap_powers_db=(0.0, -6.0))
    channel = BlockChannel(Fading(), air, 9, 100)
    taps = channel.taps(2)
    assert np.sum(np.abs(taps) ** 2) == pytest.approx(1.0)
    assert 20 * np.log10(abs(taps[3] / taps[0])) == pytest.approx(-6.0)
    assert not np.allclose(taps, channel.taps(3))


@pytest.mark.parametrize("law", ["rayleigh", "rician"])
def test_fading_has_unit_mean_power_and_the_models_mean_magnitude(law):
    fading = Fading(law=law, rician_k_db=6.0)
    channel = BlockChannel(fading, AirConfig(), 1, 100)
    gains = np.array([channel.gain(device, block) for device in range(20) for block in range(1000)])
    power = np.abs(gains) ** 2
    assert power.mean() == pytest.approx(1.0, abs=4 * power.std() / np.sqrt(len(gains)))
    magnitude = np.abs(gains)
    assert magnitude.mean() == pytest.approx(
        fading.mean_gain(), abs=4 * magnitude.std() / np.sqrt(len(gains))
    )
    assert abs(np.mean(gains / magnitude)) < 4 / np.sqrt(len(gains))  # phases cancel


def test_devices_and_rounds_fade_independently():
    channel = BlockChannel(Fading(law="rayleigh"), AirConfig(), 1, 100)
    gains = np.array([[channel.gain(device, block) for block in range(2000)] for device in range(6)])
    correlation = np.abs(np.corrcoef(gains) - np.eye(6)).max()
    assert correlation < 5 / np.sqrt(2000)
