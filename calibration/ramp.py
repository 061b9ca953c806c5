"""A tone at many levels in random order, each between two at one reference level: what drifts is seen and taken out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.interface import Samples

LEAST_LEVELS = 5


@dataclass(frozen=True, kw_only=True)
class Ramp:
    """levels_db: as sent, relative to a tone of amplitude 1, which touches full scale; between them, before and after,
    the reference. Segments last segment_len samples. The tone has `period` samples a cycle, an odd number, or a
    converter would round alike in each quarter, and never jumps in phase. dac_bits: of the converter that sends it, 0
    for one without steps."""

    levels_db: tuple[float, ...]
    reference_db: float = -12.0
    segment_len: int = 800
    period: int = 25
    dac_bits: int = 12

    def __post_init__(self) -> None:
        if len(set(self.levels_db)) < LEAST_LEVELS:
            raise ValueError(
                f"a ramp needs {LEAST_LEVELS} different levels or more, got {len(set(self.levels_db))}"
            )
        highest = max(*self.levels_db, self.reference_db)
        if highest > 0.0:
            raise ValueError(
                f"levels must be at most 0 dB (amplitude 1 is full scale), got {highest:g}; attenuate less instead"
            )
        if self.period < 3 or self.period % 2 == 0 or self.segment_len < 16 * self.period:
            raise ValueError(
                "period must be odd, 3 or more, and segment_len at least 16 of them, "
                f"got {self.period} and {self.segment_len}"
            )

    @property
    def num_segments(self) -> int:
        """Levels and references."""
        return 2 * len(self.levels_db) + 1

    @property
    def segments_db(self) -> NDArray[np.float64]:
        """(num_segments,) references at the even places."""
        segments = np.full(self.num_segments, self.reference_db)
        segments[1::2] = self.levels_db
        return segments

    @property
    def rounding(self) -> float:
        """Variance of one part of a segment's amplitude, from the converter's steps."""
        if self.dac_bits == 0:
            return 0.0
        step = 1.0 / (2 ** (self.dac_bits - 1) - 1)
        return (
            2.0 / self.period * step**2 / 12.0
        )  # a cycle's I and Q mirror each other: half of its values are new

    @property
    def samples(self) -> Samples:
        """(num_segments * segment_len,), |I|, |Q| <= 1."""
        amplitudes = np.repeat(10.0 ** (self.segments_db / 20.0), self.segment_len)
        return (amplitudes * self.tone()).astype(np.complex64)

    def tone(self) -> NDArray[np.complex128]:
        """(num_segments * segment_len,) at amplitude 1."""
        index = np.arange(self.num_segments * self.segment_len) % self.period
        return np.exp(2j * np.pi * index / self.period)


def ramp(
    levels_db: Sequence[float],
    rng: np.random.Generator,
    *,
    reference_db: float = -12.0,
    segment_len: int = 800,
) -> Ramp:
    """A ramp over the levels in random order, so that heating and drift do not look like compression.

    reference_db: so low that it is hardly compressed. Raises ValueError for levels beyond full scale or too few.
    """
    order = rng.permutation(np.asarray(levels_db, dtype=np.float64))
    return Ramp(levels_db=tuple(order.tolist()), reference_db=reference_db, segment_len=segment_len)
