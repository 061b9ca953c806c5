"""Everything that a run continues from, in one file that is replaced whole: either the old or the new one exists.

Random streams, fading and noise are functions of seed and time, so parameters, memories and what the uplink knows of
its clocks are all there is.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

PARAMETERS = "theta"
MEMORY = "memory."
UPLINK = "uplink."
SUPPORT = "support."
FORMAT = 2  # 1 had no state of the uplink


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read."""


class StorageError(OSError):
    """A file of a run that cannot be written; one line with the remedy."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """After `round` rounds. untrained: the evaluation before the first of them; failed_in_a_row: up to here; uplink:
    what `Uplink.save` gave; support: what the rule of shared supports did."""

    round: int
    theta: NDArray[np.float32]
    memories: dict[int, NDArray[np.float32]]
    untrained: dict[str, Any] = field(default_factory=dict)
    failed_in_a_row: int = 0
    wall_s: float = 0.0
    uplink: dict[str, NDArray[Any]] = field(default_factory=dict)
    support: dict[str, NDArray[Any]] = field(default_factory=dict)


def checkpoint_path(folder: Path) -> Path:
    """Where a run folder keeps its checkpoint."""
    return folder / "checkpoint" / "state.safetensors"


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write beside the old one, flush to disk, replace."""
    tensors = {PARAMETERS: checkpoint.theta}
    tensors |= {f"{MEMORY}{device}": values for device, values in checkpoint.memories.items()}
    tensors |= {f"{UPLINK}{name}": values for name, values in checkpoint.uplink.items()}
    tensors |= {f"{SUPPORT}{name}": values for name, values in checkpoint.support.items()}
    facts = {
        "format": FORMAT,
        "round": checkpoint.round,
        "untrained": checkpoint.untrained,
        "failed_in_a_row": checkpoint.failed_in_a_row,
        "wall_s": checkpoint.wall_s,
    }
    write_whole(checkpoint_path(folder), save(tensors, metadata={"airmeta": json.dumps(facts)}))


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The last checkpoint of a run folder, or None if it has none. Raises CheckpointError."""
    path = checkpoint_path(folder)
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as stored:
            facts = json.loads(stored.metadata()["airmeta"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118, not a dictionary
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error}; remove the run folder and start again"
        ) from error
    found = facts.pop("format", 1)
    if found != FORMAT:
        raise CheckpointError(
            f"{path} has format {found}, this version continues format {FORMAT}; finish the run with the version that "
            "began it, or start again in another folder"
        )
    memories = {int(n.removeprefix(MEMORY)): v for n, v in tensors.items() if n.startswith(MEMORY)}
    uplink = {n.removeprefix(UPLINK): v for n, v in tensors.items() if n.startswith(UPLINK)}
    support = {n.removeprefix(SUPPORT): v for n, v in tensors.items() if n.startswith(SUPPORT)}
    return Checkpoint(theta=tensors[PARAMETERS], memories=memories, uplink=uplink, support=support, **facts)


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """What cannot be stored, on a full disk for one, is a StorageError that names the file."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}; mend that and continue with --resume and the same --out"
        ) from error


def write_whole(path: Path, content: bytes, to_disk: bool = True) -> None:
    """Replace a file so that a reader finds the old content or the new, never a part, and with to_disk a crash too.

    StorageError."""
    with storing(path):
        _replace(path, content, to_disk)


def _replace(path: Path, content: bytes, to_disk: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    try:
        with beside.open("wb") as out:
            out.write(content)
            if to_disk:
                out.flush()
                os.fsync(out.fileno())
        os.replace(beside, path)
    except BaseException:  # an interrupt, a full disk
        beside.unlink(missing_ok=True)
        raise
    if not to_disk:
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
