"""Phases of a frame: known ones are found, the common one is removed, and what that costs in noise is bounded."""

import dataclasses

import numpy as np
import pytest

from calibration.bounds import fisher_information
from calibration.phase import common_turns, estimate_phases, remove_turns, smoothing_symbols
from radio.channel_state import ChannelState
from radio.frame import demodulate_frame, modulate_frame, payload_offset
from radio.ofdm import OfdmConfig
from radio.pilots import HEADER, Place, own_pilots

OFDM = OfdmConfig()
STRAIGHT = ChannelState(np.ones(1, complex))
NUM_SYMBOLS = 24
SYMBOL_S = OFDM.symbol_len / OFDM.sample_rate_hz


def white(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


def frames(payloads, ofdm):
    return [
        modulate_frame(payload, STRAIGHT, 0, 1.0, ofdm, Place(number, len(payloads))).samples
        for number, payload in enumerate(payloads)
    ]


def rotated(samples, phase_rad, cfo_hz):
    return samples * np.exp(1j * (phase_rad + 2 * np.pi * cfo_hz * np.arange(len(samples)) / 4e6))


def middle_s(symbol):
    """Middle of the body of a frame's symbol: header 0, payload from 1 on."""
    start = payload_offset(OFDM) + (symbol - 1) * OFDM.symbol_len
    return (start + OFDM.prefix_len + (OFDM.fft_len - 1) / 2) / OFDM.sample_rate_hz


def error(found, expected):
    return np.linalg.norm(found - expected) ** 2 / np.linalg.norm(expected) ** 2


def test_a_rotation_of_each_device_is_measured(rng):
    phases, cfos_hz = np.array([0.3, -0.2, 0.05, 0.4]), np.array([12.0, -30.0, 0.0, 7.0])
    payloads = white(rng, 4, NUM_SYMBOLS * OFDM.num_data)
    total = sum(map(rotated, frames(payloads, OFDM), phases, cfos_hz))
    heard = demodulate_frame(total.astype(np.complex64), 1.0, OFDM)
    estimate = estimate_phases(heard.header, heard.tail, range(4), 4, 1e-6, OFDM)
    instants_s = np.array([middle_s(0), middle_s(NUM_SYMBOLS + 1)])
    true = phases[:, None] + 2 * np.pi * cfos_hz[:, None] * instants_s
    common = np.angle(np.exp(1j * true).sum(axis=0))
    np.testing.assert_allclose(estimate.common_rad, common, atol=1e-3)  # turning within a symbol, per mille
    np.testing.assert_allclose(estimate.residuals_rad, true - common, atol=1e-3)


def test_devices_are_known_by_their_places_though_some_are_silent(rng):
    payloads = white(rng, 5, 400)
    sent = frames(payloads, OFDM)
    total = rotated(sent[1], 0.5, 0.0) + rotated(sent[4], -0.1, 0.0)
    heard = demodulate_frame(total.astype(np.complex64), 1.0, OFDM)
    estimate = estimate_phases(heard.header, heard.tail, (1, 4), 5, 1e-6, OFDM)
    spread = estimate.residuals_rad[0] - estimate.residuals_rad[1]
    np.testing.assert_allclose(spread, 0.6, atol=1e-4)
    with pytest.raises(ValueError, match="no device transmitted"):
        estimate_phases(heard.header, heard.tail, (), 5, 1e-6, OFDM)


def test_the_tails_common_phase_is_the_nearest_to_the_headers():
    header, tail = (
        own_pilots(identity, Place(0, 1), OFDM) * np.exp(1j * angle)
        for identity, angle in ((HEADER, 3.0), (HEADER + 1, -3.0))
    )
    estimate = estimate_phases(header, tail, (0,), 1, 1e-6, OFDM)
    np.testing.assert_allclose(estimate.common_rad, [3.0, 2 * np.pi - 3.0], atol=1e-5)


@pytest.mark.parametrize("num_devices", [1, 4, 48])
def test_phases_reach_the_cramer_rao_bound_and_say_so(num_devices, rng):
    noise_variance, trials = 0.05, 1500
    pilots = sum(own_pilots(HEADER, Place(r, num_devices), OFDM) for r in range(num_devices))
    received = pilots + np.sqrt(noise_variance) * white(rng, trials, OFDM.num_active)
    own = own_pilots(HEADER, Place(0, num_devices), OFDM)
    bounds = [
        1.0 / fisher_information(1j * model[:, None], noise_variance)[0, 0]  # d/d phase of pilot exp(j phase)
        for model in (own, pilots)
    ]
    estimates = [
        estimate_phases(row, pilots, range(num_devices), num_devices, noise_variance, OFDM)
        for row in received
    ]
    common = np.array([e.common_rad[0] for e in estimates])
    first = np.array([e.residuals_rad[0, 0] + e.common_rad[0] for e in estimates])
    # a variance from 1,500 trials is known to 3.7 %
    assert np.mean(first**2) == pytest.approx(bounds[0], rel=0.13)
    assert np.mean(common**2) == pytest.approx(bounds[1], rel=0.13)
    stated = np.mean([e.residuals_std_rad[0, 0] ** 2 for e in estimates])
    assert stated == pytest.approx(bounds[0], rel=0.05)
    assert np.mean([e.common_std_rad[0] ** 2 for e in estimates]) == pytest.approx(bounds[1], rel=0.02)


def test_a_common_offset_is_removed(rng):
    """1 radian over the frame: untreated the error is the mean of |1 - exp(j phi)|^2 over it."""
    cfo_hz = 1.0 / (2 * np.pi * (NUM_SYMBOLS + 2) * SYMBOL_S)
    payloads = white(rng, 3, NUM_SYMBOLS * OFDM.num_data)
    total = rotated(sum(frames(payloads, OFDM)), -0.2, cfo_hz).astype(np.complex64)
    heard = demodulate_frame(total, 1.0, OFDM)
    clean = demodulate_frame(sum(frames(payloads, OFDM)), 1.0, OFDM).payload
    phases = -0.2 + 2 * np.pi * cfo_hz * np.array([middle_s(s) for s in range(1, NUM_SYMBOLS + 1)])
    assert error(heard.payload, clean) == pytest.approx(np.mean(abs(1 - np.exp(1j * phases)) ** 2), rel=0.05)
    estimate = estimate_phases(heard.header, heard.tail, range(3), 3, 1e-4, OFDM)
    turns = common_turns(estimate, heard.payload, 1e-4, OFDM)
    # turning within a symbol mixes subcarriers: (pi e)^2 / 3 of the power, e the offset in subcarriers
    leaked = (np.pi * cfo_hz * OFDM.fft_len / OFDM.sample_rate_hz) ** 2 / 3
    np.testing.assert_allclose(turns, np.exp(1j * phases), atol=4 * np.sqrt(leaked / OFDM.num_active))
    assert error(remove_turns(heard.payload, turns), clean) == pytest.approx(leaked, rel=0.2)


def heard_in_noise(rng, payload, noise_variance, ofdm, num_devices):
    """What the waveform's parts are when `num_devices` add up aligned; payload: (num_symbols, num_active) without
    noise."""
    header = sum(own_pilots(HEADER, Place(r, num_devices), ofdm) for r in range(num_devices))
    tail = sum(own_pilots(HEADER + 1, Place(r, num_devices), ofdm) for r in range(num_devices))
    scale = np.sqrt(noise_variance)
    received = [part + scale * white(rng, *part.shape) for part in (header, payload, tail)]
    estimate = estimate_phases(
        received[0], received[2], range(num_devices), num_devices, noise_variance, ofdm
    )
    return received[1].astype(np.complex64), estimate


def combed(rng, ofdm, num_devices, coherence):
    """(num_symbols, num_active) superposed payload of power n^coherence with the comb of `num_devices`."""
    alike = np.sqrt(float(num_devices) ** coherence) * white(rng, NUM_SYMBOLS * ofdm.num_data)
    frame = modulate_frame(alike / num_devices, STRAIGHT, 0, 1.0, ofdm, Place(0, 1)).samples
    return num_devices * demodulate_frame(frame, 1.0, ofdm).payload


@pytest.mark.parametrize(
    ("num_pilots", "num_devices", "coherence"),
    [(0, 8, 1), (0, 8, 2), (0, 64, 2), (2, 8, 1), (2, 8, 2), (8, 8, 2), (8, 64, 2), (32, 8, 2)],
)
@pytest.mark.parametrize("snr_db", [-20.0, 0.0, 20.0])
def test_the_pilots_noise_never_costs_more_than_a_tenth_of_a_decibel(
    num_pilots, num_devices, coherence, snr_db, rng
):
    """Aligned devices have nothing to remove. coherence 2: all send alike, the worst case; 1: independently."""
    ofdm = dataclasses.replace(OFDM, num_pilots=num_pilots)
    noise_variance = 10 ** (-snr_db / 10)
    added, noise = 0.0, 0.0
    for _ in range(60):
        clean = combed(rng, ofdm, num_devices, coherence)
        heard, estimate = heard_in_noise(rng, clean, noise_variance, ofdm, num_devices)
        turned = remove_turns(heard, common_turns(estimate, heard, noise_variance, ofdm))
        data = ofdm.data_subcarriers
        added += np.linalg.norm((turned - clean)[:, data]) ** 2
        noise += np.linalg.norm((heard - clean)[:, data]) ** 2
    cost_db = 10 * np.log10(added / noise)
    assert cost_db < 0.11  # a tenth more of it for what 60 frames leave uncertain


def test_the_comb_follows_what_a_line_cannot(rng):
    """A carrier that wanders by 0.3 rad and back within the frame."""
    wander = 0.3 * np.sin(np.pi * np.arange(NUM_SYMBOLS) / (NUM_SYMBOLS - 1))
    left = {}
    for num_pilots in (0, 8):
        ofdm = dataclasses.replace(OFDM, num_pilots=num_pilots)
        clean = combed(rng, ofdm, 4, 1)
        turned = clean * np.exp(1j * wander)[:, None]
        heard, estimate = heard_in_noise(rng, turned, 1e-3, ofdm, 4)
        found = remove_turns(heard, common_turns(estimate, heard, 1e-3, ofdm))
        left[num_pilots] = error(found, clean) - 1e-3 / 4
    assert left[0] == pytest.approx(np.mean(wander**2), rel=0.1)
    # moving means of three symbols miss a sixth of the second difference, and half a slope at the ends
    assert left[8] < 0.01 * left[0]


@pytest.mark.parametrize(("num_pilots", "expected"), [(2, 11), (4, 6), (8, 3), (22, 1), (96, 1)])
def test_the_comb_is_averaged_over_as_many_symbols_as_its_noise_asks_for(num_pilots, expected):
    # 1 / (2 P W) of the noise is at most 10^0.01 - 1 = 0.0233
    assert smoothing_symbols(OfdmConfig(num_pilots=num_pilots)) == expected
