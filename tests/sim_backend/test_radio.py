"""The contract of a Radio, held by stations on one air."""

from itertools import pairwise

import numpy as np
import pytest

from radio.air_config import AirConfig, Fading
from radio.interface import (
    EPOCH_LEN,
    EpochError,
    FullScaleError,
    LateError,
    OverrunError,
    RadioConfig,
    RadioError,
)
from radio.scenarios import SCENARIOS
from sim_backend.air import Air
from sim_backend.bands import Band
from sim_backend.channel import BlockChannel
from sim_backend.front_end import draw_front_end
from sim_backend.medium import BlockMedium, PathMedium
from sim_backend.radio import SimRadio

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
CONFIG = RadioConfig(sample_rate_hz=4e6, center_hz=915e6)


def make_air(name="identity", seed=1, memory_s=0.05, **changes):
    return Air(PathMedium(SCENARIOS[name].changed(**changes), seed), memory_s)


def make_radio(air, port, name="identity", noise_variance=0.0, clock_offset=0, config=CONFIG, **changes):
    impairments = SCENARIOS[name].changed(**changes)
    front_end = draw_front_end(impairments, 1, port, config.sample_rate_hz, noise_variance, 0.01)
    return SimRadio(air, port, config, front_end, clock_offset)


def burst(rng, count, level=0.1):
    return (level * (rng.normal(size=count) + 1j * rng.normal(size=count))).astype(np.complex64)


def test_a_burst_starts_at_its_index_on_each_radios_own_clock(rng):
    air = make_air()
    receiver, transmitter = make_radio(air, -1, clock_offset=123), make_radio(air, 0, clock_offset=-40)
    sent = burst(rng, 50)
    transmitter.transmit(sent, at=360)
    np.testing.assert_array_equal(receiver.receive(523, 50, 1.0), sent)
    assert (transmitter.now(), receiver.now()) == (410, 573)


def test_a_late_burst_is_refused_and_the_earliest_is_heard_whole(rng):
    for name in SCENARIOS:
        air = make_air(name)
        receiver, transmitter = make_radio(air, -1), make_radio(air, 0)
        before = receiver.receive(0, 40_000, 1.0)
        with pytest.raises(LateError, match=f"is late, the clock reads {transmitter.now()}"):
            transmitter.transmit(burst(rng, 100), transmitter.now() - 1)
        transmitter.transmit(burst(rng, 100), transmitter.now())
        np.testing.assert_array_equal(receiver.receive(0, 40_000, 1.0), before)  # nothing arrived in the past
        assert np.abs(receiver.receive(40_000, 500, 1.0)).max() > 0.01


def test_an_air_that_is_rewound_lets_the_same_bursts_arrive_as_the_same_samples(rng):
    air = make_air("harsh")
    receiver, transmitter = make_radio(air, -1, "harsh", 1e-4), make_radio(air, 0)
    wanted, other = burst(rng, 300), burst(rng, 300)
    transmitter.transmit(wanted, 5000)
    first = receiver.receive(4000, 3000, 1.0)
    air.rewind()
    transmitter.transmit(other, 4500)  # an attempt that came to something else
    receiver.receive(4000, 3000, 1.0)
    air.rewind()
    transmitter.transmit(wanted, 5000)
    np.testing.assert_array_equal(receiver.receive(4000, 3000, 1.0), first)


def test_the_past_can_be_asked_for_as_far_as_the_ring_reaches(rng):
    air = make_air("harsh", memory_s=0.01)
    receiver, transmitter = make_radio(air, -1, "harsh", 1e-4), make_radio(air, 0)
    transmitter.transmit(burst(rng, 3000), transmitter.now() + 500)
    first = receiver.receive(0, 5000, 1.0)
    receiver.receive(40_000, 2000, 1.0)
    np.testing.assert_array_equal(receiver.receive(2000, 3000, 1.0), first[2000:])
    with pytest.raises(OverrunError, match="samples from 1999 are gone: the ring reaches back to 2000"):
        receiver.receive(1999, 10, 1.0)


