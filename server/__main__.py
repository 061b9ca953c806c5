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
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from devices.wire.keys import KeyFileError, make_keys
from radio.interface import RadioError
from server import air_options as options
from server import run_options
from server.addresses import check_free, consecutive
from server.air_command import AirPlan, load_plan, told_to_end, wait_until
from server.air_options import Pace
from server.arm_parts import Parts
from server.compose_air import open_air
from server.composition import open_bench, prepare
from server.config import Arm, ConfigError
from server.console import print_air, print_findings, print_status, print_summaries, progress_of
from server.doctor import IIOD_PORT, can_simulate, examine
from server.door import check_bind
from server.launch import Remote
from server.signals import ending_on_sigterm, ends_with

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
out, err = Console(), Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


@app.callback()
def about() -> None:
    """Over-the-air federated meta-learning."""


@app.command()
def run(
    config: run_options.Config,
    settings: run_options.Settings = None,
    seed: run_options.Seed = None,
    folder: run_options.Folder = None,
    resume: run_options.Resume = False,
    processes: run_options.Processes = False,
    count: run_options.DevicesAProcess = None,
) -> None:
    """Run an experiment and write its folder: records, checkpoint, summary, report."""
    with _refusing_bad_input():
        if count is not None and not processes:
            raise ConfigError(
                f"--count {count} has no effect without --processes; add it, or leave --count out"
            )
        arms, folder = run_options.arms_and_folder(config, settings, seed, folder, resume)
    if processes:
        _run_arms(arms, folder, resume, Remote("tcp://127.0.0.1:0", devices_a_process=count or 1))
    else:
        _run_arms(arms, folder, resume)


@app.command()
def server(
    config: run_options.Config,
    bind: run_options.Bind = run_options.BIND,
    keys: run_options.KeyFolder = None,
    settings: run_options.Settings = None,
    seed: run_options.Seed = None,
    folder: run_options.Folder = None,
    resume: run_options.Resume = False,
) -> None:
    """As run, with devices that are processes of their own and connect from wherever they are."""
    with _refusing_bad_input():
        check_bind(bind, keys is not None)
        arms, folder = run_options.arms_and_folder(config, settings, seed, folder, resume)
    _run_arms(arms, folder, resume, Remote(bind, keys, on_listening=_print_listening))


@app.command()
def device(
    url: run_options.ServerUrl,
    name: run_options.Name,
    count: run_options.Count = None,
    first: run_options.First = -1,
    radio: run_options.Radio = None,
    keys: run_options.KeyFolder = None,
    leash: run_options.Leash = False,
) -> None:
    """Host devices for a server, until it has no more work."""
    from devices.client import ClientError
    from devices.composition import serve_devices

    uris = tuple(radio or ())
    with _refusing_bad_input():
        if uris and count not in (None, len(uris)):
            raise ConfigError(
                f"--count {count} with {len(uris)} radios; a device with a radio needs one of its own"
            )
    code = 0
    with told_to_end() as told:
        ended = bool if leash is False else ends_with(sys.stdin.fileno())
        try:
            is_idle = serve_devices(
                url,
                name,
                lambda: bool(told) or ended(),
                count=len(uris) or count or 1,
                first=first,
                uris=uris,
                keys=keys,
            )
        except ClientError as error:
            err.print(f"error: {error}")
            code, is_idle = 1, True
        except KeyFileError as error:
            err.print(f"error: {error}")
            code, is_idle = 2, True
    if not is_idle:  # what is being computed is of no use to anybody, and cannot be interrupted
        sys.stdout.flush()
        os._exit(code)
    raise typer.Exit(code)


@app.command()
def keys(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the keys")],
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Devices, by --id")] = None,
) -> None:
    """Make keys of a server and its devices, and the list of devices that it lets in."""
    with _refusing_bad_input():
        made = make_keys(folder, tuple(names or ()))
    for path in made:
        out.print(path, highlight=False, soft_wrap=True)
    out.print(
        f"{len(made)} files made; a device's host needs server.pub and its own NAME.key", highlight=False
    )


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
    from server.fleet import FleetError
    from server.planning import RoundFailed

    try:
        yield
    except (FleetError, ExperimentFailed, RoundFailed, CheckpointError, RadioError, OSError) as error:
        err.print(f"error: {error}")
        raise typer.Exit(1) from error
    except (ConfigError, KeyFileError) as error:  # of what only devices could tell
        err.print(f"error: {error}")
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        err.print("interrupted; continue from the last checkpoint with --resume and the same --out")
        raise typer.Exit(1) from error


def _title(arm: Arm) -> str:
    return arm.name or arm.experiment.link.scheme


def _run_arms(arms: list[Arm], folder: Path, resume: bool, remote: Remote | None = None) -> None:
    from server.recorder import open_run_folder, write_arms
    from server.report import write_report

    with _refusing_bad_input():
        prepared = [prepare(arm, remote) for arm in arms]
        open_run_folder(folder, arms, resume)
        write_arms(folder, arms)
    with ending_on_sigterm(), _reporting_failure():
        out.print(f"run folder {folder}", highlight=False, soft_wrap=True)
        summaries = {}
        for parts in prepared:
            place = folder / parts.arm.name
            if remote is not None:
                remote = remote._replace(logs=place / "logs", is_last=parts is prepared[-1])
            summaries[_title(parts.arm)] = _run_one(parts, place, remote)
        report = write_report(folder)
        print_summaries(out, summaries)
        out.print(f"report {report}", highlight=False, soft_wrap=True)


def _run_one(parts: Parts, folder: Path, remote: Remote | None) -> dict[str, Any]:
    from server.experiment import num_workers, run_arm
    from server.recorder import SUMMARY, write_manifest

    experiment, title = parts.arm.experiment, _title(parts.arm)
    if (folder / SUMMARY).exists():
        out.print(f"{title}: already complete", highlight=False)
        return dict(json.loads((folder / SUMMARY).read_text(encoding="utf-8")))
    with open_bench(parts, remote) as bench:
        write_manifest(folder, experiment, num_workers(experiment), bench.radios, bench.hosts)
        with progress_of(out, title, experiment.run.rounds) as on_round:
            return run_arm(folder, bench.rounds, on_round)


def _print_listening(url: str) -> None:
    out.print(f"listening at {url}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
