"""What `airmeta run` and `airmeta server` do: every arm in its folder, and a report of all."""

import json
from pathlib import Path
from typing import Any

from server import journal
from server.arm_parts import Parts
from server.board import BOARD
from server.composition import open_bench, prepare
from server.config import Arm
from server.console import print_summaries, progress_of
from server.experiment import num_workers, run_arm
from server.launch import Remote
from server.logs import kept_log
from server.recorder import MANIFEST, SUMMARY, open_run_folder, write_arms, write_manifest
from server.report import write_report
from server.signals import ending_on_sigterm
from server.terminal import out, refusing_bad_input, reporting_failure, say


def run_arms(arms: list[Arm], folder: Path, resume: bool, remote: Remote | None = None) -> None:
    """Complete arms are only read. With remote, devices are processes that connect."""
    with refusing_bad_input():
        prepared = [prepare(arm, remote) for arm in arms]
        open_run_folder(folder, arms, resume)
        write_arms(folder, arms)
    with (
        ending_on_sigterm(),
        reporting_failure(),
        kept_log(folder / "logs" / "server.log", "server"),
        journal.told_how_it_ends(),
    ):
        say(f"run folder {folder}")
        summaries = {}
        for parts in prepared:
            place = folder / parts.arm.name
            if remote is not None:
                remote = remote._replace(logs=place / "logs", is_last=parts is prepared[-1])
            summaries[_title(parts.arm)] = _run_one(parts, place, remote)
        report = write_report(folder)
        print_summaries(out, summaries)
        say(f"report {report}")


def _run_one(parts: Parts, folder: Path, remote: Remote | None) -> dict[str, Any]:
    experiment, title = parts.arm.experiment, _title(parts.arm)
    if (folder / SUMMARY).exists():
        say(f"{title}: already complete")
        return dict(json.loads((folder / SUMMARY).read_text(encoding="utf-8")))
    if not (folder / MANIFEST).exists():  # so that everybody can tell whether this process lives
        write_manifest(folder, experiment, num_workers(experiment), [])
    with open_bench(parts, remote, folder / BOARD, folder) as bench:
        hosts = bench.hosts() if bench.hosts else None
        write_manifest(folder, experiment, num_workers(experiment), bench.radios, hosts)
        try:
            with progress_of(out, title, experiment.run.rounds) as on_round:
                return run_arm(folder, bench.rounds, on_round)
        finally:
            if bench.hosts and (now := bench.hosts()) != hosts:  # somebody came back as another
                write_manifest(folder, experiment, num_workers(experiment), bench.radios, now)


def _title(arm: Arm) -> str:
    return arm.name or arm.experiment.link.scheme
