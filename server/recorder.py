"""The run folder: what it holds, how it is opened, how lines are added to it and cut back on resume."""

import io
import json
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.wire.provenance import commit, system, versions
from server.checkpoint import storing, write_whole
from server.config import Arm, Experiment
from server.error_budget import PARTS
from server.link_noise import mean_snr_db
from server.metrics import mean_db
from server.toml_tables import to_tables, to_toml

Record = dict[str, Any]
CONFIG, MANIFEST, ROUNDS, SUMMARY, FRAME, AIR, PROFILE = (
    "config.toml",
    "manifest.json",
    "rounds.jsonl",
    "summary.json",
    "frame.npz",
    "air.json",
    "profile.json",
)
NO_BITS = {  # settings that may change between a run and its continuation
    *(("run", key) for key in ("threads", "record", "record_every")),
    *(("fleet", key) for key in ("repeats", "beat_s", "lost_s", "reply_s", "return_s")),
    ("radio", "profile_max_age_s"),
}


class RunFolderError(ValueError):
    """A folder that cannot take this run."""


def open_run_folder(folder: Path, arms: Sequence[Arm], resume: bool) -> None:
    """Make the folders of a run, or check that what is there is the same experiment. Raises RunFolderError.

    Nothing is written unless every arm can run.
    """
    if folder.is_file():
        raise RunFolderError(f"{folder} is a file; give --out a folder")
    held = sorted(folder.rglob(CONFIG)) if folder.is_dir() else []
    if resume and not held:
        raise RunFolderError(f"{folder} holds no run to resume; start it without --resume")
    if held and not resume:
        raise RunFolderError(f"{folder} already holds a run; give another --out, or --resume to continue it")
    if not held and folder.is_dir() and any(folder.iterdir()):
        raise RunFolderError(f"{folder} holds files that are no run; give --out a new or empty folder")
    if strangers := [path for path in held if path.parent not in {folder / arm.name for arm in arms}]:
        raise RunFolderError(f"{strangers[0].parent} is no arm of this configuration; give another --out")
    for arm in arms:
        config = folder / arm.name / CONFIG
        if config.exists():
            _refuse_other_settings(config, to_tables(arm.experiment))
            for name, source, content in _files_of(arm.experiment):
                _refuse_another(folder / arm.name / name, source, content)
    for arm in arms:
        for name, _, content in _files_of(arm.experiment):
            if content is not None:
                write_whole(folder / arm.name / name, content)
        write_whole(folder / arm.name / CONFIG, to_toml(to_tables(arm.experiment)).encode())


def write_arms(folder: Path, arms: Sequence[Arm]) -> None:
    """Names of the arms in the order of the file, where there are several."""
    if [arm.name for arm in arms] != [""]:
        content = json.dumps({"arms": [arm.name for arm in arms]}, indent=2) + "\n"
        write_whole(folder / MANIFEST, content.encode())


def _refuse_other_settings(config: Path, wanted: Record) -> None:
    held = tomllib.loads(config.read_text(encoding="utf-8"))
    differing = []
    for table in wanted:
        there, here = held.get(table, {}), wanted[table]
        for key in dict.fromkeys((*here, *there)):
            if (table, key) not in NO_BITS and there.get(key) != here.get(key):
                values = [repr(values[key]) if key in values else "not given" for values in (there, here)]
                differing.append(f"{table}.{key} is {values[0]} there, {values[1]} here")
    if differing:
        raise RunFolderError(
            f"{config.parent} holds a run with other settings: {'; '.join(differing[:3])}; resume with the "
            "configuration it was started with, or give another --out"
        )


def _files_of(experiment: Experiment) -> list[tuple[str, str, bytes | None]]:
    """What a run depends on as it does on its configuration: name in its folder, where it comes from in words, and
    content, None where there is none."""
    air, profile = experiment.air.measured if experiment.is_simulated else None, experiment.profile
    return [
        (AIR, experiment.air.origin, Path(air).read_bytes() if air else None),
        (PROFILE, f'radio.profile = "{profile}"', Path(profile).read_bytes() if profile else None),
    ]


def _refuse_another(kept: Path, source: str, content: bytes | None) -> None:
    if content != (kept.read_bytes() if kept.exists() else None):
        raise RunFolderError(
            f"{source} is another file than the one that the run in {kept.parent} was started with; "
            f"bring that one back, it is {kept}, or give another --out"
        )


