"""Powers to decibels and back."""

import math


def to_db(power_ratio: float) -> float:
    """10 log10 of a power ratio; minus infinity for 0."""
    return 10.0 * math.log10(power_ratio) if power_ratio > 0.0 else -math.inf


def from_db(level_db: float) -> float:
    """Power ratio of a level in decibels."""
    return float(10.0 ** (level_db / 10.0))
