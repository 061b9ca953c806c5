import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radio.channel_state import ChannelState
from radio.frame import (
    demodulate_frame,
    element_level,
    frame_len,
    frame_overhead,
    modulate_frame,
    payload_elements,
    payload_offset,
    payload_peak,
)
from radio.interface import FullScaleError, check_full_scale, peak_amplitude
from radio.ofdm import OfdmConfig
from radio.pilots import Place
from radio.preamble import preamble, preamble_len
from tests.radio.waveform_strategies import numerologies

OFDM = OfdmConfig(fft_len=64, prefix_len=16, num_active=48)
STRAIGHT = ChannelState(np.ones(1, complex))
ALONE = Place(0, 1)


def draw(rng, count):
    return rng.normal(size=count) + 1j * rng.normal(size=count)


def over_a_wire(samples, num_elements, level, ofdm):
    return payload_elements(demodulate_frame(samples, level, ofdm).payload, num_elements, ofdm)


@settings(deadline=None, max_examples=60)
@given(numerologies(), st.integers(1, 3000), st.floats(0.01, 0.9))
def test_reading_a_frame_is_the_inverse_of_modulating_it(ofdm, num_elements, level):
    num_elements = min(num_elements, 6 * ofdm.num_data)
    amplitudes = draw(np.random.default_rng(0), num_elements)
    samples = modulate_frame(amplitudes, STRAIGHT, 0, level, ofdm, ALONE).samples
    assert len(samples) == frame_len(num_elements, ofdm)
    np.testing.assert_allclose(over_a_wire(samples, num_elements, level, ofdm), amplitudes, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(numerologies(), st.floats(-2.0, 2.0))
def test_superposition_is_linear(ofdm, gain):
    rng, count = np.random.default_rng(1), 2 * ofdm.num_data
    first, second = draw(rng, count), draw(rng, count)
    both = modulate_frame(first, STRAIGHT, 0, 0.1, ofdm, ALONE).samples + np.float32(gain) * (
        modulate_frame(second, STRAIGHT, 0, 0.1, ofdm, ALONE).samples
    )
    received = over_a_wire(both, count, 0.1, ofdm)
    np.testing.assert_allclose(received, first + gain * second, atol=3e-5)


@settings(deadline=None, max_examples=40)
@given(numerologies(), st.data())
def test_a_delay_inside_the_prefix_turns_each_subcarrier_and_leaks_nowhere(ofdm, data):
    delay = data.draw(st.integers(0, ofdm.prefix_len))
    amplitudes = draw(np.random.default_rng(2), 2 * ofdm.num_data + 1)
    samples = modulate_frame(amplitudes, STRAIGHT, 0, 0.1, ofdm, ALONE).samples
    late = np.concatenate([np.zeros(delay, np.complex64), samples])[: len(samples)]
    slope = np.exp(-2j * np.pi * (ofdm.active_bins * delay % ofdm.fft_len) / ofdm.fft_len)
    for heard, sent in zip(
        demodulate_frame(late, 0.1, ofdm), demodulate_frame(samples, 0.1, ofdm), strict=True
    ):
        np.testing.assert_allclose(heard, sent * slope, atol=3e-5)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.05, 3.0))
def test_what_exceeds_full_scale_is_sent_as_it_is_or_not_at_all(level):
    amplitudes = draw(np.random.default_rng(3), 100)
    samples = modulate_frame(amplitudes, STRAIGHT, 0, level, OFDM, ALONE).samples
    unit = modulate_frame(amplitudes, STRAIGHT, 0, 1.0, OFDM, ALONE).samples
    np.testing.assert_allclose(samples, np.float32(level) * unit, atol=1e-5)  # nothing was clipped
    if level * peak_amplitude(unit) > 1.0:
        with pytest.raises(FullScaleError, match="exceed full scale"):
            check_full_scale(samples)
    else:
        check_full_scale(samples)


@pytest.mark.parametrize("num_devices", [1, 2, 5, 24])
def test_header_and_tail_tell_devices_apart_at_full_power(num_devices, rng):
    gains = draw(rng, num_devices)
    total = np.zeros(frame_len(10, OFDM), np.complex64)
    for number, gain in enumerate(gains):
        burst = modulate_frame(np.zeros(10), STRAIGHT, 0, 0.1, OFDM, Place(number, num_devices))
        header = burst.samples[preamble_len(OFDM) + OFDM.prefix_len : payload_offset(OFDM)]
        expected = 0.1**2 * 48 / 64 * len(range(number, 48, num_devices)) * num_devices / 48
        assert np.mean(np.abs(header) ** 2) == pytest.approx(expected, rel=1e-5)
        total += gain.astype(np.complex64) * burst.samples
    heard = demodulate_frame(total, 0.1, OFDM)
    for symbol in (heard.header, heard.tail):
        for number, gain in enumerate(gains):
            np.testing.assert_allclose(
                np.abs(symbol[number::num_devices]), abs(gain) * np.sqrt(num_devices), rtol=1e-4
            )


