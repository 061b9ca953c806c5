"""Bursts through their paths: transmitter and clock by numpy, multipath by GNU Radio, then the oscillator."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radio.interface import Samples
from sim_backend.interpolate import resample, weighted_sum
from sim_backend.link import propagate_banks
from sim_backend.path import Path


class Burst(NamedTuple):
    """Samples that start at index `start` of their transmitter's clock, and the path that they take."""

    path: Path
    samples: Samples
    start: int


class Heard(NamedTuple):
    """Samples from index `start` of the receiver's clock."""

    start: int
    samples: Samples


class Stretch(NamedTuple):
    """A burst on its way: what the filters take in, and the receiver's index of the first sample that they give."""

    start: int
    samples: Samples  # on the receiver's clock, before any delay
    filters: NDArray[np.complex128]
    weights: NDArray | None


def carry(bursts: Sequence[Burst]) -> list[Heard]:
    """What each burst alone becomes at the receiver, noise apart."""
    stretches = [prepare(burst) for burst in bursts]
    banks = propagate_banks([s.samples for s in stretches], [s.filters for s in stretches])
    return [
        _finish(burst.path, stretch, bank)
        for burst, stretch, bank in zip(bursts, stretches, banks, strict=True)
    ]


def prepare(burst: Burst) -> Stretch:
    """All that comes before GNU Radio's filters."""
    path = burst.path
    radiated = path.transmitter.radiate(burst.samples)
    start, end = path.on_clock(burst.start, len(burst.samples))
    if not path.crystal.keeps_time:
        leads = path.crystal.leads(start, end - start, path.sample_rate_hz)
        radiated = resample(radiated, leads, start - burst.start)
    first, tap_filters = path.filters
    count = end - start + tap_filters.shape[1] - 1
    filters, weights = path.branches(start + first, count, tap_filters)
    return Stretch(start + first, radiated, filters, weights)


def _finish(path: Path, stretch: Stretch, bank: NDArray[np.complex64]) -> Heard:
    received = bank[0] if stretch.weights is None else weighted_sum(stretch.weights, bank)
    rotation = path.crystal.rotation(stretch.start, len(received), path.sample_rate_hz)
    if rotation is not None:
        received = (received * rotation).astype(np.complex64)
    return Heard(stretch.start, received)
