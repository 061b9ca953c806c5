"""A support chosen from the aggregates so far: the blocks of entries that have most waiting, as far as one can
foretell."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.seeds import Use, stream
from radio.support import num_kept, support_bits

FORGETTING = 0.8  # of what an aggregate told of a block, by each later one
EVERYBODYS_WEIGHT = 0.25  # of the mean rate of all, in aggregates of a whole block


class VotedSupport:
    """With long memory an entry that does not travel adds up on the devices. Changes of a round have little to do with
    those of the last one, so that the sum is a random walk: after w rounds its expected square is w times the entry's
    rate v, the variance of a round's change. Serving k of d such queues a round, what waits in all is least when each
    is served in proportion to sqrt(v), and choosing the k with the highest v w^2 does that: the index policy of the age
    of information (Kadota, Sinha, Uysal-Biyikoglu, Singh and Modiano, IEEE/ACM Trans. Networking 26, 2018), with rates
    as weights.

    Rates come from the aggregates: the squares of the estimates over the rounds that their entries had waited. One
    entry tells little and costs as much to announce as it carries: blocks of neighbours in the flat vector, weights of
    one filter or neuron, are judged and chosen together. Their rates are held together with the mean of all, so that
    none that was quiet for once is forgotten. No device sends anything for it: what was added in the air is the vote.
    """

    def __init__(self, keep: float, block_len: int, seed: int) -> None:
        self._keep, self._block_len, self._seed = keep, block_len, seed
        self._squares = np.zeros(0)  # (num_blocks,) sum of samples of the rate, forgetting
        self._counts = np.zeros(0)  # (num_blocks,) and of their number
        self._waited = np.zeros(0)  # (dimension,) rounds since the entry travelled

    def choose(self, round_index: int, dimension: int) -> NDArray[np.int32]:
        """Blocks with the highest indices, of the last one only what there is room for; the round's seed decides among
        equal ones."""
        self._know(dimension)
        ages = self._per_block((self._waited + 1.0) ** 2) / self._per_block(np.ones(dimension))
        order = stream(self._seed, Use.SUPPORT, round_index).permutation(len(ages))
        ranked = order[np.argsort(-(self._rates() * ages)[order], kind="stable")]
        entries = (ranked[:, None] * self._block_len + np.arange(self._block_len)).reshape(-1)
        return np.sort(entries[entries < dimension][: num_kept(dimension, self._keep)]).astype(np.int32)

    def learn(self, support: NDArray[np.int32], estimate: NDArray[np.floating]) -> None:
        """Samples from what travelled, and one more round of waiting for all else."""
        self._know(len(estimate))
        samples, counts = np.zeros((2, len(estimate)))
        samples[support] = estimate[support] ** 2 / (self._waited[support] + 1.0)
        counts[support] = 1.0
        told = self._per_block(counts)
        memory = np.where(told > 0.0, FORGETTING, 1.0)
        self._squares = memory * self._squares + self._per_block(samples)
        self._counts = memory * self._counts + told
        self._waited += 1.0
        self._waited[support] = 0.0

    def announced_bits(self, dimension: int) -> int:
        """The server tells the blocks, and which of them is cut short. Where the last block of all is short, its choice
        makes room for one more: then the number of blocks is told as well."""
        kept = num_kept(dimension, self._keep)
        num_blocks, chosen = (math.ceil(count / self._block_len) for count in (dimension, kept))
        if dimension % self._block_len and chosen < num_blocks:
            return support_bits(num_blocks, chosen + 1) + math.ceil(math.log2(chosen + 1)) + 1
        return support_bits(num_blocks, chosen) + math.ceil(math.log2(chosen))

    def save(self) -> dict[str, NDArray[Any]]:
        """Samples and waiting times."""
        return {"squares": self._squares, "counts": self._counts, "waited": self._waited}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Inverse of `save`."""
        self._squares, self._counts = saved["squares"].copy(), saved["counts"].copy()
        self._waited = saved["waited"].copy()

    def _know(self, dimension: int) -> None:
        if len(self._waited) != dimension:
            num_blocks = math.ceil(dimension / self._block_len)
            self._squares, self._counts = np.zeros(num_blocks), np.zeros(num_blocks)
            self._waited = np.zeros(dimension)

    def _per_block(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over blocks."""
        return np.asarray(np.add.reduceat(values, np.arange(0, len(values), self._block_len)))

    def _rates(self) -> NDArray[np.float64]:
        """(num_blocks,) of each block, as far as it and all tell."""
        total = self._counts.sum()
        if total == 0.0:
            return np.ones(len(self._counts))
        weight = EVERYBODYS_WEIGHT * self._block_len
        everybodys = self._squares.sum() / total
        return np.asarray((weight * everybodys + self._squares) / (weight + self._counts))
