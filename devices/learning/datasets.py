"""Pools of labelled examples, class by class, and the data sets made of two of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.learning.plugins import is_reference, load_object


class DataError(ValueError):
    """Data that cannot be used. One line: the value, the limit, the remedy."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Examples of classes, the same number of each.

    images: (num_classes, num_examples, *shape), float32, finite. Drawings are (height, width) with ink = 1 and
        background = 0; other data may have any shape, e.g. (channels, height, width) or (features,).
    names: one per class, all different; they say which classes two pools share.
    Raises DataError if any of this does not hold.
    """

    images: NDArray[np.float32]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        shape = self.images.shape
        if self.images.ndim < 3 or 0 in shape:
            raise DataError(
                f"images have shape {shape}; give (num_classes, num_examples, *shape), none of them 0"
            )
        if self.images.dtype != np.float32:
            raise DataError(f"images are {self.images.dtype}; convert them with astype(np.float32)")
        if not np.isfinite(self.images).all():
            raise DataError("images hold values that are not finite; remove or replace them")
        if len(self.names) != shape[0]:
            raise DataError(f"{len(self.names)} names for {shape[0]} classes; give one name per class")
        if len(set(self.names)) != len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise DataError(f"class name {twice!r} occurs more than once; names must differ")

    @property
    def num_classes(self) -> int:
        return int(self.images.shape[0])

    @property
    def num_examples(self) -> int:
        """Examples of each class."""
        return int(self.images.shape[1])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return tuple(self.images.shape[2:])


@dataclass(frozen=True, eq=False)
class DataSet:
    """Classes to train on, and other classes, never seen in training, to test on.

    Raises DataError if a class is in both pools or if their examples differ in shape.
    """

    train: Pool
    test: Pool

    def __post_init__(self) -> None:
        if shared := sorted(set(self.train.names) & set(self.test.names)):
            raise DataError(f"class {shared[0]!r} is in training and in testing; remove it from one of them")
        if self.train.shape != self.test.shape:
            raise DataError(
                f"training examples have shape {self.train.shape}, test examples {self.test.shape}; make them equal"
            )


def load_data_set(
    name: str, *, path: tuple[str, ...] = (), test_path: tuple[str, ...] = (), seed: int
) -> DataSet:
    """The data set of an experiment.

    name: "glyphs", "omniglot", or "package.module:object", a callable
        `(seed: int, path: tuple[str, ...], test_path: tuple[str, ...]) -> DataSet`.
    path, test_path: files or folders for training and for testing, where the data set reads any.
    seed: decides everything that is drawn; the same seed gives the same data set anywhere.
    Raises DataError for an unknown name or unusable data, PluginError for a reference that leads nowhere.
    """
    if is_reference(name):
        loaded = load_object(name)
        if not callable(loaded):
            raise DataError(
                f"data set {name!r} is a {type(loaded).__name__}; name a callable that returns a DataSet"
            )
        data = loaded(seed, path, test_path)
        if not isinstance(data, DataSet):
            raise DataError(
                f"data set {name!r} returned a {type(data).__name__}; return a devices.learning DataSet"
            )
        return data
    # Imported late: both files build on the classes above.
    match name:
        case "glyphs":
            if path or test_path:
                raise DataError(
                    f"glyphs read no files, got {(path + test_path)[0]!r}; remove task.path and task.test_path"
                )
            from devices.learning.glyphs import load_glyphs

            return load_glyphs(seed)
        case "omniglot":
            from devices.learning.omniglot import load_omniglot

            return load_omniglot(path, test_path)
        case _:
            raise DataError(f"unknown data set {name!r}; use 'glyphs', 'omniglot' or 'package.module:object'")
