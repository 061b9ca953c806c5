"""A received frame to amplitudes, against bare scipy.fft of the same symbols and against GNU Radio, on one core."""

import os

import numpy as np
import pytest
import scipy.fft

from benchmarks.turns import in_turns, show
from calibration.phase import common_turns, estimate_phases, remove_turns
from radio.channel_state import ChannelState
from radio.frame import demodulate_frame, element_level, frame_len, modulate_frame, payload_elements
from radio.ofdm import OfdmConfig
from radio.pilots import Place
from radio.preamble import preamble_len

NUM_ELEMENTS = 45_288  # 0.4 of conv4's 113,221 parameters
NUM_DEVICES, NOISE_VARIANCE = 10, 0.01
REQUIRED_RATE_HZ = 61.44e6
GNURADIO_FRAMES = 40  # in one flowgraph, so that starting and stopping it costs next to nothing
PLAIN = OfdmConfig(interleave=False)
VARIANTS = {
    "frame to amplitudes": OfdmConfig(),
    "not interleaved": PLAIN,
    "8 pilots, precoding": OfdmConfig(num_pilots=8, precoding=True),
}


@pytest.fixture
def one_core():
    """GNU Radio runs a thread a block; rivals get the same core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def received(ofdm):
    """A frame of ten devices in noise."""
    rng = np.random.default_rng(0)
    level = element_level(15.0, ofdm)
    total = rng.normal(scale=0.07 * level, size=2 * frame_len(NUM_ELEMENTS, ofdm)).view(complex)
    for number in range(NUM_DEVICES):
        payload = rng.normal(scale=0.7, size=2 * NUM_ELEMENTS).view(complex)
        straight, place = ChannelState(np.ones(1, complex)), Place(number, NUM_DEVICES)
        total += modulate_frame(payload, straight, 0, level, ofdm, place).samples
    return total.astype(np.complex64), level


def read(samples, level, ofdm):
    """All that the receiver does between samples and amplitudes, the preamble apart."""
    symbols = demodulate_frame(samples, level, ofdm)
    phases = estimate_phases(
        symbols.header, symbols.tail, range(NUM_DEVICES), NUM_DEVICES, NOISE_VARIANCE, ofdm
    )
    turns = common_turns(phases, symbols.payload, NOISE_VARIANCE, ofdm)
    return payload_elements(remove_turns(symbols.payload, turns), NUM_ELEMENTS, ofdm)


def read_all(samples, level, ofdm):
    """As many frames as GNU Radio's flowgraph has, none kept, as none is kept there."""
    for _ in range(GNURADIO_FRAMES):
        read(samples, level, ofdm)


def gnuradio_chain(samples, level, ofdm, repeats=1, sink=None):
    """Drop prefixes, transform, select subcarriers, scale: blocks of GNU Radio over `repeats` times the samples."""
    from gnuradio import blocks, fft, gr

    flowgraph = gr.top_block()
    size = gr.sizeof_gr_complex
    source = blocks.vector_source_c(samples, repeat=True)
    chain = [
        blocks.head(size, repeats * len(samples)),
        blocks.keep_m_in_n(size, ofdm.fft_len, ofdm.symbol_len, ofdm.prefix_len),
        blocks.stream_to_vector(size, ofdm.fft_len),
        fft.fft_vcc(ofdm.fft_len, True, [], True, 1),  # DC in the middle
        blocks.vector_to_stream(size, ofdm.fft_len),
        blocks.keep_m_in_n(size, ofdm.num_active + 1, ofdm.fft_len, (ofdm.fft_len - ofdm.num_active) // 2),
        blocks.multiply_const_cc(1.0 / (level * np.sqrt(ofdm.fft_len))),
        sink if sink is not None else blocks.null_sink(size),
    ]
    flowgraph.connect(source, *chain)
    return flowgraph.run


def test_the_rival_computes_the_same():
    blocks = pytest.importorskip("gnuradio.blocks")
    samples, level = received(PLAIN)
    payload = samples[preamble_len(PLAIN) :]
    sink = blocks.vector_sink_c()
    gnuradio_chain(payload, level, PLAIN, sink=sink)()
    rows = np.array(sink.data(), np.complex64).reshape(-1, PLAIN.num_active + 1)
    theirs = np.delete(rows, PLAIN.num_active // 2, axis=1)
    symbols = demodulate_frame(samples, level, PLAIN)
    ours = np.concatenate([symbols.header[None], symbols.payload, symbols.tail[None]])
    np.testing.assert_allclose(theirs, ours, atol=1e-4)


def test_demodulation_against_bare_fft_and_gnuradio(one_core):
    pytest.importorskip("gnuradio.blocks")
    frames = {name: (*received(ofdm), ofdm) for name, ofdm in VARIANTS.items()}
    samples, level, ofdm = frames["frame to amplitudes"]
    payload = samples[preamble_len(ofdm) :]
    bodies = np.ascontiguousarray(payload.reshape(-1, ofdm.symbol_len)[:, ofdm.prefix_len :])
    rivals = {name: lambda frame=frame: read(*frame) for name, frame in frames.items()}
    seconds = in_turns(rivals | {"bare scipy.fft": lambda: scipy.fft.fft(bodies, axis=1)}, 200, warm_up=20)
    show(
        f"reading a frame, {len(bodies)} symbols of {ofdm.fft_len}",
        seconds,
        "bare scipy.fft",
        "at most 2, or 61.44 Msamples/s",
    )
    for name, times in seconds.items():
        rate_hz = len(samples) / np.median(times)
        print(f"  {name:<34} {rate_hz / 1e6:9.1f} Msamples/s   (target: {REQUIRED_RATE_HZ / 1e6})")
    seconds = in_turns(
        {
            f"{GNURADIO_FRAMES} frames to amplitudes": lambda: read_all(samples, level, ofdm),
            f"GNU Radio, {GNURADIO_FRAMES} frames": lambda: gnuradio_chain(
                payload, level, ofdm, GNURADIO_FRAMES
            )(),
        },
        15,
    )
    show("the same steps in GNU Radio", seconds, f"{GNURADIO_FRAMES} frames to amplitudes", "at least 2")
    medians = [float(np.median(times)) for times in seconds.values()]
    assert medians[1] > 2.0 * medians[0]
