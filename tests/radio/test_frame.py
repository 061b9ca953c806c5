import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radio.channel_state import ChannelState
from radio.frame import demodulate_frame, element_level, frame_len, modulate_frame, modulate_payload
from radio.interface import FullScaleError, check_full_scale
from radio.ofdm import OfdmConfig
from radio.preamble import preamble

OFDM = OfdmConfig(fft_len=64, prefix_len=16, num_active=48)
STRAIGHT = ChannelState(np.ones(48, complex))


def draw(rng, count):
    return rng.normal(size=count) + 1j * rng.normal(size=count)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 200), st.floats(0.01, 0.9))
def test_demodulate_is_the_inverse_of_modulate_for_any_payload(num_elements, level):
    amplitudes = draw(np.random.default_rng(0), num_elements)
    samples = modulate_frame(amplitudes, STRAIGHT, 0, level, OFDM).samples
    assert len(samples) == frame_len(num_elements, OFDM)
    np.testing.assert_allclose(demodulate_frame(samples, num_elements, level, OFDM), amplitudes, atol=1e-5)


def test_superposition_is_linear(rng):
    first, second = draw(rng, 100), draw(rng, 100)
    both = (
        modulate_frame(first, STRAIGHT, 0, 0.1, OFDM).samples
        + 0.5 * modulate_frame(second, STRAIGHT, 0, 0.1, OFDM).samples
    )
    np.testing.assert_allclose(demodulate_frame(both, 100, 0.1, OFDM), first + 0.5 * second, atol=1e-5)


def test_the_level_puts_the_payloads_rms_at_the_back_off(rng):
    ofdm = OfdmConfig()
    amplitudes = draw(rng, 192 * 200) / np.sqrt(2)  # power 1 in the mean
    payload = modulate_payload(amplitudes, element_level(15.0, ofdm), ofdm)
    assert 10 * np.log10(np.mean(np.abs(payload) ** 2)) == pytest.approx(-15.0, abs=0.1)


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
