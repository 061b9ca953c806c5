"""Where a round's error comes from, in a simulation, which knows the truth: e = estimate - mean(update), in parts.

Along the chain e = sum_k e_k: what sparsification kept back (and devices that sat out), what the estimator misses when
all gains are equal and nothing disturbs, what unequal gains add (fading mismatch), and what the air adds. A part is
<e_k, e> / |mean(update)|^2, its energy and half of all that it shares with others (the Shapley value of an energy), so
that parts add up to `nmse_full`; one that cancels others may be below 0. The air's part is shared out among its
causes as they share the error of the received amplitudes, since decoding does not tell them apart.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[Any]
CHAIN = ("sparsification", "estimator", "fading")
AIR = ("noise", "interference", "synchronisation", "ageing", "hardware")
PARTS = (*CHAIN, *AIR)


class Estimates(NamedTuple):
    """(dimension,) each. update: mean of memory + change over active devices; sent: mean of what was sent over
    transmitters; even, perfect, received: decoded with equal gains, with the true gains, and from the air."""

    update: Vector
    sent: Vector
    even: Vector
    perfect: Vector
    received: Vector


def error_budget(estimates: Estimates, disturbances: Mapping[str, float]) -> dict[str, float] | None:
    """Every part of PARTS, linear; None where the mean update is 0.

    disturbances: parts of the error of the received amplitudes, any scale; those of AIR that are missing count as 0.
    """
    update, sent, even, perfect, received = estimates
    energy = float(np.dot(update, update))
    if not energy > 0.0:
        return None
    error = received - update
    steps = {"sparsification": sent - update, "estimator": even - sent, "fading": perfect - even}
    chain = {name: float(np.dot(step, error)) for name, step in steps.items()}
    air, total = float(np.dot(received - perfect, error)), sum(disturbances.values())
    shares = {name: disturbances.get(name, 0.0) * (air / total if total > 0.0 else 0.0) for name in AIR}
    return {name: part / energy for name, part in (chain | shares).items()}
