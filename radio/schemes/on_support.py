"""A scheme on a shared support: only the entries that `plan.support` names travel, as a shorter update of their own.

The scheme beneath never learns of the others; they stay on the devices as their memory says.
"""

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.rice import Bits
from radio.support import num_kept
from radio.uplink import Plan, Reception, Scheme


@dataclass(frozen=True)
class OnSupport:
    """scheme: for updates of k entries; keep: k/d. What the scheme says of itself holds for both."""

    scheme: Scheme
    keep: float

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # copying asks for such before there is a scheme
            raise AttributeError(name)
        return getattr(self.scheme, name)

    def num_elements(self, dimension: int, measurements: float) -> int:
        """Of the scheme beneath, for k entries."""
        return self.scheme.num_elements(num_kept(dimension, self.keep), measurements)

    def encode(
        self, update: NDArray[np.floating], channel: ChannelState, plan: Plan
    ) -> tuple[NDArray[np.complexfloating], NDArray[np.floating]]:
        """update: (dimension,). returns: amplitudes (num_elements,), sent (dimension,), 0 off the support."""
        support = _support(plan)
        amplitudes, sent = self.scheme.encode(update[support], channel, _shortened(plan))
        whole = np.zeros_like(update)
        whole[support] = sent
        return amplitudes, whole

    def pack(self, update: NDArray[np.floating], plan: Plan) -> Bits:
        """Of the scheme beneath, if that is not on the air: positions need no bits."""
        packed: Bits = cast(Any, self.scheme).pack(update[_support(plan)], _shortened(plan))
        return packed

    def decode(self, reception: Reception, plan: Plan) -> NDArray[np.float64]:
        """returns: (dimension,) 0 off the support."""
        whole = np.zeros(plan.dimension)
        whole[_support(plan)] = self.scheme.decode(reception, _shortened(plan))
        return whole


def _support(plan: Plan) -> NDArray[np.int32]:
    if plan.support is None:
        raise ValueError(
            f"round {plan.round}: the plan names no support; give Plan.support, (num_kept,) indices"
        )
    return plan.support


def _shortened(plan: Plan) -> Plan:
    return replace(plan, dimension=len(_support(plan)), support=None)
