"""A device that undoes its clock arrives as one without a clock of its own."""

import numpy as np
import pytest

from radio.channel_state import ChannelState
from radio.correction import Correction
from radio.frame import demodulate_frame, frame_len, modulate_frame, payload_elements
from radio.ofdm import OfdmConfig
from radio.pilots import Place
from radio.preamble import preamble_len
from radio.resource_map import element_subcarriers
from radio.sounding import SoundingSlot, separate, sounding_bursts
from tests.reference.clock import receive

OFDM = OfdmConfig()
RATE_HZ = OFDM.sample_rate_hz
LEAD = 16  # a window this early keeps the neighbours' interpolation tails out
EARLY = np.exp(-2j * np.pi * OFDM.active_bins * LEAD / OFDM.fft_len)  # what that does to subcarriers
CLOCKS = [
    {"delay": 0.0, "drift": 0.0, "cfo_hz": 0.0},
    {"delay": 812.3, "drift": 0.0, "cfo_hz": 0.0},
    {"delay": -37.9, "drift": -10e-6, "cfo_hz": 9150.0},
    {"delay": 5.5, "drift": 10e-6, "cfo_hz": -9150.0},
]


def correction_of(clock, reference):
    return Correction(
        delay_samples=clock["delay"], drift=clock["drift"], cfo_hz=clock["cfo_hz"], reference_index=reference
    )


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_frame_arrives_where_and_as_it_was_planned(clock, rng):
    reference, arrival, count = 40_000, 41_000, 3000
    amplitudes = rng.normal(size=count) + 1j * rng.normal(size=count)
    channel = ChannelState(np.ones(1, complex), correction_of(clock, reference))
    burst = modulate_frame(amplitudes, channel, arrival, 0.1, OFDM, Place(0, 1))
    indices = np.arange(arrival, arrival + frame_len(count, OFDM)) - LEAD
    heard = receive(burst, indices, reference=reference, sample_rate_hz=RATE_HZ, **clock)
    payload = demodulate_frame(heard.astype(np.complex64), 0.1, OFDM).payload
    found = payload_elements(payload, count, OFDM) / EARLY[element_subcarriers(count, OFDM)]
    # the device turns back from its reference on, the wave turns from index 0 on: one common phase is left
    common = np.vdot(amplitudes, found) / np.vdot(amplitudes, amplitudes)
    assert abs(abs(common) - 1) < 2e-3
    error = np.linalg.norm(found / common - amplitudes) / np.linalg.norm(amplitudes)
    assert error < 3e-3  # drift within a symbol: 10 ppm of 320 samples at the band's edge


@pytest.mark.parametrize("clock", CLOCKS)
def test_every_block_of_a_slot_sees_the_same_channel(clock):
    reference = 9_000
    slot = SoundingSlot(round=0, devices=(0, 1), start_index=10_000, block_gaps=(0, 0, 20),
                        corrections={0: correction_of(clock, reference)})  # fmt: skip
    bursts = sounding_bursts(slot, 0, OFDM)
    assert len(bursts) == 2  # the first two blocks follow each other without a gap
    gains = []
    for block, burst in enumerate((bursts[0], bursts[0], bursts[1])):
        indices = slot.block_index(block, OFDM) - LEAD + np.arange(slot.block_len(OFDM))
        heard = receive(burst, indices, reference=reference, sample_rate_hz=RATE_HZ, **clock)
        gains.append(separate(heard.astype(np.complex64), slot, OFDM).gains[0])
    np.testing.assert_allclose(np.abs(gains[0]), 1.0, atol=5e-3)
    for later in gains[1:]:
        np.testing.assert_allclose(later, gains[0], atol=8e-3)


def test_without_a_correction_nothing_is_touched():
    slot = SoundingSlot(round=0, devices=(0,), start_index=500)
    (burst,) = sounding_bursts(slot, 0, OFDM)
    assert burst.start_index == 500
    assert len(burst.samples) == preamble_len(OFDM) + 8 * OFDM.symbol_len


def test_a_correction_goes_on_from_another_without_a_jump():
    first = Correction(cfo_hz=123.0, reference_index=1000, phase_rad=0.4)
    second = Correction(cfo_hz=125.0, reference_index=9000, phase_rad=first.rotation_rad(9000, RATE_HZ))
    assert second.rotation_rad(9000, RATE_HZ) == first.rotation_rad(9000, RATE_HZ)
    grown = second.rotation_rad(9000 + 4_000_000, RATE_HZ) - first.rotation_rad(9000 + 4_000_000, RATE_HZ)
    assert grown == pytest.approx(2 * np.pi * 2.0)  # two hertz more, one second later
