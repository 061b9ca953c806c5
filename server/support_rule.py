"""Which entries of the update travel in a round, where all devices share them."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from radio.support import largest, num_kept, random_support, support_bits
from radio.uplink import Support


class SupportRule(Protocol):
    """Chooses before a round, learns from its estimate; state, if any, goes through the checkpoint."""

    def choose(self, round_index: int, dimension: int) -> NDArray[np.int32]:
        """(num_kept,) rising."""
        ...

    def learn(self, support: NDArray[np.int32], estimate: NDArray[np.floating]) -> None:
        """estimate: (dimension,) of the mean of what was sent, of a round that counted."""
        ...

    def announced_bits(self, dimension: int) -> int:
        """What it takes to tell everybody of a round's support."""
        ...

    def save(self) -> dict[str, NDArray[Any]]:
        """What later choices depend on."""
        ...

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Inverse of `save`."""
        ...


def support_rule(support: Support, keep: float, seed: int) -> SupportRule | None:
    """None where every device chooses its own."""
    match support:
        case "own":
            return None
        case "shared-random":
            return RandomSupport(keep, seed)
        case "shared-vote":
            return VotedSupport(keep, seed)


class RandomSupport:
    """Drawn from the round's seed, which everybody has."""

    def __init__(self, keep: float, seed: int) -> None:
        self._keep, self._seed = keep, seed

    def choose(self, round_index: int, dimension: int) -> NDArray[np.int32]:
        """Another draw in every round."""
        return random_support(dimension, num_kept(dimension, self._keep), self._seed, round_index)

    def learn(self, support: NDArray[np.int32], estimate: NDArray[np.floating]) -> None:
        """Chance learns nothing."""

    def announced_bits(self, dimension: int) -> int:
        """None: the seed says it."""
        return 0

    def save(self) -> dict[str, NDArray[Any]]:
        """Nothing is remembered."""
        return {}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Nothing was saved."""


class VotedSupport:
    """The entries whose sums are expected to be largest by now, foretold from the aggregates so far.

    With long memory an entry that does not travel adds up on the devices. How fast, its last aggregates tell:
    |estimate| over the rounds that it had waited. The score of an entry is that rate times the rounds that it waits by
    now, so that small ones have their turn too, and entries of which nothing is known come first. No device sends
    anything for it: what is added in the air is the vote.
    """

    SMOOTHING = 0.5  # weight of the last aggregate in the squared rate

    def __init__(self, keep: float, seed: int) -> None:
        self._keep, self._seed = keep, seed
        self._rate2 = np.zeros(0)  # infinite: nothing is known
        self._waited = np.zeros(0)

    def choose(self, round_index: int, dimension: int) -> NDArray[np.int32]:
        """The highest scores; the round's seed decides among equal ones."""
        self._know(dimension)
        scores = np.sqrt(self._rate2) * (self._waited + 1.0)
        return largest(scores, num_kept(dimension, self._keep), self._seed, round_index)

    def learn(self, support: NDArray[np.int32], estimate: NDArray[np.floating]) -> None:
        """Rates of what travelled, and one more round of waiting for all else."""
        self._know(len(estimate))
        rate2 = (estimate[support] / (self._waited[support] + 1.0)) ** 2
        before = self._rate2[support]
        known = np.isfinite(before)
        smoothed = before[known] + self.SMOOTHING * (rate2[known] - before[known])
        rate2[known] = smoothed
        self._rate2[support] = rate2
        self._waited += 1.0
        self._waited[support] = 0.0

    def announced_bits(self, dimension: int) -> int:
        """The server tells its choice."""
        return support_bits(dimension, num_kept(dimension, self._keep))

    def save(self) -> dict[str, NDArray[Any]]:
        """Rates and waiting times."""
        return {"rate2": self._rate2, "waited": self._waited}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Inverse of `save`."""
        self._rate2, self._waited = saved["rate2"].copy(), saved["waited"].copy()

    def _know(self, dimension: int) -> None:
        if len(self._rate2) != dimension:
            self._rate2, self._waited = np.full(dimension, np.inf), np.zeros(dimension)