def test_bursts_in_one_reception_or_in_many_are_the_same_samples(rng):
    sent = burst(rng, 9000)
    heard = []
    for cuts in ((0, 12_000), (0, 700, 4100, 4101, 12_000)):
        air = make_air("harsh")
        receiver = make_radio(air, -1, "harsh", 1e-4)
        for port in range(2):
            radio = make_radio(air, port)
            radio.transmit(sent, radio.now() + 1000 + port)
        pieces = [receiver.receive(first, last - first, 1.0) for first, last in pairwise(cuts)]
        heard.append(np.concatenate(pieces))
    np.testing.assert_array_equal(heard[0], heard[1])


def test_overlapping_bursts_of_one_radio_are_refused_those_of_two_add_up(rng):
    air = make_air()
    receiver, one, two = make_radio(air, -1), make_radio(air, 0), make_radio(air, 1)
    sent = burst(rng, 200)
    one.transmit(sent, 500)
    with pytest.raises(RadioError, match="burst of radio 0 at 650 overlaps its burst at 500"):
        one.transmit(sent, 650)
    one.transmit(sent, 700)
    two.transmit(sent, 500)
    np.testing.assert_array_equal(receiver.receive(500, 400, 1.0), np.concatenate([2 * sent, sent]))


def test_several_receivers_hear_one_burst_each_through_its_own_path(rng):
    air = make_air("indoor")
    transmitter, receivers = make_radio(air, 0), [make_radio(air, port) for port in (-1, -2, 4)]
    transmitter.transmit(burst(rng, 2000), transmitter.now())
    heard = np.array([receiver.receive(0, 2500, 1.0) for receiver in receivers])
    assert (np.mean(np.abs(heard) ** 2, axis=1) > 1e-4).all()
    heard /= np.linalg.norm(heard, axis=1, keepdims=True)
    assert (np.abs(heard[0] - heard[1]).max(), np.abs(heard[0] - heard[2]).max()) > (0.01, 0.01)


def test_a_receiver_hears_only_its_band(rng):
    air = make_air()
    transmitter = make_radio(air, 0)
    far = make_radio(air, -1, config=RadioConfig(sample_rate_hz=4e6, center_hz=919e6))
    near = make_radio(air, -2, config=RadioConfig(sample_rate_hz=2e6, center_hz=915e6))
    tone = (0.5 * np.exp(2j * np.pi * 0.1 * np.arange(4000))).astype(np.complex64)  # at 915.4 MHz
    transmitter.transmit(tone, 1000)
    assert not far.receive(0, 8000, 1.0).any()
    heard = near.receive(0, 4000, 1.0)
    expected = 0.5 * np.exp(2j * np.pi * (0.2 * np.arange(700, 2300) - 0.1 * 1000))
    np.testing.assert_allclose(heard[700:2300], expected, atol=1e-3)


def test_a_deadline_before_the_last_sample_is_a_timeout(rng):
    air = make_air()
    receiver = make_radio(air, -1)
    with pytest.raises(TimeoutError, match=r"end 0\.0005 s after the deadline of 0\.002 s"):
        receiver.receive(0, 10_000, 0.002)
    assert receiver.now() == 8000  # that time has passed
    assert len(receiver.receive(0, 10_000, 0.0006)) == 10_000
    assert len(receiver.receive(0, 10_000, 0.0)) == 10_000  # the past needs no time


def test_a_new_rate_or_frequency_begins_an_epoch_and_old_indices_are_refused(rng):
    air = make_air()
    receiver, transmitter = make_radio(air, -1), make_radio(air, 0)
    receiver.receive(0, 4000, 1.0)
    old = transmitter.now()
    assert transmitter.configure(sample_rate_hz=4e6).sample_rate_hz == 4e6
    assert transmitter.status().epoch == 0  # nothing changed
    for radio in (transmitter, receiver):
        assert radio.configure(sample_rate_hz=2e6, center_hz=868e6) == radio.config
        assert radio.status().epoch == 1
    with pytest.raises(EpochError, match="index 4000 belongs to epoch 0, this is epoch 1"):
        transmitter.transmit(burst(rng, 10), old)
    with pytest.raises(EpochError):
        receiver.receive(0, 10, 1.0)
    sent = burst(rng, 10)
    assert transmitter.now() == EPOCH_LEN + 2000
    transmitter.transmit(sent, transmitter.now())
    with pytest.raises(RadioError, match="before the epoch's start"):
        receiver.receive(EPOCH_LEN + 1999, 10, 1.0)
    np.testing.assert_array_equal(receiver.receive(EPOCH_LEN + 2000, 10, 1.0), sent)
    with pytest.raises(EpochError, match="belongs to epoch 2"):
        receiver.receive(2 * EPOCH_LEN, 10, 1.0)


