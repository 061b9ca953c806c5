"""Pairs of unequally spaced instants by their distance: what a function of lag is estimated from."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

PER_DECADE = 10  # bins of lag
MOST_PAIRS = 600  # of a bin; more of them overlap in time and tell little


@dataclass(frozen=True, eq=False)
class LagPairs:
    """Pairs of one bin of lag. early, late: (num_pairs,) places in the list of instants; lags_s: (num_pairs,)."""

    early: NDArray[np.intp]
    late: NDArray[np.intp]
    lags_s: NDArray[np.float64]

    @property
    def lag_s(self) -> float:
        """Root mean square lag of the bin's pairs."""
        return float(np.sqrt(np.mean(self.lags_s**2)))


def lag_pairs(
    instants_s: NDArray[np.float64], shortest_s: float, longest_s: float, most: int = MOST_PAIRS
) -> tuple[LagPairs, ...]:
    """Pairs in logarithmic bins of lag from shortest_s to longest_s, both included; bins without a pair are left out.

    instants_s: (num_instants,) rising. At most `most` pairs a bin, evenly through those that there are in time.
    """
    if not 0.0 < shortest_s < longest_s:
        raise ValueError(
            f"lags must rise from above 0, got shortest_s = {shortest_s:g} and longest_s = {longest_s:g}"
        )
    num_bins = max(1, round(PER_DECADE * np.log10(longest_s / shortest_s)))
    edges = np.geomspace(shortest_s, longest_s, num_bins + 1)
    edges[0], edges[-1] = shortest_s * (1.0 - 1e-6), longest_s * (1.0 + 1e-6)
    firsts = np.array([np.searchsorted(instants_s, instants_s + edge) for edge in edges])
    found = []
    for low, high in pairwise(firsts):
        counts = high - low
        ends = np.cumsum(counts)
        if not ends[-1]:
            continue
        chosen = np.unique(np.linspace(0, ends[-1] - 1, min(most, int(ends[-1]))).round().astype(np.intp))
        early = np.searchsorted(ends, chosen, side="right")
        late = low[early] + chosen - (ends - counts)[early]
        found.append(LagPairs(early, late, instants_s[late] - instants_s[early]))
    return tuple(found)
