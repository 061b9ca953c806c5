"""Omniglot: handwritten characters of many alphabets, read from the official archives or from extracted folders.

Lake, Salakhutdinov, Tenenbaum, Human-level concept learning through probabilistic program induction, Science 350
(2015). Layout: `images_background*/ALPHABET/characterNN/XXXX_YY.png`, 105 x 105 pixels, black ink on white.
"""

import io
import logging
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from devices.learning.datasets import DataError, DataSet, Pool
from devices.learning.omniglot_cache import BASE_URL, fetch_archives, local_archives

SIDE = 28  # pixels of what is returned
SOURCE_SIDE = 105  # pixels of the files
NUM_DRAWINGS = 20  # of each character

_Drawings = dict[str, dict[str, NDArray[np.float32]]]  # "ALPHABET/characterNN" -> file name -> (SIDE, SIDE)

logger = logging.getLogger(__name__)


def load_omniglot(
    paths: Sequence[str],
    test_paths: Sequence[str],
    *,
    cache_folder: Path | None = None,
    base_url: str = BASE_URL,
) -> DataSet:
    """Characters to train on, and characters of other alphabets to test on.

    paths, test_paths: zip archives or extracted folders, one or several. Without any, those in $AIRMETA_DATA/omniglot
        are taken, the small sets where the full ones are not there; else the full background and evaluation sets from
        `cache_folder` (default: $AIRMETA_CACHE, else ~/.cache/airmeta/omniglot), downloaded into it from `base_url` if
        they are not there.
    returns: images (num_characters, 20, 28, 28) in [0, 1], ink = 1, each pixel the mean of the area it covers;
        names "ALPHABET/characterNN", sorted. Alphabets that training has are dropped from testing.
    Raises DataError for missing or damaged files, another layout, or if nothing is left to test on.
    """
    if not paths and not test_paths:
        found = None if cache_folder else local_archives()
        background, evaluation = found or fetch_archives(cache_folder, base_url)
        paths, test_paths = (str(background),), (str(evaluation),)
    for key, given in (("task.path", paths), ("task.test_path", test_paths)):
        if not given:
            raise DataError(
                f"Omniglot: {key} is empty while the other path is given; set both, or none to download"
            )
    train, test = _read_all(paths), _read_all(test_paths)
    known = {_alphabet(name) for name in train}
    if shared := sorted(known & {_alphabet(name) for name in test}):
        logger.info("not tested on, because training has them: %s", ", ".join(shared))
    new = {name: drawings for name, drawings in test.items() if _alphabet(name) not in known}
    if not new:
        raise DataError(
            f"Omniglot: every alphabet of {', '.join(test_paths)} is in training; "
            "set task.test_path to a set with other alphabets"
        )
    return DataSet(_pool(train), _pool(new))


def _alphabet(name: str) -> str:
    return name.split("/")[0]


def _pool(characters: _Drawings) -> Pool:
    names = sorted(characters)
    images = [[characters[name][file] for file in sorted(characters[name])] for name in names]
    return Pool(np.array(images, np.float32), tuple(names))


def _read_all(paths: Sequence[str]) -> _Drawings:
    """Characters of all paths together; one that is in several of them is taken from the first."""
    characters: _Drawings = {}
    for path in paths:
        characters = _read(Path(path).expanduser()) | characters
    return characters


def _read(path: Path) -> _Drawings:
    characters: _Drawings = {}
    for entry, content in _entries(path):
        alphabet, character, file = PurePosixPath(entry).parts[-3:]
        characters.setdefault(f"{alphabet}/{character}", {})[file] = _decode(content, f"{path}: {entry}")
    if not characters:
        raise DataError(
            f"{path}: no ALPHABET/characterNN/*.png inside; "
            "give an Omniglot archive of images, e.g. images_background.zip"
        )
    for name, drawings in characters.items():
        if len(drawings) != NUM_DRAWINGS:
            raise DataError(
                f"{path}: {name} has {len(drawings)} drawings, expected {NUM_DRAWINGS}; extract or download it again"
            )
    return characters


def _entries(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every drawing in an archive or a folder."""
    if path.is_dir():
        for file in path.glob("**/*.png"):
            if _is_drawing(entry := (path.name / file.relative_to(path)).as_posix()):
                yield entry, file.read_bytes()
        return
    if not path.exists():
        raise DataError(
            f"{path}: no such file or folder; set task.path and task.test_path to Omniglot archives"
        )
    if not zipfile.is_zipfile(path):
        raise DataError(
            f"{path}: not a zip archive, or cut short; give a complete .zip or the extracted folder"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.namelist():
                if _is_drawing(entry):
                    yield entry, archive.read(entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{path}: damaged archive ({error}); download it again") from error


def _is_drawing(entry: str) -> bool:
    parts = PurePosixPath(entry).parts
    # macOS adds a folder of its own with files of the same names that are no images.
    return (
        len(parts) >= 3
        and entry.endswith(".png")
        and parts[-2].startswith("character")
        and "__MACOSX" not in parts
        and not parts[-1].startswith(".")
    )


def _decode(content: bytes, where: str) -> NDArray[np.float32]:
    try:
        image = Image.open(io.BytesIO(content)).convert("L")
    except (OSError, SyntaxError) as error:  # pillow raises SyntaxError for a broken PNG chunk
        raise DataError(f"{where}: not a readable PNG; extract or download it again") from error
    if image.size != (SOURCE_SIDE, SOURCE_SIDE):
        raise DataError(
            f"{where}: {image.width} x {image.height} pixels, expected {SOURCE_SIDE} x {SOURCE_SIDE}; "
            "use the original files"
        )
    overlap = _overlap()
    return (overlap @ (1 - np.asarray(image) / 255) @ overlap.T).astype(np.float32)


@cache
def _overlap() -> NDArray[np.float64]:
    """(SIDE, SOURCE_SIDE): how much of each small pixel lies on each source pixel, along one side; rows sum to 1.

    Exact also for a ratio of 3.75, at which pillow's box filter counts a source pixel in full or not at all.
    """
    ratio = SOURCE_SIDE / SIDE
    start = ratio * np.arange(SIDE)[:, None]
    pixel = np.arange(SOURCE_SIDE)
    return np.asarray(
        np.clip(np.minimum(pixel + 1, start + ratio) - np.maximum(pixel, start), 0, None) / ratio
    )
