import numpy as np
import pytest

from devices.learning.datasets import DataError, DataSet, Pool, load_data_set


def pool(*names: str, shape=(2, 2)) -> Pool:
    return Pool(np.zeros((len(names), 3, *shape), np.float32), names)


def own_set(seed, path, test_path):
    """A data set that people bring along; it shows what it was called with."""
    return DataSet(pool(f"seed {seed}", *path), pool(*test_path))


def not_a_set(seed, path, test_path):
    return pool("a")


NUMBER = 3


def test_a_pool_tells_its_sizes():
    some = pool("a", "b", shape=(4, 5))
    assert (some.num_classes, some.num_examples, some.shape) == (2, 3, (4, 5))


@pytest.mark.parametrize(
    ("images", "names", "message"),
    [
        (np.zeros((2, 3), np.float32), ("a", "b"), r"shape \(2, 3\); give"),
        (np.zeros((2, 0, 4), np.float32), ("a", "b"), r"shape \(2, 0, 4\); give"),
        (np.zeros((2, 3, 4)), ("a", "b"), r"are float64; convert them"),
        (np.full((2, 3, 4), np.nan, np.float32), ("a", "b"), r"not finite; remove"),
        (np.zeros((2, 3, 4), np.float32), ("a",), r"1 names for 2 classes"),
        (np.zeros((2, 3, 4), np.float32), ("a", "a"), r"'a' occurs more than once"),
    ],
)
def test_a_pool_is_valid_from_birth(images, names, message):
    with pytest.raises(DataError, match=message):
        Pool(images, names)


def test_a_class_may_not_be_trained_and_tested_on():
    with pytest.raises(DataError, match="class 'b' is in training and in testing"):
        DataSet(pool("a", "b"), pool("b", "c"))


def test_both_pools_have_one_shape():
    with pytest.raises(DataError, match=r"shape \(2, 2\), test examples \(2, 3\)"):
        DataSet(pool("a"), pool("b", shape=(2, 3)))


def test_an_own_data_set_gets_seed_and_paths():
    data = load_data_set(f"{__name__}:own_set", path=("x", "y"), test_path=("z",), seed=5)
    assert data.train.names == ("seed 5", "x", "y")
    assert data.test.names == ("z",)


def test_glyphs_are_loaded_by_name():
    data = load_data_set("glyphs", seed=1)
    assert (data.train.num_classes, data.test.num_classes, data.train.shape) == (200, 100, (28, 28))


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        ("mnist", (), "unknown data set 'mnist'; use 'glyphs', 'omniglot' or"),
        ("glyphs", ("some.zip",), "glyphs read no files, got 'some.zip'; remove task.path"),
        (f"{__name__}:NUMBER", (), "is a int; name a callable that returns a DataSet"),
        (f"{__name__}:not_a_set", (), "returned a Pool; return a devices.learning DataSet"),
    ],
)
def test_what_is_no_data_set_is_refused(name, path, message):
    with pytest.raises(DataError, match=message):
        load_data_set(name, path=path, seed=0)


def test_omniglot_needs_both_paths_or_none(tmp_path):
    with pytest.raises(DataError, match=r"task\.test_path is empty while the other path is given"):
        load_data_set("omniglot", path=(str(tmp_path),), seed=0)