def test_settings_that_a_simulated_radio_cannot_have_are_refused():
    radio = make_radio(make_air(), 3)
    with pytest.raises(RadioError, match="unknown radio setting 'volume'; known: center_hz, rx_gain_db"):
        radio.configure(volume=11)
    with pytest.raises(
        RadioError, match=r"sample_rate_hz must be in \[520000, 6.144e\+07\], asked for 1e\+09"
    ):
        radio.configure(sample_rate_hz=1e9)
    with pytest.raises(RadioError, match=r"tx_gain_db is fixed at 0.0, asked for 3"):
        radio.configure(tx_gain_db=3)
    assert radio.config == CONFIG
    assert radio.status().serial == "sim-3"


def test_over_full_scale_is_refused_at_the_transmitter_and_raised_at_the_receiver(rng):
    air = make_air()
    receiver = make_radio(air, -1, adc_bits=12, adc_full_scale_db=0.0)
    radios = [make_radio(air, port) for port in range(2)]
    with pytest.raises(FullScaleError, match=r"peak 1.50"):
        radios[0].transmit(np.array([1.5], np.complex64), 10)
    for radio in radios:
        radio.transmit(np.full(100, 0.8, np.complex64), 1000)
    with pytest.raises(
        FullScaleError, match=r"100 of 2000 samples from 0 exceed the converter's full scale of 1"
    ):
        receiver.receive(0, 2000, 1.0)
    assert receiver.status().overflows == 1
    assert receiver.receive(1100, 2000, 1.0).shape == (2000,)


def test_closing_ends_bursts_that_are_on_the_air_whatever_happened_before(rng):
    air = make_air()
    receiver, transmitter = make_radio(air, -1), make_radio(air, 0)
    sent = burst(rng, 1000)
    transmitter.transmit(sent, 100)
    transmitter.transmit(sent, 5000)
    np.testing.assert_array_equal(receiver.receive(100, 400, 1.0), sent[:400])
    with pytest.raises(LateError):
        transmitter.transmit(sent, 0)
    transmitter.close()
    transmitter.close()
    assert not receiver.receive(500, 8000, 1.0).any()
    np.testing.assert_array_equal(receiver.receive(100, 400, 1.0), sent[:400])
    for use in (lambda: transmitter.transmit(sent, 9000), lambda: transmitter.configure(center_hz=1e9)):
        with pytest.raises(RadioError, match="simulated radio 0 is closed"):
            use()
    receiver.close()
    with pytest.raises(RadioError, match="is closed"):
        receiver.receive(0, 10, 1.0)


def test_a_radio_on_a_free_clock_counts_its_own_samples_and_cannot_receive(rng):
    medium = PathMedium(SCENARIOS["free"], 1)
    air = Air(medium, 0.05)
    receiver, transmitter = make_radio(air, -1), make_radio(air, 0)
    receiver.receive(400_000_000, 100, 200.0)
    slip = transmitter.now() - receiver.now()
    crystal = medium.path(0, -1, Band(4e6, 915e6)).crystal
    assert slip == pytest.approx(crystal.sro_ppm * 400, abs=3)
    with pytest.raises(RadioError, match="transmits on a free clock and cannot receive"):
        transmitter.receive(transmitter.now(), 10, 1.0)


def test_block_flat_gains_are_a_medium_too(rng):
    channel = BlockChannel(
        Fading(law="rayleigh"), AirConfig(tap_delays_samples=(0, 2), tap_powers_db=(0, -3)), 4, 100_000
    )
    air = Air(BlockMedium(channel), 0.05)
    receiver, transmitter = make_radio(air, -1), make_radio(air, 5)
    sent = burst(rng, 300)
    transmitter.transmit(sent, 1000)
    expected = np.convolve(channel.gain(5, 0) * channel.taps(5), sent)
    np.testing.assert_allclose(receiver.receive(1000, 302, 1.0), expected, atol=1e-6)
    receiver.transmit(sent, 2000)  # and back
    np.testing.assert_allclose(transmitter.receive(2000, 302, 1.0), expected, atol=1e-6)
    with pytest.raises(RadioError, match=r"crosses a fading block of 100000; raise link.round_s"):
        transmitter.transmit(sent, 99_900)
