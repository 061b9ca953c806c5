"""The same payload over each uplink: what the air does to it, and what the receiver makes of it."""

from dataclasses import replace

import numpy as np
import pytest

from radio.air_config import AirConfig, Fading
from radio.frame import element_level, modulate_frame
from radio.interface import Burst, RadioConfig
from radio.ofdm import OfdmConfig
from radio.pilot_layout import num_channel_taps
from radio.pilots import Place
from radio.schedule import Schedule
from radio.sounding import AcquisitionSlot, acquisition_burst, sounding_bursts
from radio.uplink import Plan, SyncError
from server.receive_window import window_lead
from server.receiver import RadioUplink
from sim_backend.air import Air
from sim_backend.channel import BlockChannel
from sim_backend.elements import BlockElements, ElementTruth
from sim_backend.front_end import FrontEnd
from sim_backend.medium import BlockMedium
from sim_backend.radio import SimRadio
from sim_backend.symbol import SymbolUplink

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
OFDM = OfdmConfig()
SCHEDULE = Schedule(ofdm=OFDM, round_s=0.02, gap_s=1e-3)
FREE = Schedule(ofdm=OFDM, round_s=0.06, gap_s=1e-3, free_clocks=True)
LEVEL = element_level(15.0, OFDM)
NUM_ELEMENTS = 2000
NUM_SYMBOLS_APART = 12  # header to tail: 11 symbols of payload between them


def turn(slot, device):
    samples, start_index = acquisition_burst(slot, device, OFDM)
    return (Burst(LEVEL * samples, start_index),)


class Link:
    """A waveform uplink with everything that a test wants to know of it."""

    def __init__(self, snr_db, *, law="rayleigh", clock_offset=0, seed=1, schedule=SCHEDULE, **profile):
        self.channel = BlockChannel(Fading(law=law), AirConfig(**profile), seed, schedule.round_len)
        self.noise_variance = 10 ** (-snr_db / 10)
        self.ofdm = schedule.ofdm
        air = Air(BlockMedium(self.channel), memory_s=1.0)
        config = RadioConfig(sample_rate_hz=4e6, center_hz=915e6)
        self.transmitters = {d: SimRadio(air, d, config, FrontEnd(seed, d)) for d in range(6)}
        front_end = FrontEnd(seed, -1, noise_variance=self.noise_variance * LEVEL**2)
        receiver = SimRadio(air, -1, config, front_end, clock_offset)
        self.uplink = RadioUplink(receiver, self.transmitters, schedule, 15.0, 915e6)
        self.truth = ElementTruth(BlockElements(self.channel, self.ofdm))

    def pilots(self, slot, device):
        bursts = sounding_bursts(slot, device, self.ofdm)
        return tuple(Burst(LEVEL * burst.samples, burst.start_index) for burst in bursts)

    def sound(self, round_index, devices):
        slot = self.uplink.slot(round_index, devices)
        if isinstance(slot, AcquisitionSlot):
            slot = self.uplink.sound(slot, {d: turn(slot, d) for d in devices})
        return slot, self.uplink.sound(slot, {d: self.pilots(slot, d) for d in slot.devices})

    def collect(self, slot, sounding, payloads, silent=()):
        plan = Plan(round=slot.round, seed=0, devices=tuple(payloads), dimension=1, num_elements=NUM_ELEMENTS,
                    num_kept=1, start_index=self.uplink.payload_index(sounding))  # fmt: skip
        frames = {}
        for place, (device, payload) in enumerate(payloads.items()):
            channel = sounding.channels[device]
            turned = payload * channel.compensation(NUM_ELEMENTS)
            frames[device] = (
                modulate_frame(
                    turned, channel, plan.start_index, LEVEL, self.ofdm, Place(place, len(payloads))
                ),
            )
        for device in silent:
            del frames[device]
        return plan, self.uplink.collect(plan, frames)


def payloads(rng, devices):
    return {
        d: (rng.normal(size=NUM_ELEMENTS) + 1j * rng.normal(size=NUM_ELEMENTS)) / np.sqrt(2) for d in devices
    }


@pytest.mark.parametrize("clock_offset", [-1000, 0, 37, 1000])
@pytest.mark.parametrize(
    "profile", [{}, {"tap_delays_samples": (0, 2, 7), "tap_powers_db": (0.0, -3.0, -9.0)}]
)
def test_phases_are_aligned_in_the_air_without_noise(clock_offset, profile, rng):
    link = Link(90.0, clock_offset=clock_offset, **profile)
    devices = (0, 2, 3)
    slot, sounding = link.sound(0, devices)
    sent = payloads(rng, devices)
    plan, reception = link.collect(slot, sounding, sent)
    expected = sum(np.resize(np.abs(link.truth.gains(plan, d)), NUM_ELEMENTS) * sent[d] for d in devices)
    error = np.linalg.norm(reception.amplitudes - expected) / np.linalg.norm(expected)
    assert error < 2e-3  # directions of the tap model below RANK_TOLERANCE, and single precision
    assert reception.quality > 0.9


