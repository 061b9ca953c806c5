"""Demodulating a payload against bare scipy.fft on the same symbols, one core."""

import numpy as np
import scipy.fft

from benchmarks.turns import in_turns, show
from radio.frame import demodulate_frame, element_level, frame_len, num_payload_symbols
from radio.ofdm import OfdmConfig

NUM_ELEMENTS = 45_288  # 0.4 of conv4's 113,221 parameters


def test_demodulation_against_bare_fft():
    ofdm = OfdmConfig()
    rng = np.random.default_rng(0)
    received = rng.normal(size=2 * frame_len(NUM_ELEMENTS, ofdm)).astype(np.float32).view(np.complex64)
    bodies = rng.normal(size=(num_payload_symbols(NUM_ELEMENTS, ofdm), 2 * ofdm.fft_len)).astype(np.float32)
    symbols = bodies.view(np.complex64)
    level = element_level(15.0, ofdm)
    seconds = in_turns(
        {
            "frame to amplitudes": lambda: demodulate_frame(received, NUM_ELEMENTS, level, ofdm),
            "bare scipy.fft": lambda: scipy.fft.fft(symbols, axis=1),
        },
        200,
        warm_up=20,
    )
    show("demodulation of a payload, 236 symbols of 256", seconds, "bare scipy.fft", "at most 2")
