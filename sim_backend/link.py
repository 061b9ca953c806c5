"""GNU Radio's channel blocks, and all of their quirks in one place.

`channels.channel_model` leads by 3 samples and ends at least 8 short, on a multiple of its filter's vector length,
so bursts are padded with zeros and outputs cut. A noise seed
of 0 is a fixed seed that all instances share, so its noise is off and noise is added once, at the receiver. It has
no parameter for carrier phase or delay: both enter through the taps. Its interpolator is good to a quarter of the
band, so `epsilon` stays at 1, where it is exact. Its rotation stays at frequency 0, where it is exact too: elsewhere
the multiplier treats the ends of the scheduler's chunks, which differ from run to run, by other instructions than
their middles, and the bits differ with them. The filter is safe, as a sample's place in the buffer, which alone
decides the order of its sum, does not depend on the chunks. So clocks and rotations are numpy's, filters are
GNU Radio's.

Samples come and go through files in memory: lists of Python numbers take longer than the channel.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.interface import Samples

LEAD = 3  # samples by which the block's output runs ahead of its input
TAIL = 8 + 64  # samples by which its output is shorter than its input, at most
MAX_CHAINS = 64  # in one flowgraph: each has half a dozen threads


def propagate(bursts: Sequence[Samples], responses: Sequence[NDArray[np.complexfloating]]) -> list[Samples]:
    """Each burst through its own impulse response.

    bursts: (num_samples,) each; responses: (num_taps,) each.
    returns: (num_samples + num_taps - 1,) each, complex64: the full convolution, aligned with the burst.
    """
    return [outputs[0] for outputs in propagate_banks(bursts, [response[None] for response in responses])]


def propagate_banks(
    bursts: Sequence[Samples], banks: Sequence[NDArray[np.complexfloating]]
) -> list[NDArray[np.complex64]]:
    """Each burst through each filter of its own bank, chains side by side.

    bursts: (num_samples,) each; banks: (num_filters, num_taps) each.
    returns: (num_filters, num_samples + num_taps - 1) each, aligned with the burst.
    """
    outputs: list[NDArray[np.complex64]] = []
    first = 0
    while first < len(bursts):
        last, num_chains = first + 1, len(banks[first])
        while last < len(bursts) and num_chains + len(banks[last]) <= MAX_CHAINS:
            num_chains += len(banks[last])
            last += 1
        outputs += _run(bursts[first:last], banks[first:last])
        first = last
    return outputs


def _run(
    bursts: Sequence[Samples], banks: Sequence[NDArray[np.complexfloating]]
) -> list[NDArray[np.complex64]]:
    from gnuradio import blocks, channels, gr

    with ExitStack() as stack:
        flowgraph: Any = gr.top_block()
        sinks: list[list[tuple[int, Any]]] = []
        for burst, bank in zip(bursts, banks, strict=True):
            feed = stack.enter_context(_memory("feed"))
            padding = np.zeros(bank.shape[1] - 1 + TAIL - LEAD, dtype=np.complex64)
            for part in (np.zeros(LEAD, dtype=np.complex64), burst, padding):
                _write_all(feed, part)
            source = blocks.file_source(gr.sizeof_gr_complex, _name(feed), False, 0, 0)
            sinks.append([])
            for response in bank:
                heard = stack.enter_context(_memory("heard"))
                model = channels.channel_model(0.0, 0.0, 1.0, response.astype(np.complex64), 1, False)
                sink = blocks.file_sink(gr.sizeof_gr_complex, _name(heard), False)
                flowgraph.connect(source, model, sink)
                sinks[-1].append((heard, sink))
        flowgraph.run()
        return [
            np.stack([_collect(heard, sink, len(burst) + bank.shape[1] - 1) for heard, sink in row])
            for row, burst, bank in zip(sinks, bursts, banks, strict=True)
        ]


def _collect(heard: int, sink: Any, count: int) -> Samples:
    sink.close()  # what it holds back goes to the file
    output = np.frombuffer(os.pread(heard, 8 * count, 0), dtype=np.complex64)
    if len(output) < count:
        raise RuntimeError(
            f"GNU Radio's channel_model gave {len(output)} samples, it should give at least {count}: "
            f"this build's tail is longer than the {TAIL} known here"
        )
    return output


@contextmanager
def _memory(name: str) -> Iterator[int]:
    """A file without a name on any disk."""
    descriptor = os.memfd_create(name)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _name(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _write_all(descriptor: int, samples: Samples) -> None:
    rest = np.ascontiguousarray(samples, dtype=np.complex64).view(np.uint8).data
    while rest:
        rest = rest[os.write(descriptor, rest) :]