@pytest.mark.parametrize("clock_offset", [-900, 0, 555])
def test_acquired_one_by_one_devices_arrive_aligned_too(clock_offset, rng):
    link = Link(
        30.0, clock_offset=clock_offset, schedule=FREE, tap_delays_samples=(0, 3), tap_powers_db=(0.0, -6.0)
    )
    devices = (1, 4, 5)
    slot, sounding = link.sound(0, devices)
    for device in devices:  # one clock for all in this air: its offset is everybody's lateness
        assert slot.correction(device).delay_samples == pytest.approx(
            clock_offset, abs=2.0
        )  # a path may be stronger
        assert abs(sounding.channels[device].correction.cfo_hz) < 0.5
    sent = payloads(rng, devices)
    plan, reception = link.collect(slot, sounding, sent)
    expected = sum(np.resize(np.abs(link.truth.gains(plan, d)), NUM_ELEMENTS) * sent[d] for d in devices)
    error = np.sum(np.abs(reception.amplitudes - expected) ** 2) / NUM_ELEMENTS
    assert (
        error < 2.0 * link.noise_variance
    )  # the sounding's own error, and a carrier known to a tenth of a hertz


def test_a_device_that_is_not_heard_in_its_turn_sits_out():
    link = Link(30.0, schedule=FREE)
    slot = link.uplink.slot(0, (0, 1, 2))
    following = link.uplink.sound(slot, {d: turn(slot, d) for d in (0, 2)})
    assert following.devices == (0, 2)


def test_when_nobody_is_heard_in_any_turn_the_round_fails():
    link = Link(30.0, schedule=FREE)
    with pytest.raises(SyncError, match="none of 2 devices was heard in its turn; check the receiver's gain"):
        link.uplink.sound(link.uplink.slot(0, (0, 1)), {})


def test_gains_and_noise_are_measured_as_well_as_stated():
    link = Link(10.0)
    errors, stated, noise = [], [], []
    for index in range(12):
        _, sounding = link.sound(index, (0, 1, 2, 3))
        block = index
        for device, channel in sounding.channels.items():
            # the window starts early, which turns subcarriers by a known slope
            slope = np.exp(-2j * np.pi * OFDM.active_bins * (window_lead(OFDM)) / OFDM.fft_len)
            truth = link.channel.response(device, block, OFDM) * slope
            errors.append(np.mean(np.abs(channel.gains - truth) ** 2))
            stated.append(sounding.error_variances[device])
        noise.append(sounding.noise_variance)
    assert np.mean(errors) == pytest.approx(np.mean(stated), rel=0.25)
    assert np.mean(noise) == pytest.approx(link.noise_variance, rel=0.05)


def test_received_noise_is_what_the_snr_says(rng):
    link = Link(5.0, law="none")
    errors = []
    for index in range(10):
        slot, sounding = link.sound(index, (1,))
        sent = payloads(rng, (1,))
        _, reception = link.collect(slot, sounding, sent)
        errors.append(np.mean(np.abs(reception.amplitudes - sent[1]) ** 2))
    # noise, and half of the error of a sounding of 8 symbols, the half that turns phases
    expected = link.noise_variance * (1 + num_channel_taps(OFDM) / (2 * 8 * OFDM.num_active))
    assert np.mean(errors) == pytest.approx(expected, rel=0.03)


def test_without_a_signal_the_slot_is_not_found():
    link = Link(20.0)
    slot = link.uplink.slot(0, (0,))
    silence = {0: (Burst(np.zeros(slot.num_samples(OFDM), np.complex64), slot.start_index),)}
    with pytest.raises(SyncError, match=r"round 0: no sounding preamble .*check the receiver's gain, cable"):
        link.uplink.sound(slot, silence)


def test_phases_that_turn_after_the_sounding_are_reported_and_the_common_one_removed(rng):
    link = Link(40.0, law="none", schedule=FREE)
    devices = (0, 2, 3)
    slot, sounding = link.sound(0, devices)
    turned = {}
    for device, cfo_hz in zip(devices, (10.0, 10.0, 13.0), strict=True):
        channel = sounding.channels[device]
        correction = replace(channel.correction, cfo_hz=channel.correction.cfo_hz + cfo_hz)
        turned[device] = replace(channel, correction=correction)
    sent = payloads(rng, devices)
    _, reception = link.collect(slot, replace(sounding, channels=turned), sent)
    later_s = NUM_SYMBOLS_APART * OFDM.symbol_len / 4e6
    first, last = reception.common_phase_rad
    assert last - first == pytest.approx(-2 * np.pi * 11.0 * later_s, abs=0.01)
    for device, relative_hz in zip(devices, (1.0, 1.0, -2.0), strict=True):
        header, tail = reception.phase_residuals[device]
        assert tail - header == pytest.approx(2 * np.pi * relative_hz * later_s, abs=0.01)