def test_pilots_are_turned_back_by_the_channel_and_add_up(rng):
    ofdm = OfdmConfig(num_pilots=8)
    gains = np.exp(2j * np.pi * rng.random((3, ofdm.num_active)))
    symbols = []
    for number, gain in enumerate(gains):
        channel = ChannelState(gain, ofdm=ofdm)
        samples = modulate_frame(np.zeros(400), channel, 0, 1.0, ofdm, Place(number, 3)).samples
        symbols.append([part * gain for part in demodulate_frame(samples, 1.0, ofdm)])
    header, payload, tail = (sum(parts) for parts in zip(*symbols, strict=True))
    np.testing.assert_allclose(np.abs(payload[:, ofdm.pilot_subcarriers]), 3.0, atol=1e-4)
    np.testing.assert_allclose(payload[:, ofdm.data_subcarriers], 0.0, atol=1e-4)
    straight = modulate_frame(np.zeros(400), STRAIGHT, 0, 1.0, ofdm, ALONE).samples
    plain = demodulate_frame(straight, 1.0, ofdm)
    np.testing.assert_allclose(header, np.sqrt(3) * plain.header, atol=1e-4)
    np.testing.assert_allclose(tail, np.sqrt(3) * plain.tail, atol=1e-4)


def test_too_many_devices_for_the_pilots_are_refused():
    with pytest.raises(
        ValueError, match="25 devices in one frame exceed 24, half of the 48 active subcarriers"
    ):
        modulate_frame(np.zeros(3), STRAIGHT, 0, 0.1, OFDM, Place(3, 25))


def test_the_overhead_counts_preamble_header_tail_and_comb():
    assert frame_overhead(100, OFDM) == 4 * 48
    combed = OfdmConfig(fft_len=64, prefix_len=16, num_active=48, num_pilots=8)
    assert frame_overhead(100, combed) == 4 * 48 + 3 * 8  # 100 elements on 40 subcarriers


def test_the_level_puts_the_payloads_rms_at_the_back_off(rng):
    ofdm = OfdmConfig()
    amplitudes = draw(rng, 192 * 200) / np.sqrt(2)  # power 1 in the mean
    frame = modulate_frame(amplitudes, STRAIGHT, 0, element_level(15.0, ofdm), ofdm, ALONE).samples
    payload = frame[payload_offset(ofdm) : -ofdm.symbol_len]
    assert 10 * np.log10(np.mean(np.abs(payload) ** 2)) == pytest.approx(-15.0, abs=0.1)
    assert payload_peak(amplitudes, STRAIGHT, element_level(15.0, ofdm), ofdm) == pytest.approx(
        peak_amplitude(payload), rel=1e-5
    )


def test_a_comb_that_fills_full_scale_alone_is_refused():
    ofdm = OfdmConfig(num_pilots=96)
    with pytest.raises(
        ValueError, match=r"comb pilots alone peak at .* raise link.backoff_db or lower radio.pil"
    ):
        payload_peak(np.zeros(200, complex), STRAIGHT, 1.0, ofdm)


def test_the_preamble_is_one_body_twice_after_its_prefix():
    samples = preamble(OFDM)
    body = samples[OFDM.prefix_len : OFDM.prefix_len + OFDM.fft_len]
    np.testing.assert_array_equal(samples[OFDM.symbol_len :], body)
    np.testing.assert_array_equal(samples[: OFDM.prefix_len], body[-OFDM.prefix_len :])


def test_preambles_of_different_devices_hardly_correlate():
    first, second = preamble(OfdmConfig(), 1), preamble(OfdmConfig(), 2)
    # 192 independent quarter turns sum to 1/sqrt(192) = 0.07 of a full correlation
    assert abs(np.vdot(first, second)) < 0.25 * np.vdot(first, first).real


@pytest.mark.parametrize("peak", [1.2, -1.2, 1.2j, complex(np.nan, 0.0)])
def test_over_full_scale_is_refused_not_clipped(peak):
    with pytest.raises(FullScaleError, match=r"exceed full scale: peak .* > 1.00; raise link.backoff_db"):
        check_full_scale(np.array([0.1, peak], dtype=np.complex64))
    check_full_scale(np.array([1.0 + 1.0j], dtype=np.complex64))
