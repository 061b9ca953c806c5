"""Air-meta-pFL: top-k, partial-DFT sketch, phase-only compensation, sparse recovery.

A device sends x = scale * exp(-j arg h) * A top_k(update). The air adds them to
y = scale * A sum_i |h_i| g_i + n, from which the server recovers sum_i |h_i| g_i and divides by scale, by the
number of transmitters and by E|h|: unbiased over fading, with an error from the spread of |h| that stays.
Wen, Xing, Simeone, IEEE TCCN 12 (2026); the sketch, the receiver and the SNR per resource element are our reading.
"""

import numpy as np
from numpy.typing import NDArray

from radio import oamp
from radio.channel_state import ChannelState
from radio.sketch import Sketch, draw_sketch
from radio.sparse import top_k
from radio.thresholding import backproject, iterative_hard_thresholding
from radio.uplink import Plan, Reception


def num_elements(dimension: int, measurements: float) -> int:
    """M, complex measurements for d parameters and a ratio M/d."""
    return max(1, round(measurements * dimension))


def encode(
    update: NDArray[np.floating], channel: ChannelState, plan: Plan
) -> tuple[NDArray[np.complex128], NDArray[np.floating]]:
    """update: (dimension,). returns: amplitudes (num_elements,), sent (dimension,)."""
    sent = top_k(update, plan.num_kept)
    compensation = channel.compensation(plan.num_elements)
    return plan.scale * compensation * _sketch(plan).forward(sent), sent


def decode(reception: Reception, plan: Plan) -> NDArray[np.float64]:
    """returns: (dimension,) estimate of the mean of `sent` over plan.devices."""
    sketch = _sketch(plan)
    match plan.estimator:
        case "oamp":
            noise_variance = reception.noise_variance / plan.scale**2
            summed = oamp.recover(reception.amplitudes / plan.scale, noise_variance, sketch)
        case "iht":
            most = min(plan.num_kept * len(plan.devices), sketch.num_rows)
            summed = iterative_hard_thresholding(reception.amplitudes / plan.scale, most, sketch)
        case "adjoint":
            summed = backproject(reception.amplitudes / plan.scale, sketch)
    return summed / (plan.mean_gain * len(plan.devices))


def _sketch(plan: Plan) -> Sketch:
    return draw_sketch(plan.dimension, plan.num_elements, plan.seed, plan.round)