def test_a_device_that_stays_silent_moves_nobody_elses_pilots(rng):
    link = Link(40.0)
    devices = (0, 2, 3)
    slot, sounding = link.sound(0, devices)
    _, reception = link.collect(slot, sounding, payloads(rng, devices), silent=(2,))
    assert set(reception.phase_residuals) == {0, 3}
    np.testing.assert_allclose(list(reception.phase_residuals.values()), 0.0, atol=0.05)


@pytest.mark.parametrize("schedule", [SCHEDULE, FREE])
def test_a_device_that_does_not_sound_is_left_out_and_the_others_are_known_as_well(schedule):
    known = {}
    for silent in ((), (2,)):
        link = Link(20.0, schedule=schedule)
        slot = link.uplink.slot(0, (0, 2, 3))
        if isinstance(slot, AcquisitionSlot):
            slot = link.uplink.sound(slot, {device: turn(slot, device) for device in slot.devices})
        sent = {device: link.pilots(slot, device) for device in slot.devices if device not in silent}
        known[silent] = link.uplink.sound(slot, sent)
    whole, less = known[()], known[(2,)]
    assert set(less.channels) == set(less.error_variances) == {0, 3}
    for device in (0, 3):
        np.testing.assert_allclose(  # within the noise of either estimate
            less.channels[device].gains,
            whole.channels[device].gains,
            atol=6 * np.sqrt(whole.error_variances[device]),
        )


def test_when_nobody_sounds_the_round_fails():
    link = Link(20.0)
    with pytest.raises(SyncError, match="round 0: none of 2 devices sounded"):
        link.uplink.sound(link.uplink.slot(0, (0, 1)), {})


def test_comb_pilots_interleaving_and_precoding_bring_the_same_payload(rng):
    devices = (0, 1)
    sent = payloads(rng, devices)
    for changes in ({}, {"interleave": False}, {"num_pilots": 8, "precoding": True}):
        schedule = replace(SCHEDULE, ofdm=replace(OFDM, **changes))
        link = Link(40.0, schedule=schedule, tap_delays_samples=(0, 7), tap_powers_db=(0.0, -3.0))
        slot, sounding = link.sound(0, devices)
        plan, reception = link.collect(slot, sounding, sent)
        expected = sum(np.abs(link.truth.gains(plan, d)) * sent[d] for d in devices)
        # noise, and the half of the sounding's error that turns phases: 40 taps of 192
        assert np.mean(np.abs(reception.amplitudes - expected) ** 2) < 1.3 * 1e-4
        pilots = 11 * schedule.ofdm.num_pilots
        assert reception.overhead_elements == 4 * 192 + pilots


def test_a_payload_that_never_came_is_not_decoded():
    link = Link(20.0)
    _, sounding = link.sound(0, (0,))
    plan = Plan(round=0, seed=0, devices=(), dimension=1, num_elements=NUM_ELEMENTS, num_kept=1,
                start_index=link.uplink.payload_index(sounding))  # fmt: skip
    with pytest.raises(SyncError, match="no payload preamble where the sounding put it"):
        link.uplink.collect(plan, {})


def test_symbols_superpose_as_the_equation_says(rng):
    channel = BlockChannel(Fading(law="rayleigh"), AirConfig(), 3, SCHEDULE.round_len)
    uplink = SymbolUplink(BlockElements(channel, OFDM), SCHEDULE, NUM_ELEMENTS, 0.0, 3)
    slot = uplink.slot(5, (0, 4))
    sounding = uplink.sound(slot, {})
    sent = payloads(rng, (0, 4))
    plan = Plan(round=5, seed=0, devices=(0, 4), dimension=1, num_elements=NUM_ELEMENTS, num_kept=1,
                start_index=uplink.payload_index(sounding))  # fmt: skip
    emissions = {device: (Burst(amplitudes, 0),) for device, amplitudes in sent.items()}
    expected = channel.gain(0, 5) * sent[0] + channel.gain(4, 5) * sent[4]
    np.testing.assert_allclose(uplink.collect(plan, emissions).amplitudes, expected, rtol=1e-12)
    assert sounding.channels[4].gains[0] == pytest.approx(channel.gain(4, 5))


def test_symbol_noise_has_its_variance_and_changes_with_the_round():
    channel = BlockElements(BlockChannel(Fading(), AirConfig(), 3, SCHEDULE.round_len), OFDM)
    uplink = SymbolUplink(channel, SCHEDULE, 20_000, 0.3, 3)
    noise = [
        uplink.collect(
            Plan(
                round=index, seed=0, devices=(), dimension=1, num_elements=20_000, num_kept=1, start_index=0
            ),
            {},
        ).amplitudes
        for index in (0, 1)
    ]
    assert np.mean(np.abs(noise[0]) ** 2) == pytest.approx(0.3, rel=0.05)
    assert abs(np.vdot(noise[0], noise[1])) / np.vdot(noise[0], noise[0]).real < 0.04


def test_closing_the_uplink_closes_every_radio():
    link = Link(20.0)
    link.uplink.close()
    for radio in link.transmitters.values():
        with pytest.raises(RuntimeError, match="is closed"):
            radio.transmit(np.zeros(4, np.complex64), 0)
