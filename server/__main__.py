"""The command `airmeta`: the composition root, which alone knows what is plugged in."""

import os

# One thread a numerical call, before any library reads it: sums have other bits with two.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from radio.interface import RadioError
from server import air_options as options
from server.addresses import check_free, consecutive
from server.air_command import AirPlan, load_plan, told_to_end, wait_until
from server.air_options import Pace
from server.composition import Parts, open_air, open_bench, prepare
from server.config import Arm, ConfigError
from server.config_file import load_arms
from server.console import print_air, print_findings, print_status, print_summaries, progress_of
from server.doctor import IIOD_PORT, can_simulate, examine

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
out, err = Console(), Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


@app.callback()
def about() -> None:
    """Over-the-air federated meta-learning."""


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="TOML file of the experiment", metavar="CONFIG.toml")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change one setting; may be repeated."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Short for --set run.seed=N.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Run folder; default: a fresh one under runs/."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out from its last checkpoint.")
    ] = False,
) -> None:
    """Run an experiment and write its folder: records, checkpoint, summary, report."""
    from server.recorder import open_run_folder, write_arms
    from server.report import write_report

    with _refusing_bad_input():
        overrides = [*(settings or []), *([f"run.seed={seed}"] if seed is not None else [])]
        arms = load_arms(config, overrides)
        if resume and folder is None:
            raise ConfigError("--resume needs --out DIR, the folder of the run to continue")
        folder = folder or Path("runs") / f"{config.stem}-{datetime.now():%Y%m%d-%H%M%S}"
        prepared = [prepare(arm) for arm in arms]
        open_run_folder(folder, arms, resume)
        write_arms(folder, arms)
    with _reporting_failure():
        out.print(f"run folder {folder}", highlight=False, soft_wrap=True)
        summaries = {_title(parts.arm): _run_one(parts, folder / parts.arm.name) for parts in prepared}
        report = write_report(folder)
        print_summaries(out, summaries)
        out.print(f"report {report}", highlight=False, soft_wrap=True)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a run, or of one of its arms")],
) -> None:
    """Rebuild report.html and figures/ from a run folder."""
    from server.report import write_report

    with _refusing_bad_input(), _reporting_failure():
        out.print(write_report(folder), highlight=False, soft_wrap=True)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a run, or of one of its arms")],
) -> None:
    """Show a run from another terminal: round, last figures, devices and their state."""
    from server.status import read_status

    with _refusing_bad_input():
        print_status(out, read_status(folder))


@app.command()
def doctor(
    radio: Annotated[
        list[str] | None,
        typer.Option(metavar="URI", help="Examine a radio, e.g. ip:192.168.2.1; may be repeated."),
    ] = None,
) -> None:
    """Say what is installed, what is reachable, what is wrong and how to mend it."""
    findings = examine(tuple(radio or ()))
    print_findings(out, findings)
    if can_simulate(findings):
        out.print("the simulated backend can run: airmeta run experiments/quickstart.toml", highlight=False)
    else:
        out.print("the simulated backend cannot run; mend what is missing or wrong above", highlight=False)
    silent = any(finding.name in (radio or ()) and finding.verdict != "ok" for finding in findings)
    raise typer.Exit(0 if can_simulate(findings) and not silent else 1)


@app.command()
def air(
    config: options.Config = None,
    radios: options.Radios = None,
    pace: options.PaceOption = Pace.VIRTUAL,
    patience: options.Patience = None,
    cable: options.Cable = False,
    isolation: options.Isolation = None,
    arm: options.ArmName = None,
    settings: options.Settings = None,
    host: options.Host = "127.0.0.2",
    beyond_loopback: options.BeyondLoopback = False,
) -> None:
    """Serve virtual Plutos on one simulated air until stopped."""
    with _refusing_bad_input():
        from sim_backend.levels import TX_FULL_SCALE_DBM

        options.check(radios, config, settings, arm, pace, patience, cable, isolation)
        plan = AirPlan() if config is None else load_plan(config, settings or (), arm, TX_FULL_SCALE_DBM)
        hosts = consecutive(host, radios or plan.num_radios, beyond_loopback)
        check_free(hosts, IIOD_PORT)
    if beyond_loopback:
        err.print(
            f"warning: IIOD has neither authentication nor encryption; anybody who reaches {hosts[0]} is served"
        )
    try:
        with (
            told_to_end() as told,
            open_air(plan, hosts, pace, patience, cable, isolation) as (bench, facts),
        ):
            print_air(out, bench.uris, facts)
            wait_until(told, lambda: bench.engine.now_s)
    except (RadioError, OSError) as error:
        err.print(f"error: {error}")
        raise typer.Exit(1) from error


def main() -> None:
    """Entry point of the console command."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for room in ("radio", "calibration", "sim_backend", "devices", "server"):
        logging.getLogger(room).setLevel(logging.INFO)
    app()


@contextmanager
def _refusing_bad_input() -> Iterator[None]:
    """Before work starts a ValueError is what a user asked wrongly: one line and exit code 2."""
    try:
        yield
    except ValueError as error:
        err.print(f"error: {error}")
        raise typer.Exit(2) from error
    except OSError as error:
        err.print(f"error: {error}")
        raise typer.Exit(1) from error


@contextmanager
def _reporting_failure() -> Iterator[None]:
    """What went wrong in the course of work: one line and exit code 1. Other exceptions are bugs and show it."""
    from server.checkpoint import CheckpointError
    from server.experiment import ExperimentFailed
    from server.rounds import RoundFailed

    try:
        yield
    except (ExperimentFailed, RoundFailed, CheckpointError, RadioError, OSError) as error:
        err.print(f"error: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        err.print("interrupted; continue from the last checkpoint with --resume and the same --out")
        raise typer.Exit(1) from error


def _title(arm: Arm) -> str:
    return arm.name or arm.experiment.link.scheme


def _run_one(parts: Parts, folder: Path) -> dict[str, Any]:
    from server.experiment import num_workers, run_arm
    from server.recorder import SUMMARY, write_manifest

    experiment, title = parts.arm.experiment, _title(parts.arm)
    if (folder / SUMMARY).exists():
        out.print(f"{title}: already complete", highlight=False)
        return dict(json.loads((folder / SUMMARY).read_text(encoding="utf-8")))
    with open_bench(parts) as bench:
        write_manifest(folder, experiment, num_workers(experiment), bench.radios)
        with progress_of(out, title, experiment.run.rounds) as on_round:
            return run_arm(folder, bench.rounds, on_round)


if __name__ == "__main__":
    main()
