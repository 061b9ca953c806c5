"""Digital orthogonal access, the baseline without superposition: sparse updates as bits, each device in slots of its
own.

Accounted, not transmitted: the bits arrive error-free, over the control channel, and are charged what a code at a
fixed gap from capacity would take, bits / log2(1 + SNR_i / gap) uses of device i's channel. A device sends its k
largest entries: positions as Rice codes, values on a uniform grid of 2^(b-1) - 1 steps on either side of 0 up to the
largest, rounded to the nearest: no value errs by more than half a step. What rounding takes stays in the memory, as
does what is not sent.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.rice import Bits, best_parameter, decode_positions, encode_positions, from_bits, to_bits
from radio.sparse import top_k
from radio.uplink import Plan, Reception

COUNT_BITS = 32  # of the number of entries
STEP_BITS = 32  # of the step between levels, a float32


class Quantised(NamedTuple):
    """step: between levels; entries, levels: (count,) each, where the update is not 0, or all of it."""

    step: np.float32
    entries: NDArray[np.integer]
    levels: NDArray[np.int64]

    def values(self) -> NDArray[np.float32]:
        """(count,)"""
        return np.asarray((self.step * self.levels).astype(np.float32))

    def whole(self, dimension: int) -> NDArray[np.float32]:
        """(dimension,)"""
        values = np.zeros(dimension, dtype=np.float32)
        values[self.entries] = self.values()
        return values


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
        sent = self._quantise(update, plan).whole(plan.dimension)
        return np.zeros(0, dtype=np.complex128), sent.astype(update.dtype, copy=False)

    def pack(self, update: NDArray[np.floating], plan: Plan) -> Bits:
        """update: (dimension,). returns: (num_bits,) zeros and ones, what travels."""
        step, entries, levels = self._quantise(update, plan)
        positions = encode_positions(entries, best_parameter(len(entries), plan.dimension))
        if len(positions) + len(entries) * self.value_bits >= plan.dimension * self.value_bits:
            every = np.zeros(plan.dimension, dtype=np.int64)  # to name the zeros costs more than to send them
            every[entries] = levels
            entries, levels, positions = np.arange(plan.dimension), every, positions[:0]
        count = to_bits(np.array([len(entries)]), COUNT_BITS)
        size = to_bits(np.array([step], "<f4").view("<u4"), STEP_BITS)
        return np.concatenate([count, size, positions, to_bits(levels + self._highest, self.value_bits)])

    def unpack(self, bits: Bits, plan: Plan) -> NDArray[np.float32]:
        """Inverse of `pack`, as `encode` says it: (dimension,). Raises ValueError for bits that `pack` cannot give."""
        return self._read(bits, plan).whole(plan.dimension)

    def decode(self, reception: Reception, plan: Plan) -> NDArray[np.float64]:
        """returns: (dimension,) the mean of what plan.devices sent. Raises ValueError for bits of none."""
        total = np.zeros(plan.dimension)
        for device in plan.devices:
            try:
                sent = self._read(reception.bits[device], plan)
            except ValueError as error:
                raise ValueError(f"bits of device {device}: {error}") from error
            total[sent.entries] += sent.values()
        return total / len(plan.devices)

    @property
    def _highest(self) -> int:
        return (1 << (self.value_bits - 1)) - 1

    def _read(self, bits: Bits, plan: Plan) -> Quantised:
        head, rest = bits[: COUNT_BITS + STEP_BITS], bits[COUNT_BITS + STEP_BITS :]
        if len(head) < COUNT_BITS + STEP_BITS:
            raise ValueError(f"{len(bits)} bits are fewer than the {COUNT_BITS + STEP_BITS} of a head")
        count = int(from_bits(head[:COUNT_BITS], COUNT_BITS)[0])
        step = from_bits(head[COUNT_BITS:], STEP_BITS).astype("<u4").view("<f4")[0]
        if not 0.0 <= float(step) * self._highest <= np.finfo(np.float32).max:
            raise ValueError(f"a step of {step:g} is none")
        if count < plan.dimension:
            entries, used = decode_positions(rest, count, best_parameter(count, plan.dimension))
        else:
            entries, used = np.arange(plan.dimension), 0
        if count > plan.dimension or np.any(entries >= plan.dimension):
            raise ValueError(f"{count} entries do not lie within the {plan.dimension} of an update")
        if len(rest) - used != count * self.value_bits:
            raise ValueError(f"{len(rest) - used} bits of values where {count} of {self.value_bits} are due")
        return Quantised(step, entries, from_bits(rest[used:], self.value_bits) - self._highest)

    def _quantise(self, update: NDArray[np.floating], plan: Plan) -> Quantised:
        """No level of it is 0."""
        kept = top_k(update, min(plan.num_kept, plan.dimension))
        entries = np.flatnonzero(kept)
        values = kept[entries].astype(np.float64)
        step = np.float32(np.max(np.abs(values), initial=0.0) / self._highest)
        if not step > 0.0:
            return Quantised(step, entries[:0], np.zeros(0, dtype=np.int64))
        levels = np.clip(np.rint(values / step), -self._highest, self._highest).astype(np.int64)
        return Quantised(step, entries[levels != 0], levels[levels != 0])
