"""One thread a numerical call, as in the program itself: sums have other bits with two."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def omniglot_archives() -> tuple[Path, Path]:
    """The two small background sets of Omniglot: training, testing."""
    folder = Path(os.environ.get("AIRMETA_DATA", ROOT.parent / "shared" / "data")) / "omniglot"
    archives = folder / "images_background_small1.zip", folder / "images_background_small2.zip"
    if not all(archive.exists() for archive in archives):
        pytest.skip(f"needs Omniglot's small background sets in {folder}; set AIRMETA_DATA")
    return archives


@pytest.fixture
def rng():
    """Draws for one test."""
    import numpy as np

    return np.random.default_rng(12345)
