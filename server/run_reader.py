"""What a run folder tells, read leniently: finished, still running, stopped half-way, or not begun."""

import json
import math
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.checkpoint import read_checkpoint
from server.metrics import mean_db
from server.recorder import CONFIG, FRAME, MANIFEST, SUMMARY, Record, budget_db, read_rounds

ERRORS = ("nmse", "nmse_full", "nmse_air", "nmse_amplitude")
TOTALS = ("channel_uses", "overhead_uses", "airtime_s", "transmit_energy", "control_bits", "values")
ROUNDING_DB = -150.0  # below this an error is that of float arithmetic, not of a channel


@dataclass(frozen=True, eq=False)
class Frame:
    """One received frame. amplitudes: (num_elements,), 1 is the nominal rms; samples: (num_samples,), maybe none."""

    amplitudes: NDArray[np.complex64]
    samples: NDArray[np.complex64]


@dataclass(frozen=True, eq=False)
class ArmRun:
    """An arm's folder. config: nested tables; rounds: as recorded; summary: None while the arm is unfinished.

    untrained: the evaluation before the first round, empty if not known yet.
    """

    name: str
    config: Record
    config_toml: str
    manifest: Record
    rounds: list[Record]
    summary: Record | None
    untrained: Record
    frame: Frame | None
    wall_s: float | None

    def setting(self, table: str, key: str) -> Any:
        """A value of the resolved configuration, None if the folder was written without it."""
        return self.config.get(table, {}).get(key)

    def evaluations(self) -> list[tuple[int, Record]]:
        """(rounds completed, evaluation), the untrained parameters first."""
        first = [(0, self.untrained)] if self.untrained else []
        return first + [(r["round"] + 1, r) for r in self.rounds if "accuracy_after" in r]

    def numbers(self) -> Record:
        """summary.json, or what would stand there if the run had ended with its last recorded round."""
        if self.summary is not None:
            return self.summary
        done = [record for record in self.rounds if "failed" not in record]
        _, latest = (self.evaluations() or [(0, {})])[-1]
        so_far: Record = {key: latest[key] for key in latest if key.startswith(("accuracy", "loss"))}
        if self.untrained:
            so_far["accuracy_untrained"] = self.untrained["accuracy_after"]
            so_far["accuracy_untrained_ci95"] = self.untrained["accuracy_after_ci95"]
        so_far |= {f"{key}_db": mean_db([record.get(key) for record in done]) for key in ERRORS}
        so_far["error_budget_db"] = budget_db(done)
        so_far |= {key: math.fsum(record.get(key, 0) for record in done) for key in TOTALS if done}
        so_far["accounted"] = any(record.get("accounted") for record in done)
        gaps_s = [record["gap_s"] for record in done if "gap_s" in record]
        so_far["gap_s"] = math.fsum(gaps_s) / len(gaps_s) if gaps_s else None
        so_far |= {"rounds": len(self.rounds), "failed_rounds": len(self.rounds) - len(done)}
        return so_far | ({} if self.wall_s is None else {"wall_s": self.wall_s})

    def is_exact(self, error: str) -> bool:
        """Whether an error of ERRORS was known and never more than rounding."""
        known = [record[error] for record in self.rounds if record.get(error) is not None]
        return bool(known) and max(known) < 10.0 ** (ROUNDING_DB / 10.0)


def read_run(folder: Path) -> list[ArmRun]:
    """The arms of a run folder in the order of its file; one, if the folder is a single arm's.

    Raises ValueError if the folder holds no run or a broken one.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give the run folder that airmeta run printed")
    if (folder / CONFIG).exists():
        return [_read_arm(folder, _name_of_single(folder))]
    names = _arm_names(folder)
    arms = [_read_arm(folder / name, name) for name in names if (folder / name / CONFIG).exists()]
    if not arms:
        raise ValueError(
            f"{folder} holds no run: neither {CONFIG} nor arms that have one; "
            "give the run folder that airmeta run printed"
        )
    if len(arms) < len(names):
        missing = next(name for name in names if not (folder / name / CONFIG).exists())
        raise ValueError(
            f"{folder / missing} has no {CONFIG}, but {MANIFEST} names it; copy the whole run folder"
        )
    return arms


def differing_settings(arms: Sequence[ArmRun]) -> list[tuple[str, str]]:
    """(table, key) of the settings that are not the same in all arms, in the order of the configuration."""
    keys = dict.fromkeys((table, key) for arm in arms for table in arm.config for key in arm.config[table])
    return [place for place in keys if any(arm.setting(*place) != arms[0].setting(*place) for arm in arms)]


def _name_of_single(folder: Path) -> str:
    """The arm's name, if the folder is one of several; else empty."""
    folder = folder.resolve()
    return folder.name if folder.name in _arm_names(folder.parent) else ""


def _arm_names(folder: Path) -> list[str]:
    manifest = _read_json(folder / MANIFEST)
    names = manifest.get("arms", [])
    return [str(name) for name in names] if isinstance(names, list) else []


def _read_arm(folder: Path, name: str) -> ArmRun:
    config_toml = (folder / CONFIG).read_text(encoding="utf-8")
    try:
        config = tomllib.loads(config_toml)
        rounds = read_rounds(folder)
    except ValueError as error:
        raise ValueError(f"{folder} holds a broken run: {error}; restore it or run again") from error
    summary = _read_json(folder / SUMMARY) or None
    checkpoint = read_checkpoint(folder)
    return ArmRun(
        name=name or str(config.get("link", {}).get("scheme", "run")),
        config=config,
        config_toml=config_toml,
        manifest=_read_json(folder / MANIFEST),
        rounds=rounds,
        summary=summary,
        untrained=checkpoint.untrained if checkpoint else _untrained_of(summary or {}),
        frame=_read_frame(folder / FRAME),
        wall_s=checkpoint.wall_s if checkpoint else None,
    )


def _untrained_of(summary: Record) -> Record:
    """Where the checkpoint was removed to save space, the summary still knows the accuracy."""
    if "accuracy_untrained" not in summary:
        return {}
    return {
        "accuracy_after": summary["accuracy_untrained"],
        "accuracy_after_ci95": summary["accuracy_untrained_ci95"],
    }


def _read_json(path: Path) -> Record:
    """The object in a file, empty if there is no file."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}; restore it or run again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a JSON object; restore it or run again")
    return content


def _read_frame(path: Path) -> Frame | None:
    if not path.exists():
        return None
    try:
        with np.load(path) as stored:
            frame = Frame(stored["amplitudes"], stored["samples"])
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} holds no frame: {error}; remove it and report again") from error
    return frame if frame.amplitudes.size else None
