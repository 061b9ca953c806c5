"""What software a process is made of; every process of a run says so."""

import importlib.metadata
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

DISTRIBUTIONS = (
    "airmeta", "numpy", "scipy", "torch", "msgspec", "pyzmq", "safetensors", "pyadi-iio", "pylibiio"
)  # fmt: skip


def versions(distributions: Sequence[str] = DISTRIBUTIONS) -> dict[str, str | None]:
    """By distribution, None of what is not installed."""
    return {name: _version(name) for name in distributions}


def system() -> dict[str, str]:
    """The host, and its Python."""
    return {
        "host": platform.node(),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def commit() -> str | None:
    """Commit of the source tree, marked if it was changed; None where this is no checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--match="],
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
