"""Procedural characters: an alphabet of any size from a seed, drawn by several hands, for runs with no data at all.

A class is a few strokes through control points. A drawer repeats it with a shaky hand (every control point moves),
a pen of another width, and another slant, size and place.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from devices.learning.datasets import DataError, DataSet, Pool

SIDE = 28  # pixels
TRAIN_CLASSES, TEST_CLASSES = 200, 100
SPLITS = ("train", "test")

# How differently two people draw the same character; the unit is the side of the character's box.
# Tuned so that the nearest neighbour in pixels errs about as often as on Omniglot (see tests).
JITTER = 0.05  # standard deviation of each control point
MAX_ROTATION_RAD = 0.25
MAX_SHEAR = 0.25
SCALES = (0.75, 1.1)
MAX_SHIFT = 0.11
PEN_SIGMAS = (0.022, 0.034)  # of a Gaussian pen; a line is 2.35 times as wide at half ink

POINTS_PER_STROKE = 64  # on the pixel grid less than a pen's sigma apart for all but the longest strokes


def load_glyphs(seed: int) -> DataSet:
    """200 classes to train on and 100 others to test on, 20 drawings each."""
    return DataSet(glyph_pool(seed, "train", TRAIN_CLASSES), glyph_pool(seed, "test", TEST_CLASSES))


def glyph_pool(seed: int, split: str, num_classes: int, num_examples: int = 20) -> Pool:
    """Draw `num_classes` characters, each by `num_examples` drawers.

    split: "train" or "test", two streams of characters with nothing in common.
    returns: images (num_classes, num_examples, 28, 28) in [0, 1], ink = 1. Class c of a seed and split is the same
        whatever num_classes is.
    Raises DataError for another split or for counts below 1.
    """
    if split not in SPLITS:
        raise DataError(f"glyph split is {split!r}; choose 'train' or 'test'")
    if num_classes < 1 or num_examples < 1:
        raise DataError(
            f"glyphs: {num_classes} classes of {num_examples} drawings; choose at least 1 of each"
        )
    images = np.empty((num_classes, num_examples, SIDE, SIDE), np.float32)
    for index in range(num_classes):
        path = (SPLITS.index(split), index)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=path))
        images[index] = _draw(_invent_character(rng), num_examples, rng)
    return Pool(images, tuple(f"glyph-{split}-{index:04d}" for index in range(num_classes)))


# A stroke: control points, (num_points, 2), x to the right and y down, and whether it bends smoothly.
_Stroke = tuple[NDArray[np.float64], bool]


def _invent_character(rng: np.random.Generator) -> list[_Stroke]:
    """One to four strokes that fill the unit box centred on the origin; later strokes often start on earlier ones."""
    strokes: list[_Stroke] = []
    num_strokes = int(rng.choice([1, 2, 3, 4], p=[0.05, 0.3, 0.4, 0.25]))
    fewest = max(5 - num_strokes, 2)  # control points: bare bars differ by little more than two drawers do
    for _ in range(num_strokes):
        start = rng.uniform(-0.5, 0.5, 2)
        if strokes and rng.random() < 0.6:
            points = strokes[rng.integers(len(strokes))][0]
            start = points[rng.integers(len(points))]
        smooth = bool(rng.random() < 0.65)
        strokes.append((_wander(start, int(rng.integers(fewest, 6)), rng), smooth))
    everything = np.concatenate([points for points, _ in strokes])
    low, high = everything.min(0), everything.max(0)
    # The longer side fills the box; the shorter is stretched halfway, so that a bar stays a bar.
    size = high - low
    size = np.sqrt(np.maximum(size, 0.3) * size.max())
    return [((points - (low + high) / 2) / size, smooth) for points, smooth in strokes]


def _wander(start: NDArray[np.float64], num_points: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A walk that keeps its direction of turn for a while, as a hand does, and turns back to the middle."""
    points = [start]
    heading = np.arctan2(-start[1], -start[0]) + rng.normal(0, 0.8)
    turn = rng.normal(0, 0.9)
    for _ in range(num_points - 1):
        step = rng.uniform(0.3, 0.7)
        points.append(np.clip(points[-1] + step * np.array([np.cos(heading), np.sin(heading)]), -0.6, 0.6))
        heading += turn + rng.normal(0, 0.35)
    return np.array(points)