def write_manifest(
    folder: Path, experiment: Experiment, threads: int, radios: list[Record], hosts: Record | None = None
) -> None:
    """What the run was made with. hosts: device processes by name."""
    manifest = {
        "seed": experiment.run.seed,
        "snr_db": mean_snr_db(experiment),
        "threads": threads,
        **system(),
        "pid": os.getpid(),
        "versions": versions() | {"gnuradio": gnuradio_version()},
        "commit": commit(),
        "radios": radios,
        "profile": None if experiment.applied is None else experiment.applied.facts(),
    } | ({} if hosts is None else {"hosts": hosts})
    write_whole(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())


def append_round(folder: Path, record: Record) -> None:
    """Add one line and see it to the disk, so that a checkpoint never knows of a round that the record lacks.

    StorageError."""
    with storing(folder / ROUNDS), (folder / ROUNDS).open("a", encoding="utf-8") as out:
        out.write(json.dumps(record) + "\n")
        out.flush()
        os.fsync(out.fileno())


def read_rounds(folder: Path) -> list[Record]:
    """All whole lines of the record."""
    path = folder / ROUNDS
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def keep_rounds(folder: Path, num_rounds: int) -> None:
    """Cut the record back to its first `num_rounds` lines: later ones will be made again, the same."""
    kept = read_rounds(folder)[:num_rounds]
    write_whole(folder / ROUNDS, "".join(json.dumps(record) + "\n" for record in kept).encode())


def replace_last_round(folder: Path, record: Record) -> None:
    """The last line anew: what was to be found out of that round came later."""
    kept = read_rounds(folder)[:-1]
    write_whole(folder / ROUNDS, "".join(json.dumps(each) + "\n" for each in (*kept, record)).encode())


def write_frame(
    folder: Path, amplitudes: NDArray[np.complexfloating], samples: NDArray[np.complexfloating]
) -> None:
    """Keep one received frame for the report's figures."""
    content = io.BytesIO()
    np.savez(content, amplitudes=amplitudes.astype(np.complex64), samples=samples.astype(np.complex64))
    write_whole(folder / FRAME, content.getvalue())


def write_summary(folder: Path, summary: Record) -> None:
    """The run in numbers; its presence says that the run is complete."""
    write_whole(folder / SUMMARY, (json.dumps(summary, indent=2) + "\n").encode())


def summarise(
    experiment: Experiment, dimension: int, rounds: list[Record], untrained: Record, final: Record
) -> Record:
    """summary.json, but for the wall time: totals and means over rounds, the last evaluation, the first."""
    done = [record for record in rounds if "failed" not in record]

    def total(key: str) -> float:
        return sum(record.get(key, 0) for record in done)

    def error_db(key: str) -> float | None:
        return mean_db([record.get(key) for record in done])

    return {
        "rounds": len(rounds),
        "failed_rounds": len(rounds) - len(done),
        "repeats": sum(len(record.get("repeated", ())) for record in rounds),
        "seed": experiment.run.seed,
        "parameters": dimension,
        "backend": experiment.link.backend,
        "scheme": experiment.link.scheme,
        "snr_db": mean_snr_db(experiment),
        **final,
        "accuracy_untrained": untrained["accuracy_after"],
        "accuracy_untrained_ci95": untrained["accuracy_after_ci95"],
        "nmse_db": error_db("nmse"),
        "nmse_full_db": error_db("nmse_full"),
        "nmse_air_db": error_db("nmse_air"),
        "nmse_amplitude_db": error_db("nmse_amplitude"),
        "error_budget_db": budget_db(done),
        "channel_uses": total("channel_uses"),
        "overhead_uses": total("overhead_uses"),
        "airtime_s": total("airtime_s"),
        "gap_s": total("gap_s") / len(done) if done else None,
        "transmit_energy": total("transmit_energy"),
        "control_bits": total("control_bits"),
        "values": total("values"),
        "accounted": any(record.get("accounted") for record in done),
    }


def budget_db(done: list[Record]) -> dict[str, float | None]:
    """Parts of `nmse_full_db` by name, each the linear mean over rounds; empty where the truth is not known."""
    budgets = [record["error_budget"] for record in done if record.get("error_budget")]
    return {part: mean_db([budget[part] for budget in budgets]) for part in PARTS} if budgets else {}


def gnuradio_version() -> str | None:
    """Version of the GNU Radio that Python can import, None if it cannot."""
    try:
        from gnuradio import gr
    except ImportError:
        return None
    return str(gr.version())
