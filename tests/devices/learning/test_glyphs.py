import numpy as np
import pytest
import torch

from devices.learning.datasets import DataError, Pool
from devices.learning.episodes import draw_task
from devices.learning.evaluation import score
from devices.learning.glyphs import glyph_pool, load_glyphs
from devices.learning.meta_gradient import local_update
from devices.learning.models import conv4


@pytest.fixture(scope="module")
def data():
    return load_glyphs(0)


def nearest_neighbour_accuracy(pool: Pool, num_tasks: int) -> float:
    """5-way 1-shot, 5 queries a class, squared distance in pixels: what needs no learning at all."""
    hits = []
    for seed in range(num_tasks):
        support, query = draw_task(pool, range(pool.num_classes), 5, 1, 5, np.random.default_rng(seed))
        distance = torch.cdist(query.x.flatten(1), support.x.flatten(1))
        hits.append(float((support.y[distance.argmin(1)] == query.y).float().mean()))
    return float(np.mean(hits))


def test_pixels_alone_do_not_solve_the_tasks(data):
    # 400 tasks: the mean is known to about 1 %.
    assert 0.4 < nearest_neighbour_accuracy(data.test, 400) < 0.65


def test_meta_learning_solves_new_characters(data):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = conv4(5, width=16)
    rng = np.random.default_rng(0)
    start = torch.tensor(model.initial(rng))
    steps = [[draw_task(data.train, range(200), 5, 5, 5, rng) for _ in range(4)] for _ in range(60)]
    end = start - local_update(
        model.loss, start, steps, inner_rate=0.4, outer_rate=0.3, inner_steps=1, mode="exact"
    )
    tasks = [draw_task(data.test, range(100), 5, 5, 5, rng) for _ in range(40)]
    untrained, trained = (
        np.mean([score(model, theta, task, 0.4, 3).accuracy_after for task in tasks])
        for theta in (start, end)
    )
    torch.set_num_threads(threads)
    assert trained > 0.85
    assert trained > untrained + 0.1


def test_the_same_seed_draws_the_same_characters_however_many():
    few, many = glyph_pool(4, "train", 3), glyph_pool(4, "train", 6)
    assert few.images.tobytes() == many.images[:3].tobytes()
    assert few.names == many.names[:3]


def test_seeds_and_splits_share_no_character():
    pools = [glyph_pool(4, "train", 5), glyph_pool(5, "train", 5), glyph_pool(4, "test", 5)]
    drawings = [images.tobytes() for pool in pools for images in pool.images]
    assert len(set(drawings)) == 15
    assert not set(pools[0].names) & set(pools[2].names)


def test_ink_is_between_none_and_full_and_in_every_drawing(data):
    for images in (data.train.images, data.test.images):
        assert images.min() == 0
        assert images.max() == 1
        ink = images.mean((2, 3))
        assert ink.min() > 0.01  # a short bar; Omniglot's average is 0.08
        assert ink.max() < 0.35
        assert np.mean((images > 0.05) & (images < 0.95)) > 0.02  # edges are anti-aliased


def test_drawings_stay_inside_the_picture(data):
    rim = np.ones((28, 28), bool)
    rim[1:-1, 1:-1] = False
    images = np.concatenate([data.train.images, data.test.images])
    assert images[:, :, rim].sum() < 0.01 * images.sum()  # a few strokes touch the edge, as on paper


def test_drawers_differ_less_than_characters(data):
    images = data.test.images.reshape(100, 20, -1)
    within = np.mean((images[:, :10] - images[:, 10:]) ** 2)
    between = np.mean((images[:50] - images[50:]) ** 2)
    assert 0.01 < within < 0.9 * between


@pytest.mark.parametrize(
    ("split", "num_classes", "num_examples", "message"),
    [
        ("valid", 3, 3, "glyph split is 'valid'; choose 'train' or 'test'"),
        ("train", 0, 3, "0 classes of 3 drawings; choose at least 1 of each"),
        ("test", 3, 0, "3 classes of 0 drawings; choose at least 1 of each"),
    ],
)
def test_other_splits_and_empty_pools_are_refused(split, num_classes, num_examples, message):
    with pytest.raises(DataError, match=message):
        glyph_pool(0, split, num_classes, num_examples)