def _draw(strokes: list[_Stroke], num_examples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(num_examples, SIDE, SIDE) in [0, 1]."""
    shape = (num_examples, 1, 1)
    affine = _draw_affine(num_examples, rng)
    shift = rng.uniform(-MAX_SHIFT, MAX_SHIFT, (num_examples, 1, 2))
    sigma = rng.uniform(*PEN_SIGMAS, shape)
    paths, weights = [], []
    for points, smooth in strokes:
        shaken = points + rng.normal(0, JITTER, (num_examples, *points.shape))
        path = _interpolation(len(points), smooth) @ shaken @ affine + shift
        steps = np.linalg.norm(np.diff(path, axis=1), axis=2)
        length = np.zeros(path.shape[:2])  # of the piece of the path that a point stands for
        length[:, :-1] += steps / 2
        length[:, 1:] += steps / 2
        paths.append(path)
        weights.append(length)
    return _ink(np.concatenate(paths, axis=1), np.concatenate(weights, axis=1), sigma)


def _ink(
    path: NDArray[np.float64], length: NDArray[np.float64], sigma: NDArray[np.float64]
) -> NDArray[np.float32]:
    """A Gaussian dab at every point of a path, summed and sharpened: (num_examples, SIDE, SIDE) in [0, 1].

    path: (num_examples, num_points, 2). length: (num_examples, num_points), of path for which a point stands.
    sigma: (num_examples, 1, 1), of the pen. All in units of the character's box.
    """
    box = 0.72 * SIDE  # pixels to a unit: room for slant and shift around the box
    pixel = (np.arange(SIDE) - (SIDE - 1) / 2) / box
    offset = ((pixel - path[..., None]) / sigma[..., None]).astype(np.float32)
    dab = np.exp(-(offset**2) / 2)  # (num_examples, num_points, 2, SIDE)
    # A dab is a product of one in x and one in y, so the sum over points is a matrix product. With these weights
    # it is exp(-(distance/sigma)^2/2) beside a long straight line, whose half level is the edge of the ink.
    weight = (length[..., None] / (np.sqrt(2 * np.pi) * sigma)).astype(np.float32)
    wet = dab[:, :, 1].transpose(0, 2, 1) @ (dab[:, :, 0] * weight)
    return np.clip(2 * wet - 0.5, 0, 1).astype(np.float32)


def _draw_affine(num_examples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(num_examples, 2, 2): rotation, shear and a scale for each axis, to multiply row vectors from the right."""
    angle = rng.uniform(-MAX_ROTATION_RAD, MAX_ROTATION_RAD, num_examples)
    shear = rng.uniform(-MAX_SHEAR, MAX_SHEAR, num_examples)
    scale = rng.uniform(*SCALES, (num_examples, 2))
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.stack([np.stack([cosine, sine], 1), np.stack([-sine, cosine], 1)], 1)
    slant = np.zeros((num_examples, 2, 2))
    slant[:, 0, 0], slant[:, 1, 1], slant[:, 1, 0] = scale[:, 0], scale[:, 1], shear
    return np.asarray(slant @ rotation)


@cache
def _interpolation(num_points: int, smooth: bool) -> NDArray[np.float64]:
    """(POINTS_PER_STROKE, num_points): the matrix from control points to points along the stroke.

    Straight pieces, or the Catmull-Rom spline (Catmull, Rom, 1974) with its end points doubled.
    """
    position = np.linspace(0, num_points - 1, POINTS_PER_STROKE)
    piece = np.minimum(position.astype(int), num_points - 2)
    t = position - piece
    if smooth:
        offsets: tuple[int, ...] = (-1, 0, 1, 2)
        blend = [
            (-t + 2 * t**2 - t**3) / 2,
            (2 - 5 * t**2 + 3 * t**3) / 2,
            (t + 4 * t**2 - 3 * t**3) / 2,
            (t**3 - t**2) / 2,
        ]
    else:
        offsets = (0, 1)
        blend = [1 - t, t]
    matrix = np.zeros((POINTS_PER_STROKE, num_points))
    for offset, weight in zip(offsets, blend, strict=True):
        np.add.at(matrix, (np.arange(POINTS_PER_STROKE), np.clip(piece + offset, 0, num_points - 1)), weight)
    return matrix
