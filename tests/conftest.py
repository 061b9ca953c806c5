"""One thread a numerical call, as in the program itself: sums have other bits with two."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FIRST = (  # files that would leave other workers idle if they came last; `make test` keeps this order
    "test_cli.py", "test_docs.py", "test_processes.py", "test_signals.py", "test_corrected_processes.py",
    "test_first_light.py", "test_full_disk.py", "test_faults.py", "test_calibrate_command.py", "test_siege.py",
    "test_hosts.py", "test_pluto_run.py", "test_bench_clients.py", "test_scheme_rounds.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Long files first, the others in the order they were found in."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


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
