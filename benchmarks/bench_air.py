"""Paths of the simulated air: their GNU Radio part against the same blocks alone, the whole, and how the cost grows."""

import numpy as np
import pytest

from benchmarks.turns import in_turns, show
from radio.scenarios import SCENARIOS
from sim_backend.chain import Burst, carry, prepare
from sim_backend.link import TAIL, propagate_banks
from sim_backend.path import draw_path

NUM_DEVICES, NUM_SAMPLES = 10, 90_000  # a payload of 45,288 elements at 4 Msamples/s lasts 76,000
RATE_HZ, CENTER_HZ = 4e6, 915e6


def bursts_of(name, num_devices=NUM_DEVICES, num_samples=NUM_SAMPLES):
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.normal(size=2 * num_samples).astype(np.float32).view(np.complex64)
    paths = [draw_path(SCENARIOS[name], 0, device, RATE_HZ, CENTER_HZ) for device in range(num_devices)]
    return [Burst(path, samples, 40_000_000) for path in paths]


def bare_blocks(lengths, banks):
    """The same channel models in one flowgraph, fed with nothing and heard by nobody."""
    from gnuradio import blocks, channels, gr

    flowgraph = gr.top_block()
    for length, bank in zip(lengths, banks, strict=True):
        source, head = blocks.null_source(gr.sizeof_gr_complex), blocks.head(gr.sizeof_gr_complex, length)
        flowgraph.connect(source, head)
        for response in bank:
            model = channels.channel_model(0.0, 0.0, 1.0, response.astype(np.complex64), 1, False)
            flowgraph.connect(head, model, blocks.null_sink(gr.sizeof_gr_complex))
    flowgraph.run()


@pytest.mark.parametrize("name", ["bench", "harsh"])
def test_the_gnuradio_part_against_bare_blocks(name):
    stretches = [prepare(burst) for burst in bursts_of(name)]
    streams, banks = [s.samples for s in stretches], [s.filters for s in stretches]
    lengths = [len(stream) + bank.shape[1] - 1 + TAIL for stream, bank in zip(streams, banks, strict=True)]
    seconds = in_turns(
        {
            "GNU Radio part": lambda: propagate_banks(streams, banks),
            "bare blocks": lambda: bare_blocks(lengths, banks),
        },
        15,
    )
    title = f"{NUM_DEVICES} paths of {name}, {len(banks[0])} filters of {banks[0].shape[1]} each"
    show(title, seconds, "bare blocks", "at most 1.25")


def test_whole_paths():
    bursts = {name: bursts_of(name) for name in SCENARIOS}
    seconds = in_turns({name: lambda name=name: carry(bursts[name]) for name in SCENARIOS}, 7)
    show(f"{NUM_DEVICES} whole paths of {NUM_SAMPLES:,} samples", seconds, "identity")
    for name, times in seconds.items():
        print(f"  {name:<10} {NUM_DEVICES * NUM_SAMPLES / np.median(times) / 1e6:6.2f} Msamples/s")


def test_cost_is_linear_in_devices_and_samples():
    sizes = [(10, 45_000), (10, 90_000), (10, 180_000), (5, 90_000), (20, 90_000), (40, 90_000)]
    bursts = {size: bursts_of("free", *size) for size in sizes}
    names = {f"{devices} devices, {samples:,} samples": (devices, samples) for devices, samples in sizes}
    seconds = in_turns({name: lambda size=size: carry(bursts[size]) for name, size in names.items()}, 5)
    show("growth, scenario free", seconds, "10 devices, 90,000 samples")
    for name, times in seconds.items():
        devices, samples = names[name]
        print(f"  {name:<34} {1e9 * np.median(times) / (devices * samples):6.0f} ns a device and sample")


def test_against_sionna():
    channel = pytest.importorskip("sionna.phy.channel", reason="a rival only where it is installed")
    import torch

    model = channel.tr38901.TDL("A", 100e-9, CENTER_HZ, min_speed=1.0)
    num_samples = 20_000
    time_channel = channel.TimeChannel(model, RATE_HZ, num_samples, l_min=-6, l_max=20)
    sent = torch.randn(NUM_DEVICES, 1, 1, num_samples, dtype=torch.complex64)
    bursts = bursts_of("indoor", NUM_DEVICES, num_samples)
    seconds = in_turns(
        {"indoor, ours": lambda: carry(bursts), "Sionna TimeChannel, TDL-A": lambda: time_channel(sent)}, 5
    )
    show(f"{NUM_DEVICES} links of {num_samples:,} samples", seconds, "indoor, ours")
