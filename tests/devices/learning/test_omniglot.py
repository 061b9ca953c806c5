import io
import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devices.learning.datasets import DataError
from devices.learning.omniglot import load_omniglot


def drawing(ink: np.ndarray) -> bytes:
    """A PNG as in the archives: one bit a pixel, ink black."""
    file = io.BytesIO()
    Image.fromarray(~ink).convert("1").save(file, "PNG")
    return file.getvalue()


def marked(number: int) -> bytes:
    """A drawing whose ink says which one it is."""
    ink = np.zeros((105, 105), bool)
    ink.ravel()[: 100 + number] = True
    return drawing(ink)


def entries(
    *alphabets: str, root: str = "images_background", drawings: int = 20, characters: int = 2
) -> dict[str, bytes]:
    return {
        f"{root}/{alphabet}/character{c:02d}/{c:04d}_{d:02d}.png": marked(100 * c + d)
        for alphabet in alphabets
        for c in range(1, characters + 1)
        for d in range(1, drawings + 1)
    }


def write_zip(path: Path, content: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return str(path)


def write_folder(path: Path, content: dict[str, bytes]) -> str:
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return str(path)


@pytest.fixture
def greek(tmp_path):
    return write_zip(tmp_path / "greek.zip", entries("Greek"))


@pytest.fixture
def tagalog(tmp_path):
    return write_zip(tmp_path / "tagalog.zip", entries("Tagalog"))


def test_archives_become_pools_by_character(greek, tagalog):
    data = load_omniglot([greek], [tagalog])
    assert data.train.names == ("Greek/character01", "Greek/character02")
    assert data.test.names == ("Tagalog/character01", "Tagalog/character02")
    assert data.train.images.shape == (2, 20, 28, 28)
    # Area averaging keeps the sum of ink.
    ink = data.train.images.sum((2, 3)) * (105 / 28) ** 2
    wanted = 100 + 100 * np.array([[1], [2]]) + np.arange(1, 21)
    np.testing.assert_allclose(ink, wanted, rtol=1e-6)


def test_pixels_are_the_mean_of_the_area_that_they_cover(tmp_path, tagalog):
    ink = np.zeros((105, 105), bool)
    ink[15:30, 30:45] = True  # 28 / 105 = 4 / 15, so this is exactly pixels 4..7 by 8..11
    content = {name: drawing(ink) for name in entries("Greek", characters=1)}
    image = load_omniglot([write_zip(tmp_path / "a.zip", content)], [tagalog]).train.images[0, 0]
    wanted = np.zeros((28, 28))
    wanted[4:8, 8:12] = 1
    np.testing.assert_allclose(image, wanted, atol=1e-6)


@pytest.mark.parametrize("inner", ["", "images_background", "images_background/.."])
def test_an_extracted_folder_is_the_same_as_its_archive(tmp_path, greek, tagalog, inner):
    folder = write_folder(tmp_path / "extracted", entries("Greek"))
    one, other = load_omniglot([greek], [tagalog]), load_omniglot([f"{folder}/{inner}"], [tagalog])
    assert one.train.names == other.train.names
    assert one.train.images.tobytes() == other.train.images.tobytes()


def test_several_paths_are_read_together_and_a_character_once(tmp_path, greek, tagalog):
    both = write_zip(tmp_path / "both.zip", entries("Greek", "Latin", root="images_background_small1"))
    data = load_omniglot([greek, both], [tagalog])
    assert [name.split("/")[0] for name in data.train.names] == ["Greek", "Greek", "Latin", "Latin"]


def test_an_alphabet_of_the_training_set_is_not_tested_on(tmp_path, greek, caplog):
    both = write_zip(tmp_path / "both.zip", entries("Greek", "Sanskrit"))
    with caplog.at_level(logging.INFO):
        data = load_omniglot([greek], [both])
    assert data.test.names == ("Sanskrit/character01", "Sanskrit/character02")
    assert "not tested on, because training has them: Greek" in caplog.text


def test_what_macos_adds_to_an_archive_is_no_drawing(tmp_path, tagalog):
    content = entries("Greek")
    content |= {f"__MACOSX/{name}": b"resource fork" for name in content}
    content |= {name.replace("/0", "/._0"): b"resource fork" for name in entries("Greek")}
    data = load_omniglot([write_zip(tmp_path / "mac.zip", content)], [tagalog])
    assert data.train.images.shape == (2, 20, 28, 28)


def test_nothing_left_to_test_on_is_an_error(greek, tmp_path):
    same = write_zip(tmp_path / "same.zip", entries("Greek"))
    with pytest.raises(DataError, match=r"every alphabet of .*same.zip is in training; set task.test_path"):
        load_omniglot([greek], [same])


def test_one_path_alone_is_an_error(greek):
    with pytest.raises(DataError, match=r"task\.test_path is empty"):
        load_omniglot([greek], [])
    with pytest.raises(DataError, match=r"task\.path is empty"):
        load_omniglot([], [greek])


def refusal(path: str, tagalog: str) -> str:
    with pytest.raises(DataError) as caught:
        load_omniglot([path], [tagalog])
    message = str(caught.value)
    assert "\n" not in message
    assert path in message
    return message


def test_a_missing_path_is_an_error(tmp_path, tagalog):
    assert "no such file or folder; set task.path" in refusal(str(tmp_path / "absent.zip"), tagalog)


def test_a_file_that_is_no_archive_is_an_error(tmp_path, tagalog):
    (tmp_path / "page.zip").write_text("<html>rate limit</html>")
    assert "not a zip archive, or cut short" in refusal(str(tmp_path / "page.zip"), tagalog)


def test_a_cut_archive_is_an_error(greek, tmp_path, tagalog):
    (tmp_path / "cut.zip").write_bytes(Path(greek).read_bytes()[:-500])
    assert "not a zip archive, or cut short" in refusal(str(tmp_path / "cut.zip"), tagalog)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_archive_is_an_error(tmp_path, tagalog, compression):
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries("Greek").items():
            archive.writestr(name, data)
    content = bytearray(path.read_bytes())
    for index in range(70, 140):  # inside the first drawing: its checksum, or its compressed stream, fails
        content[index] ^= 0xFF
    path.write_bytes(content)
    assert "damaged archive (" in refusal(str(path), tagalog)


def test_an_archive_of_something_else_is_an_error(tmp_path, tagalog):
    path = write_zip(tmp_path / "other.zip", {"README.md": b"hello", "a/b/c.png": b""})
    assert "no ALPHABET/characterNN/*.png inside" in refusal(path, tagalog)
    (tmp_path / "empty").mkdir()
    assert "no ALPHABET/characterNN/*.png inside" in refusal(str(tmp_path / "empty"), tagalog)


def test_a_character_with_another_number_of_drawings_is_an_error(tmp_path, tagalog):
    path = write_zip(tmp_path / "few.zip", entries("Greek", drawings=19))
    assert "Greek/character01 has 19 drawings, expected 20" in refusal(path, tagalog)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a picture", "not a readable PNG"),
        (marked(1)[:60], "not a readable PNG"),
        (drawing(np.zeros((28, 28), bool)), "28 x 28 pixels, expected 105 x 105"),
    ],
)
def test_a_drawing_that_is_none_is_named(tmp_path, tagalog, content, message):
    name = "images_background/Greek/character01/0001_05.png"
    path = write_zip(tmp_path / "bad.zip", entries("Greek") | {name: content})
    told = refusal(path, tagalog)
    assert message in told
    assert name in told


def test_the_real_small_sets_have_the_published_characters(omniglot_archives):
    data = load_omniglot([str(omniglot_archives[0])], [str(omniglot_archives[1])])
    # The table of the set's README: 136 characters in small1; Greek and Latin of small2 are not new.
    assert data.train.num_classes == 136
    alphabets = {name.split("/")[0] for name in data.test.names}
    assert alphabets == {"Japanese_(katakana)", "Sanskrit", "Tagalog"}
    assert data.test.num_classes == 156 - 24 - 26  # letters of the Greek and of the Latin alphabet
    assert 0.02 < data.train.images.mean() < 0.2  # thin ink on an empty ground, not the reverse
