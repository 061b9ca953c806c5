"""Error feedback: what a round withheld is added to the next update.

Stich, Cordonnier, Jaggi, NeurIPS 2018. All functions are pure; the state is a vector.
"""

import numpy as np
from numpy.typing import NDArray

from devices.messages import MemoryKind


def combine(memory: NDArray[np.float32], delta: NDArray[np.float32]) -> NDArray[np.float32]:
    """The update to send: memory + Delta. Both (dimension,)."""
    return memory + delta


def remember(
    kind: MemoryKind,
    update: NDArray[np.float32],
    delta: NDArray[np.float32],
    sent: NDArray[np.floating] | None,
) -> NDArray[np.float32]:
    """The next memory after a round.

    sent: what the server received of this device, or None if the round failed or left it out: then nothing was
    delivered and all of the update is kept. "long" keeps everything ever withheld, "short" only what was withheld
    of this round's own change, "none" nothing.
    """
    match kind:
        case "long":
            return update.copy() if sent is None else (update - sent).astype(np.float32)
        case "short":
            return (
                delta.copy()
                if sent is None
                else np.where(sent == 0.0, delta, np.float32(0.0)).astype(np.float32)
            )
        case "none":
            return np.zeros_like(update)
