"""Digital orthogonal access, the baseline without superposition: sparse updates as bits, each device in slots of its
own.

Accounted, not transmitted: the bits arrive error-free, over the control channel, and are charged what a code at a
fixed gap from capacity would take, bits / log2(1 + SNR_i / gap) uses of device i's channel. A device sends its k
largest entries: positions as Rice codes, values on a uniform grid of 2^(b-1) - 1 steps on either side of 0 up to the
largest, rounded to the nearest: no value errs by more than half a step. What rounding takes stays in the memory, as
does what is not sent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.rice import Bits, best_parameter, decode_positions, encode_positions, from_bits, to_bits
from radio.sparse import top_k
from radio.uplink import Plan, Reception

COUNT_BITS = 32  # of the number of entries
STEP_BITS = 32  # of the step between levels, a float32


@dataclass(frozen=True)
class Digital:
    """value_bits: of a value, its sign among them; at least 2."""

    value_bits: int = 8
    ON_AIR = False

    def num_elements(self, dimension: int, measurements: float) -> int:
        """None: what bits cost depends on the channels of a round."""
        return 0

    def encode(
        self, update: NDArray[np.floating], channel: ChannelState, plan: Plan
    ) -> tuple[NDArray[np.complex128], NDArray[np.floating]]:
        """update: (dimension,). returns: no amplitudes; (dimension,) what the bits stand for."""
        step, levels = self._quantise(update, plan)
        return np.zeros(0, dtype=np.complex128), (levels * step).astype(update.dtype)

    def pack(self, update: NDArray[np.floating], plan: Plan) -> Bits:
        """update: (dimension,). returns: (num_bits,) zeros and ones, what travels."""
        step, levels = self._quantise(update, plan)
        entries = np.flatnonzero(levels)
        count = len(entries)
        head = np.concatenate(
            [to_bits(np.array([count]), COUNT_BITS), to_bits(step.view("<u4")[None], STEP_BITS)]
        )
        positions = np.zeros(0, dtype=np.uint8)
        if count < plan.dimension:
            positions = encode_positions(entries, best_parameter(count, plan.dimension))
        return np.concatenate([head, positions, to_bits(levels[entries] + self._highest, self.value_bits)])

    def unpack(self, bits: Bits, plan: Plan) -> NDArray[np.float32]:
        """Inverse of `pack`, as `encode` says it: (dimension,). Raises ValueError for a string cut short."""
        count = int(from_bits(bits[:COUNT_BITS], COUNT_BITS)[0])
        rest = bits[COUNT_BITS + STEP_BITS :]
        step = from_bits(bits[COUNT_BITS : COUNT_BITS + STEP_BITS], STEP_BITS).astype("<u4").view("<f4")[0]
        entries, used = np.arange(plan.dimension), 0
        if count < plan.dimension:
            entries, used = decode_positions(rest, count, best_parameter(count, plan.dimension))
        levels = np.zeros(plan.dimension, dtype=np.int64)
        levels[entries] = from_bits(rest[used:], self.value_bits) - self._highest
        return np.asarray((levels * step).astype(np.float32))

    def decode(self, reception: Reception, plan: Plan) -> NDArray[np.float64]:
        """returns: (dimension,) the mean of what plan.devices sent."""
        total = np.zeros(plan.dimension)
        for device in plan.devices:
            total += self.unpack(reception.bits[device], plan)
        return total / len(plan.devices)

    @property
    def _highest(self) -> int:
        return (1 << (self.value_bits - 1)) - 1

    def _quantise(self, update: NDArray[np.floating], plan: Plan) -> tuple[np.float32, NDArray[np.int64]]:
        """(step, levels (dimension,))."""
        kept = top_k(update, min(plan.num_kept, plan.dimension))
        step = np.float32(np.max(np.abs(kept), initial=0.0) / self._highest)
        if not step > 0.0:
            return np.float32(0.0), np.zeros(plan.dimension, dtype=np.int64)
        levels = np.clip(np.rint(kept / step), -self._highest, self._highest)
        return step, levels.astype(np.int64)
