"""Few-shot episodes: which classes a device holds, and the tasks it draws from them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from devices.learning.datasets import Pool


class Batch(NamedTuple):
    """Examples and labels."""

    x: Tensor  # (n, channels, height, width) for images, (n, *shape) otherwise; float32
    y: Tensor  # (n,), int64, in [0, ways)


class Task(NamedTuple):
    """One episode: adapt on `support`, be judged on `query`."""

    support: Batch
    query: Batch


def deal_classes(
    num_classes: int, num_devices: int, classes_per_device: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Deal classes to devices from a shuffled deck.

    returns: one index array of length classes_per_device for each device, distinct within a device; no class is
        dealt a second time before every class was dealt once, then the deck is shuffled anew.
    Raises ValueError if a device is to hold more classes than there are.
    """
    if not 1 <= classes_per_device <= num_classes:
        raise ValueError(
            f"classes_per_device is {classes_per_device}, the pool has {num_classes} classes; "
            f"choose 1 to {num_classes}, or a larger pool"
        )
    deck = rng.permutation(num_classes)
    hands = []
    for _ in range(num_devices):
        hand, deck = deck[:classes_per_device], deck[classes_per_device:]
        if missing := classes_per_device - len(hand):
            fresh = rng.permutation(num_classes)
            extra = fresh[~np.isin(fresh, hand)][:missing]  # a hand that spans two decks holds no class twice
            hand, deck = np.concatenate([hand, extra]), fresh[~np.isin(fresh, extra)]
        hands.append(hand)
    return hands


def draw_task(
    pool: Pool,
    classes: Sequence[int] | NDArray[np.int64],
    ways: int,
    shots: int,
    queries: int,
    rng: np.random.Generator,
) -> Task:
    """Draw an episode: `ways` of `classes` in random order, which is their labels, and examples of each.

    returns: support of ways * shots and query of ways * queries examples, class by class; no example twice.
        Two-dimensional examples gain a channel axis: (n, 1, height, width).
    Raises ValueError if there are fewer classes or examples than asked for.
    """
    if not 1 <= ways <= len(classes):
        raise ValueError(
            f"ways is {ways}, {len(classes)} classes to choose from; "
            f"choose 1 to {len(classes)} ways, or hold more classes"
        )
    if shots < 1 or queries < 1 or shots + queries > pool.num_examples:
        raise ValueError(
            f"shots + queries is {shots} + {queries}, a class has {pool.num_examples} examples; "
            f"choose at least 1 of each and {pool.num_examples} together at most"
        )
    chosen = rng.permutation(np.asarray(classes))[:ways]
    order = rng.permuted(np.tile(np.arange(pool.num_examples), (ways, 1)), axis=1)

    def batch(examples: NDArray[np.int64]) -> Batch:  # (ways, n / ways)
        images = pool.images[chosen[:, None], examples]
        shape = (1, *pool.shape) if len(pool.shape) == 2 else pool.shape
        labels = np.repeat(np.arange(ways), examples.shape[1])
        # torch.tensor copies into 64-byte aligned memory: kernels may sum in another order where it is not.
        return Batch(torch.tensor(images.reshape(-1, *shape)), torch.tensor(labels))

    return Task(batch(order[:, :shots]), batch(order[:, shots : shots + queries]))
