"""Which entries of the update travel in a round, where all devices share them."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from radio.support import num_kept, random_support
from radio.uplink import Support
from server.support_vote import VotedSupport


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


def support_rule(support: Support, keep: float, block_len: int, seed: int) -> SupportRule | None:
    """None where every device chooses its own."""
    match support:
        case "own":
            return None
        case "shared-random":
            return RandomSupport(keep, seed)
        case "shared-vote":
            return VotedSupport(keep, block_len, seed)


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
