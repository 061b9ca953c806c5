import numpy as np
import pytest
import torch

from devices.learning.datasets import Pool
from devices.learning.episodes import deal_classes, draw_task


def marked_pool(shape=(28, 28)) -> Pool:
    """Every value of an example is 100 * class + example, so that a task tells where it comes from."""
    marks = 100 * np.arange(6)[:, None] + np.arange(9)
    images = np.broadcast_to(marks.reshape(6, 9, *(1,) * len(shape)), (6, 9, *shape))
    return Pool(images.astype(np.float32), tuple("abcdef"))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_deck_that_lasts_deals_disjoint_hands():
    hands = deal_classes(20, 4, 5, rng())
    assert sorted(np.concatenate(hands)) == list(range(20))


@pytest.mark.parametrize(("num_classes", "classes_per_device"), [(10, 4), (7, 5), (136, 136), (5, 1), (9, 8)])
def test_no_class_is_dealt_again_before_all_were(num_classes, classes_per_device):
    hands = deal_classes(num_classes, 30, classes_per_device, rng())
    dealt = np.zeros(num_classes, int)
    for hand in hands:
        assert len(set(hand)) == len(hand) == classes_per_device
        dealt[hand] += 1
    # A hand that spans two decks may hold cards of the new one, so counts differ by 1 at most.
    assert dealt.max() - dealt.min() <= 1


def test_the_same_generator_deals_the_same_hands():
    assert np.array_equal(deal_classes(10, 5, 4, rng(3)), deal_classes(10, 5, 4, rng(3)))
    assert not np.array_equal(deal_classes(10, 5, 4, rng(3)), deal_classes(10, 5, 4, rng(4)))


@pytest.mark.parametrize("asked", [0, 11])
def test_a_hand_has_at_least_one_class_and_at_most_all(asked):
    with pytest.raises(
        ValueError, match=f"classes_per_device is {asked}, the pool has 10 classes; choose 1 to 10"
    ):
        deal_classes(10, 1, asked, rng())


def test_a_task_has_distinct_examples_of_the_given_classes_under_consistent_labels():
    orders = set()
    for seed in range(20):
        task = draw_task(marked_pool(), [1, 3, 4, 5], 3, 4, 5, rng(seed))
        assert task.support.x.shape == (12, 1, 28, 28)
        assert task.query.x.shape == (15, 1, 28, 28)
        assert task.support.x.dtype == torch.float32
        assert task.support.y.dtype == torch.int64
        marks = torch.cat([task.support.x, task.query.x])[:, 0, 0, 0].int()
        labels = torch.cat([task.support.y, task.query.y])
        assert len(set(marks.tolist())) == 27
        classes = {int(label): set((marks[labels == label] // 100).tolist()) for label in labels}
        assert all(len(found) == 1 for found in classes.values())
        order = tuple(found.pop() for _, found in sorted(classes.items()))
        assert set(order) <= {1, 3, 4, 5}
        orders.add(order)
        assert task.support.y.bincount().tolist() == [4, 4, 4]
        assert task.query.y.bincount().tolist() == [5, 5, 5]
    assert len(orders) > 10  # of 24 that are possible: labels do not follow the order of the pool


def test_every_example_is_drawn_as_often_for_support_as_for_query():
    counts = np.zeros(9, int)
    generator = rng()
    for _ in range(500):
        support = draw_task(marked_pool((1,)), range(6), 2, 3, 3, generator).support
        np.add.at(counts, support.x[:, 0].int().numpy() % 100, 1)
    # 1000 draws of 3 in 9: 333 of each, standard deviation 15; five of them allowed.
    assert np.abs(counts - 1000 / 3).max() < 75


@pytest.mark.parametrize(
    ("shape", "wanted"), [((4, 5), (6, 1, 4, 5)), ((3, 4, 5), (6, 3, 4, 5)), ((7,), (6, 7))]
)
def test_only_flat_images_gain_a_channel(shape, wanted):
    assert draw_task(marked_pool(shape), range(6), 3, 2, 1, rng()).support.x.shape == wanted


def test_the_same_generator_draws_the_same_task():
    first, again = (draw_task(marked_pool(), range(6), 5, 2, 2, rng(7)) for _ in range(2))
    assert all(
        torch.equal(a, b) for pair in zip(first, again, strict=True) for a, b in zip(*pair, strict=True)
    )


def test_more_ways_than_classes_is_an_error():
    with pytest.raises(ValueError, match="ways is 5, 4 classes to choose from; choose 1 to 4 ways"):
        draw_task(marked_pool(), range(4), 5, 1, 1, rng())


@pytest.mark.parametrize(("shots", "queries"), [(5, 5), (0, 1), (1, 0)])
def test_more_examples_than_there_are_is_an_error(shots, queries):
    with pytest.raises(
        ValueError, match=rf"shots \+ queries is {shots} \+ {queries}, a class has 9 examples"
    ):
        draw_task(marked_pool(), range(6), 5, shots, queries, rng())
