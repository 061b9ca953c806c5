"""The official Omniglot archives: found in a cache folder, or downloaded into it."""

import logging
import os
import shutil
import tempfile
import urllib.request
import zipfile
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from devices.learning.datasets import DataError

BASE_URL = "https://github.com/brendenlake/omniglot/raw/master/python"
ARCHIVES = ("images_background.zip", "images_evaluation.zip")
SMALL_ARCHIVES = ("images_background_small1.zip", "images_background_small2.zip")

logger = logging.getLogger(__name__)


def default_cache() -> Path:
    """$AIRMETA_CACHE if set, else ~/.cache/airmeta/omniglot."""
    return Path(os.environ.get("AIRMETA_CACHE") or "~/.cache/airmeta/omniglot").expanduser()


def local_archives() -> tuple[Path, Path] | None:
    """The full sets, else the small ones, in the folder `omniglot` of $AIRMETA_DATA; None if they are not there."""
    if not (data := os.environ.get("AIRMETA_DATA")):
        return None
    folder = Path(data).expanduser() / "omniglot"
    for names in (ARCHIVES, SMALL_ARCHIVES):
        background, evaluation = (folder / name for name in names)
        if background.exists() and evaluation.exists():
            logger.info("Omniglot from %s and %s", background, evaluation)
            return background, evaluation
    return None


def fetch_archives(
    cache: Path | None = None, base_url: str = BASE_URL, timeout_s: float = 30.0
) -> tuple[Path, Path]:
    """Paths of the background and the evaluation archive, downloading what `cache` lacks.

    timeout_s: longest silence of the server, not the length of the whole download.
    Raises DataError, saying which files to put where, if one cannot be downloaded.
    """
    folder = default_cache() if cache is None else cache
    for name in ARCHIVES:
        if not (folder / name).exists():
            _download(f"{base_url}/{name}", folder / name, timeout_s)
    return folder / ARCHIVES[0], folder / ARCHIVES[1]


def _download(url: str, target: Path, timeout_s: float) -> None:
    logger.info("downloading %s to %s", url, target)
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(url, timeout=timeout_s) as response,
            tempfile.NamedTemporaryFile(dir=target.parent, suffix=".part", delete=False) as file,
        ):
            partial = Path(file.name)
            shutil.copyfileobj(response, file)
        if not zipfile.is_zipfile(partial):  # its directory is at the end: a cut file, or a page of a proxy
            raise DataError(f"{url}: what arrived is not a complete zip archive; {_remedy(target.parent)}")
        partial.replace(target)  # whole or not at all, also when several devices start at once
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()  # it is also the response, and keeps the connection
        raise DataError(f"{url}: download failed ({error}); {_remedy(target.parent)}") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _remedy(folder: Path) -> str:
    urls = " and ".join(f"{BASE_URL}/{name}" for name in ARCHIVES)
    return f"put {urls} into {folder}, or set task.path and task.test_path to Omniglot archives that you have"
