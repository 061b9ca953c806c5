"""The start of a burst: one known OFDM symbol body, sent twice after a prefix.

Each identity has a body of its own. In a sounding slot every device sends its own, because equal preambles
under random channel phases can cancel each other; in a payload frame all send the common one, aligned in phase.
"""

import numpy as np
from numpy.typing import NDArray

from radio.interface import Samples
from radio.ofdm import OfdmConfig, modulate
from radio.training import training_symbols

COMMON = 0
REPETITIONS = 2


def device_identity(device: int) -> int:
    """Preamble identity of a device; 0 is the common one."""
    return device + 1


def preamble_len(ofdm: OfdmConfig) -> int:
    """Samples of a preamble."""
    return ofdm.prefix_len + REPETITIONS * ofdm.fft_len


def preamble(
    ofdm: OfdmConfig, identity: int = COMMON, weights: NDArray[np.complexfloating] | None = None
) -> Samples:
    """(preamble_len,) samples of unit amplitude per subcarrier, times `weights` (num_active,) if given."""
    amplitudes = training_symbols(identity, 1, ofdm.num_active)
    symbol = modulate(amplitudes if weights is None else amplitudes * weights, ofdm)
    return np.concatenate([symbol] + [symbol[ofdm.prefix_len :]] * (REPETITIONS - 1))
