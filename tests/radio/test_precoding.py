import numpy as np
import pytest

from radio.channel_state import ChannelState
from radio.frame import demodulate_frame, modulate_frame, payload_elements, payload_offset
from radio.ofdm import OfdmConfig
from radio.pilots import Place
from radio.precoding import precode, undo_precoding

PLAIN, CODED = OfdmConfig(), OfdmConfig(precoding=True)
STRAIGHT = ChannelState(np.ones(1, complex))
NUM_ELEMENTS = 100 * PLAIN.num_active


def crest(amplitudes, ofdm):
    """Peak over rms of a payload's samples, prefixes left out."""
    frame = modulate_frame(amplitudes, STRAIGHT, 0, 0.1, ofdm, Place(0, 1)).samples
    symbols = frame[payload_offset(ofdm) : -ofdm.symbol_len].reshape(-1, ofdm.symbol_len)
    bodies = np.abs(symbols[:, ofdm.prefix_len :])
    return bodies.max() / np.sqrt(np.mean(bodies**2))


def test_equal_amplitudes_peak_like_gaussian_ones_and_not_at_the_root_of_their_number(rng):
    equal = np.ones(NUM_ELEMENTS, complex)
    gaussian = rng.normal(size=2 * NUM_ELEMENTS).view(complex)
    assert crest(equal, PLAIN) == pytest.approx(np.sqrt(PLAIN.num_active), rel=1e-4)
    # the largest of 25,600 Rayleigh amplitudes lies near sqrt(ln 25600) = 3.19, give or take a tenth
    assert crest(gaussian, PLAIN) == pytest.approx(np.sqrt(np.log(25_600)), rel=0.15)
    assert crest(equal, CODED) == pytest.approx(np.sqrt(np.log(25_600)), rel=0.15)


def test_the_sum_over_devices_is_not_distorted(rng):
    payloads = rng.normal(size=(3, 2 * NUM_ELEMENTS)).view(complex)
    received = {}
    for ofdm in (PLAIN, CODED):
        frames = [
            modulate_frame(payload, STRAIGHT, 0, 0.1, ofdm, Place(number, 3)).samples
            for number, payload in enumerate(payloads)
        ]
        received[ofdm] = payload_elements(
            demodulate_frame(sum(frames), 0.1, ofdm).payload, NUM_ELEMENTS, ofdm
        )
    np.testing.assert_allclose(received[CODED], payloads.sum(axis=0), atol=2e-5)
    np.testing.assert_allclose(received[CODED], received[PLAIN], atol=2e-5)


def test_undoing_is_exact(rng):
    elements = rng.normal(size=2000).astype(np.float32).view(np.complex64)
    np.testing.assert_array_equal(undo_precoding(precode(elements)), elements)
    assert np.any(precode(elements) != elements)
