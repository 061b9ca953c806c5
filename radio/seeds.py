"""Random streams derived from one seed by a path, so that no two uses share one and no order matters."""

from enum import IntEnum

import numpy as np


class Use(IntEnum):
    """First step of a path: what the stream is for."""

    DATA_SPLIT = 0
    INITIAL_MODEL = 1
    DEVICE_SELECTION = 2
    TRAINING_TASKS = 3
    TEST_TASKS = 4
    PROBE_TASKS = 5
    SKETCH = 6
    FADING = 7
    TAPS = 8
    RECEIVER_NOISE = 9
    CLOCK = 10
    TRAINING_WAVEFORM = 11
    CRYSTAL = 12
    TRANSMITTER = 13
    PATH = 14
    RECEIVER = 15
    IMPULSES = 16
    CARRIER_PHASE = 17
    ELEMENT_ORDER = 18
    SUPPORT = 19
    ELEMENT_PHASE = 20
    KNOWN_VECTOR = 21
    INTERFERERS = 22


def stream(seed: int, *path: int) -> np.random.Generator:
    """Independent draws for, say, (use, round, device); the same arguments give the same draws anywhere.

    Spawn keys and not a list of integers: `default_rng([7, 3])` and `default_rng([7, 3, 0])` are one stream.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(int(step) for step in path)))
