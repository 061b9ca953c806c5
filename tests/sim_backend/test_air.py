import numpy as np
import pytest

from radio.air_config import AirConfig, Fading
from radio.interface import FullScaleError, LateError, OverrunError, RadioConfig, RadioError
from sim_backend.air import Air
from sim_backend.channel import BlockChannel
from sim_backend.radio import SimRadio

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
CONFIG = RadioConfig(sample_rate_hz=1e6, center_hz=915e6)


def make_air(fading="none", noise_variance=0.0, seed=0, **air):
    channel = BlockChannel(Fading(law=fading), AirConfig(**air), seed, block_len=100_000)
    return Air(channel, noise_variance, seed, memory_samples=50_000), channel


def burst(rng, count, level=0.1):
    return (level * (rng.normal(size=count) + 1j * rng.normal(size=count))).astype(np.complex64)


def test_by_default_the_air_is_the_identity(rng):
    air, _ = make_air()
    sent = burst(rng, 500)
    air.transmit(0, sent, at=200)
    heard = air.receive(100, 1000)
    np.testing.assert_array_equal(heard[100:600], sent)
    assert not heard[:100].any()
    assert not heard[600:].any()


def test_two_devices_superpose_with_their_own_gains(rng):
    air, channel = make_air("rayleigh", seed=4)
    first, second = burst(rng, 300), burst(rng, 300)
    air.transmit(0, first, at=1000)
    air.transmit(7, second, at=1100)
    heard = air.receive(1000, 400)
    expected = np.zeros(400, complex)
    expected[:300] += channel.gain(0, 0) * first
    expected[100:] += channel.gain(7, 0) * second
    np.testing.assert_allclose(heard, expected, atol=1e-6)
    assert channel.gain(0, 0) != channel.gain(7, 0) != channel.gain(0, 1)


def test_gain_holds_still_in_a_block_and_is_drawn_anew_in_the_next(rng):
    air, channel = make_air("rayleigh", seed=4)
    sent = burst(rng, 100)
    heard = []
    for at in (0, 99_900, 100_000):
        air.transmit(0, sent, at)
        heard.append(air.receive(at, 100))
    np.testing.assert_array_equal(heard[0], heard[1])
    np.testing.assert_allclose(heard[2] / heard[0], channel.gain(0, 1) / channel.gain(0, 0), rtol=1e-4)


def test_multipath_has_unit_energy_and_its_profile():
    _, channel = make_air(tap_delays_samples=(0, 3), tap_powers_db=(0.0, -6.0), seed=9)
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


def test_noise_has_its_variance_is_white_and_belongs_to_an_instant():
    air, _ = make_air(noise_variance=0.02, seed=3)
    heard = air.receive(10_000, 40_000)
    assert np.mean(np.abs(heard) ** 2) == pytest.approx(0.02, rel=0.03)
    assert abs(np.vdot(heard[1:], heard[:-1])) / np.vdot(heard, heard).real < 0.025
    np.testing.assert_array_equal(
        air.receive(20_000, 5_000), heard[10_000:15_000]
    )  # the past, asked for again
    other, _ = make_air(noise_variance=0.02, seed=4)
    assert abs(np.vdot(other.receive(10_000, 40_000), heard)) / np.vdot(heard, heard).real < 0.025


def test_time_advances_only_by_receiving_and_never_back(rng):
    air, _ = make_air()
    air.receive(0, 1000)
    with pytest.raises(LateError, match="was to start at 999, the air is at 1000"):
        air.transmit(0, burst(rng, 10), at=999)
    air.transmit(0, burst(rng, 10), at=1000)


def test_what_the_ring_no_longer_holds_is_an_error():
    air, _ = make_air()
    air.receive(60_000, 1000)
    with pytest.raises(OverrunError, match="samples from 10999 are gone: the ring reaches back to 11000"):
        air.receive(10_999, 10)


def test_bursts_that_cannot_be_are_refused(rng):
    air, _ = make_air()
    with pytest.raises(FullScaleError, match=r"peak 1.50"):
        air.transmit(0, np.array([1.5], np.complex64), at=0)
    with pytest.raises(RadioError, match=r"crosses a fading block of 100000; raise link.round_s"):
        air.transmit(0, burst(rng, 200), at=99_900)
    air.transmit(0, burst(rng, 200), at=500)
    with pytest.raises(RadioError, match=r"burst of device 0 at 650 overlaps its burst at 500"):
        air.transmit(0, burst(rng, 200), at=650)


def test_radios_on_one_air_have_clocks_of_their_own(rng):
    air, _ = make_air()
    receiver, transmitter = SimRadio(air, -1, CONFIG, clock_offset=123), SimRadio(air, 0, CONFIG)
    sent = burst(rng, 50)
    transmitter.transmit(sent, at=400)
    np.testing.assert_array_equal(receiver.receive(523, 50, 1.0), sent)
    assert (transmitter.now(), receiver.now()) == (450, 573)
    with pytest.raises(LateError, match="burst at 449 is late, the clock reads 450"):
        transmitter.transmit(sent, at=449)


def test_a_closed_radio_neither_sends_nor_hears(rng):
    air, _ = make_air()
    radio = SimRadio(air, 3, CONFIG)
    radio.close()
    with pytest.raises(RadioError, match="simulated radio 3 is closed"):
        radio.transmit(burst(rng, 5), at=0)
    with pytest.raises(RadioError, match="is closed"):
        radio.receive(0, 5, 1.0)


def test_a_simulated_radio_refuses_settings_that_it_cannot_have():
    air, _ = make_air()
    radio = SimRadio(air, 3, CONFIG)
    assert radio.configure(sample_rate_hz=1e6) == CONFIG == radio.config
    with pytest.raises(RadioError, match=r"sample_rate_hz is fixed at 1000000.0, asked for 2000000.0"):
        radio.configure(sample_rate_hz=2e6)
    with pytest.raises(RadioError, match="unknown radio setting 'volume'; known: center_hz"):
        radio.configure(volume=11)
    assert radio.status().serial == "sim-3"
    with pytest.raises(RadioError, match="index 0 lies before the epoch's start 9"):
        SimRadio(air, -1, CONFIG, clock_offset=9).receive(0, 1, 1.0)
