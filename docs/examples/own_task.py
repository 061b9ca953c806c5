"""A data set of one's own: points in clouds, each class a cloud of its own around a random centre."""

import numpy as np

from devices.learning.datasets import DataSet, Pool

NUM_FEATURES = 16


def clouds(seed: int, path: tuple[str, ...], test_path: tuple[str, ...]) -> DataSet:
    """60 classes to train on and 30 others to test on; nothing is read from disk, so the paths are not used."""
    return DataSet(train=_draw(seed, "train", 60), test=_draw(seed, "test", 30))


def _draw(seed: int, split: str, num_classes: int) -> Pool:
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(len(split),)))
    centres = rng.normal(size=(num_classes, 1, NUM_FEATURES))
    points = centres + 0.8 * rng.normal(size=(num_classes, 20, NUM_FEATURES))
    return Pool(points.astype(np.float32), tuple(f"{split} {number}" for number in range(num_classes)))
