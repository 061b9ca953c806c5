"""FSK-MV: a majority vote by energies, which needs no phases, no common carrier, no instant.

A device votes on each parameter with one of two elements: the first for a positive value, the second for a negative
one, at an amplitude of scale / sqrt(P) with P = `channel.mean_power`, its calibrated mean |h|^2, and a random phase
(`radio/energy_pairs.py`). It abstains, both elements empty, where |value| is not above `abstain` times the rms of its
update; what it did not vote on stays in its memory. The server compares the energies of a pair, and steps by
`plan.vote_step`. It estimates no mean: what a vote stood for is known to nobody but the voter.
Sahin, arXiv 2209.09954: two tones, comparison of energies, absentee votes. Calibration by the mean power in place of
its power control, a threshold relative to the rms, and the random order of elements are ours.

Under Rayleigh fading the amplitude on an element is complex normal, whether gains are independent or one a device, for
different devices vote on the two elements of a pair. Its energy is exponential with mean m = scale^2 sum_i w_i +
sigma^2 over those who voted on it, w_i = E|h_i|^2 / P_i, 1 if calibrated. So for n+ and n- voters, with m+ and m-,

    P(decides for -) = m- / (m+ + m-)   = (n- + g) / (n+ + n- + 2 g), g = sigma^2 / scale^2, calibrated,

since of two exponential variables each is the larger with a chance in proportion to its mean. No vote is certain
while one device disagrees: n- of 10 outvote the others with a chance of n- / 10. In the mean a vote counts
(n+ - n-) / (n+ + n- + 2 g), the mean of the signs; the rest of its 1 is noise, the same on every parameter. Where
nobody votes, noise tosses a coin.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.energy_pairs import energy_differences, lay_on_pairs
from radio.uplink import Plan, Reception


@dataclass(frozen=True)
class FskMv:
    """abstain: times the rms of a device's update, the magnitude up to which it does not vote."""

    COHERENT: ClassVar[bool] = False
    ESTIMATES_MEAN: ClassVar[bool] = False

    abstain: float = 0.0

    def num_elements(self, dimension: int, measurements: float) -> int:
        """Two a parameter, whatever the number of measurements: nothing is compressed."""
        return 2 * dimension

    def encode(
        self, update: NDArray[np.floating], channel: ChannelState, plan: Plan
    ) -> tuple[NDArray[np.complex64], NDArray[np.floating]]:
        """update: (dimension,). returns: amplitudes (num_elements,), 0 where it abstains; sent (dimension,), exactly
        `update` where it voted and 0 elsewhere."""
        rms = float(np.linalg.norm(update)) / math.sqrt(len(update))
        sent = np.where(np.abs(update) > self.abstain * rms, update, update.dtype.type(0))
        amplitude = plan.scale / math.sqrt(channel.mean_power)
        return lay_on_pairs(amplitude * np.sign(sent, dtype=np.float64), channel.device, plan), sent

    def decode(self, reception: Reception, plan: Plan) -> NDArray[np.float64]:
        """returns: (dimension,) plan.vote_step with the sign of the majority."""
        return plan.vote_step * np.sign(energy_differences(reception.amplitudes, plan))
