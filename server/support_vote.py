"""A support chosen from the aggregates so far: which entries have most waiting by now, as far as one can foretell."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.support import largest, num_kept, support_bits

BLOCK_LEN = (
    64  # neighbours in the flat vector that are taken to change alike: weights of one filter or neuron
)
FORGETTING = 0.8  # of what an aggregate told, by each later one of the same entry
NEIGHBOURS_WEIGHT = 4.0  # of the block's mean, in aggregates of the entry itself
EVERYBODYS_WEIGHT = 4.0  # of the mean of all, in aggregates of the block


class VotedSupport:
    """With long memory an entry that does not travel adds up on the devices. Changes of a round have little to do with
    those of the last one, so that the sum is a random walk: after w rounds its expected square is w times the entry's
    rate v, the variance of a round's change. Serving k of d such queues a round, what waits in all is least when each
    is served in proportion to sqrt(v), and choosing the k with the highest v w^2 does that: the index policy of
    the age of information (Kadota, Sinha, Uysal-Biyikoglu, Singh and Modiano, IEEE/ACM Trans. Networking 26, 2018),
    with rates as weights.

    Rates come from the aggregates: the square of an entry's estimate over the rounds that it had waited, a sample of
    one. An entry that looked small by chance would wait for ever, so each is held together with its neighbours' mean,
    and that with everybody's. No device sends anything for it: what was added in the air is the vote.
    """

    def __init__(self, keep: float, seed: int) -> None:
        self._keep, self._seed = keep, seed
        self._squares = np.zeros(0)  # sum of samples of the rate, forgetting
        self._counts = np.zeros(0)  # and of their number
        self._waited = np.zeros(0)  # rounds since the entry travelled

    def choose(self, round_index: int, dimension: int) -> NDArray[np.int32]:
        """The highest indices; the round's seed decides among equal ones."""
        self._know(dimension)
        scores = self._rates() * (self._waited + 1.0) ** 2
        return largest(scores, num_kept(dimension, self._keep), self._seed, round_index)

    def learn(self, support: NDArray[np.int32], estimate: NDArray[np.floating]) -> None:
        """Samples from what travelled, and one more round of waiting for all else."""
        self._know(len(estimate))
        samples = estimate[support] ** 2 / (self._waited[support] + 1.0)
        self._squares[support] = FORGETTING * self._squares[support] + samples
        self._counts[support] = FORGETTING * self._counts[support] + 1.0
        self._waited += 1.0
        self._waited[support] = 0.0

    def announced_bits(self, dimension: int) -> int:
        """The server tells its choice."""
        return support_bits(dimension, num_kept(dimension, self._keep))

    def save(self) -> dict[str, NDArray[Any]]:
        """Samples and waiting times."""
        return {"squares": self._squares, "counts": self._counts, "waited": self._waited}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Inverse of `save`."""
        self._squares, self._counts = saved["squares"].copy(), saved["counts"].copy()
        self._waited = saved["waited"].copy()

    def _know(self, dimension: int) -> None:
        if len(self._waited) != dimension:
            self._squares, self._counts, self._waited = (np.zeros(dimension) for _ in range(3))

    def _rates(self) -> NDArray[np.float64]:
        """(dimension,) of each entry, as far as it, its neighbours and all tell."""
        total = self._counts.sum()
        if total == 0.0:
            return np.ones(len(self._counts))
        starts = np.arange(0, len(self._counts), BLOCK_LEN)
        squares, counts = np.add.reduceat(self._squares, starts), np.add.reduceat(self._counts, starts)
        everybodys = self._squares.sum() / total
        blocks = (EVERYBODYS_WEIGHT * everybodys + squares) / (EVERYBODYS_WEIGHT + counts)
        neighbours = np.repeat(blocks, BLOCK_LEN)[: len(self._counts)]
        rates = (NEIGHBOURS_WEIGHT * neighbours + self._squares) / (NEIGHBOURS_WEIGHT + self._counts)
        return np.asarray(rates, dtype=np.float64)
