"""One chain of GNU Radio channel blocks for each path, and all of GNU Radio's quirks in one place.

`channels.channel_model` leads by 3 samples and ends at least 8 short, on a multiple of its filter's vector length,
so bursts are padded with zeros and outputs cut. A noise seed
of 0 is a fixed seed that all instances share, so its noise is off and noise is added once, at the receiver. It has
no parameter for carrier phase: gain and phase enter through the taps. Its rotation stays at frequency 0 here,
where it is exact whatever the sizes of the scheduler's chunks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.interface import Samples

LEAD = 3  # samples by which the block's output runs ahead of its input
TAIL = 8 + 64  # samples by which its output is shorter than its input, at most


def propagate(bursts: Sequence[Samples], responses: Sequence[NDArray[np.complexfloating]]) -> list[Samples]:
    """Each burst through its own impulse response, all chains side by side in one flowgraph.

    bursts: (num_samples,) each; responses: (num_taps,) each.
    returns: (num_samples + num_taps - 1,) each, complex64: the full convolution, aligned with the burst.
    """
    from gnuradio import blocks, channels, gr

    flowgraph: Any = gr.top_block()
    sinks = []
    for burst, response in zip(bursts, responses, strict=True):
        out_len = len(burst) + len(response) - 1
        padded = np.zeros(out_len + TAIL, dtype=np.complex64)
        padded[LEAD : LEAD + len(burst)] = burst
        source = blocks.vector_source_c(padded, False)
        model = channels.channel_model(0.0, 0.0, 1.0, np.asarray(response, dtype=np.complex64), 1, False)
        sink = blocks.vector_sink_c(1, len(padded))
        flowgraph.connect(source, model, sink)
        sinks.append(sink)
    flowgraph.run()
    outputs = []
    for sink, burst, response in zip(sinks, bursts, responses, strict=True):
        output = np.array(sink.data(), dtype=np.complex64)
        out_len = len(burst) + len(response) - 1
        if len(output) < out_len:
            raise RuntimeError(
                f"GNU Radio's channel_model gave {len(output)} samples for {len(burst)} with {len(response)} taps; "
                f"it should give at least {out_len}: this build's tail is longer than the {TAIL} known here"
            )
        outputs.append(output[:out_len])
    return outputs
