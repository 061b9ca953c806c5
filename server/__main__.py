"""The command `airmeta`: the composition root, which alone knows what is plugged in."""

import os

# One thread a numerical call, before any library reads it: sums have other bits with two.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import dataclasses
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from server.config import Arm, ConfigError, Experiment, load_arms
from server.doctor import can_simulate, examine, why_no_gnuradio
from server.rounds import Rounds

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
out, err = Console(), Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


class Bench(NamedTuple):
    """An arm with everything plugged in. radios: what the manifest says of them."""

    arm: Arm
    rounds: Rounds
    radios: list[dict[str, Any]]
    close: Callable[[], None]


@app.callback()
def about() -> None:
    """Over-the-air federated meta-learning: experiments, calibration and simulated radios."""


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

    with _errors_to_exit_codes():
        overrides = [*(settings or []), *([f"run.seed={seed}"] if seed is not None else [])]
        arms = load_arms(config, overrides)
        if resume and folder is None:
            raise ConfigError("--resume needs --out DIR, the folder of the run to continue")
        folder = folder or Path("runs") / f"{config.stem}-{datetime.now():%Y%m%d-%H%M%S}"
        benches = [_plug_in(arm) for arm in arms]
        try:
            open_run_folder(folder, arms, resume)
            write_arms(folder, arms)
            out.print(f"run folder [bold]{folder}[/]", highlight=False)
            summaries = {bench.arm.name: _run_one(bench, folder / bench.arm.name) for bench in benches}
        finally:
            for bench in benches:
                bench.close()
        report = write_report(folder)
        _print_summaries(summaries)
        out.print(f"report [bold]{report}[/]", highlight=False, soft_wrap=True)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a run, or of one of its arms")],
) -> None:
    """Rebuild report.html and figures/ from a run folder."""
    from server.report import write_report

    with _errors_to_exit_codes():
        out.print(write_report(folder), highlight=False, soft_wrap=True)


@app.command()
def doctor(
    radio: Annotated[
        list[str] | None,
        typer.Option(metavar="URI", help="Examine a radio, e.g. ip:192.168.2.1; may be repeated."),
    ] = None,
) -> None:
    """Say what is installed, what is reachable, what is wrong and how to mend it."""
    findings = examine(tuple(radio or ()))
    colour = {"ok": "green", "missing": "yellow", "wrong": "red"}
    table = RichTable(box=None, pad_edge=False)
    for heading in ("", "", "found", "needed for", "how to get it"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        verdict = f"[{colour[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(finding.name, verdict, finding.detail, finding.needed_for, finding.remedy)
    out.print(table)
    simulates = can_simulate(findings)
    out.print(
        "the simulated backend can run: airmeta run experiments/quickstart.toml"
        if simulates
        else "the simulated backend cannot run; see above"
    )
    named_radio_silent = any(
        finding.name in (radio or ()) and finding.verdict != "ok" for finding in findings
    )
    raise typer.Exit(0 if simulates and not named_radio_silent else 1)


def main() -> None:
    """Entry point of the console command."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for room in ("radio", "calibration", "sim_backend", "devices", "server"):
        logging.getLogger(room).setLevel(logging.INFO)
    app()


@contextmanager
def _errors_to_exit_codes() -> Iterator[None]:
    """2 for what was asked wrongly, 1 for what failed; one line each. A ValueError is bad input by convention."""
    from radio.interface import RadioError
    from server.checkpoint import CheckpointError
    from server.experiment import ExperimentFailed
    from server.rounds import RoundFailed

    try:
        yield
    except ValueError as error:
        err.print(f"error: {error}")
        raise typer.Exit(2) from error
    except (ExperimentFailed, RoundFailed, RadioError, CheckpointError, OSError) as error:
        err.print(f"error: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        err.print("interrupted; continue from the last checkpoint with --resume and the same --out")
        raise typer.Exit(1) from error


def _run_one(bench: Bench, folder: Path) -> dict[str, Any]:
    from server.experiment import num_workers, run_arm
    from server.recorder import SUMMARY, write_manifest

    experiment = bench.rounds.experiment
    if (folder / SUMMARY).exists():
        out.print(f"{bench.arm.name or 'run'}: already complete")
        return dict(json.loads((folder / SUMMARY).read_text(encoding="utf-8")))
    write_manifest(folder, experiment, num_workers(experiment), bench.radios)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[latest]}"),
    )
    with Progress(*columns, console=out) as progress:
        task = progress.add_task(bench.arm.name or "rounds", total=experiment.run.rounds, latest="")
        latest = {"accuracy": "", "nmse": ""}

        def on_round(record: dict[str, Any]) -> None:
            if "accuracy_after" in record:
                latest["accuracy"] = f"accuracy {record['accuracy_after']:.3f}"
                if not out.is_terminal:
                    out.print(
                        f"{bench.arm.name or 'run'} round {record['round'] + 1}: {latest['accuracy']} {latest['nmse']}"
                    )
            if record.get("nmse_air"):
                latest["nmse"] = f"NMSE air {_db(record['nmse_air'])}, whole {_db(record['nmse'])}"
            if "failed" in record:
                out.print(
                    f"round {record['round']} failed: {record['failed']}", style="yellow", highlight=False
                )
            progress.update(
                task, completed=record["round"] + 1, latest="  ".join(filter(None, latest.values()))
            )

        return run_arm(folder, bench.rounds, on_round)


def _db(ratio: float) -> str:
    from radio.decibel import to_db

    return f"{to_db(ratio):.1f} dB"


def _print_summaries(summaries: dict[str, dict[str, Any]]) -> None:
    table = RichTable(box=None, pad_edge=False)
    for heading in ("arm", "accuracy", "95 % interval", "untrained", "NMSE", "NMSE air", "wall"):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    for name, summary in summaries.items():
        low, high = summary["accuracy_after_ci95"]
        errors = [
            "-" if summary[key] is None else f"{summary[key]:.1f} dB" for key in ("nmse_db", "nmse_air_db")
        ]
        table.add_row(
            name or summary["scheme"], f"{summary['accuracy_after']:.3f}", f"{low:.3f} to {high:.3f}",
            f"{summary['accuracy_untrained']:.3f}", *errors, f"{summary['wall_s']:.0f} s",
        )  # fmt: skip
    out.print(table)


def _plug_in(arm: Arm) -> Bench:
    """Build devices, uplink and scheme of an arm. ValueError for anything that cannot work, before work starts."""
    try:
        from devices.agent import build_agents, one_torch_thread
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed, and devices need it; pip install 'airmeta[learning]'"
        ) from error
    from devices.messages import DeviceSettings
    from devices.proxy import LocalProxy, guarded
    from radio.frame import element_level
    from radio.schedule import Schedule
    from radio.schemes.registry import load_scheme
    from server.experiment import num_workers

    experiment = arm.experiment
    if experiment.link.backend == "waveform" and (reason := why_no_gnuradio()):
        raise ConfigError(
            f'link.backend = "waveform" needs GNU Radio, which Python cannot import ({reason}); '
            'apt-get install gnuradio and run make setup, or set link.backend = "symbol"'
        )
    ofdm = experiment.radio.ofdm()
    level = element_level(experiment.link.backoff_db, ofdm)
    agents = build_agents(
        DeviceSettings(
            seed=experiment.run.seed,
            task=experiment.task,
            model=experiment.model,
            learning=experiment.learning,
            scheme=experiment.link.scheme,
            memory=experiment.update.memory,
            devices=experiment.fleet.devices,
            held_out=experiment.fleet.held_out,
            classes_per_device=experiment.fleet.classes_per_device,
            waveform=(ofdm, level) if experiment.link.backend == "waveform" else None,
        )
    )
    scheme = load_scheme(experiment.link.scheme)
    dimension = agents[0].model.num_parameters
    schedule = Schedule(ofdm=ofdm, round_s=experiment.link.round_s, gap_s=experiment.link.gap_s)
    if experiment.link.backend == "waveform":
        schedule.check(experiment.num_active, scheme.num_elements(dimension, experiment.update.measurements))
    proxy = LocalProxy(
        {device: guarded(agent.handle, device) for device, agent in agents.items()},
        num_workers(experiment),
        one_torch_thread,
    )
    uplink, truth, mean_gain, radios = _open_uplink(experiment, schedule, level)

    def close() -> None:
        proxy.close()
        uplink.close()

    return Bench(arm, Rounds(experiment, proxy, uplink, scheme, mean_gain, truth), radios, close)


def _open_uplink(
    experiment: Experiment, schedule: Any, level: float
) -> tuple[Any, Any, float, list[dict[str, Any]]]:
    """The uplink, the truth behind it, E|h| of its model, and its radios."""
    import numpy as np

    from radio.air_config import AirConfig, Fading
    from radio.decibel import from_db
    from radio.interface import RadioConfig
    from radio.seeds import Use, stream
    from server.receiver import RadioUplink
    from sim_backend.air import Air
    from sim_backend.channel import BlockChannel, ChannelTruth
    from sim_backend.radio import SimRadio
    from sim_backend.symbol import SymbolUplink

    link, ofdm, seed = experiment.link, schedule.ofdm, experiment.run.seed
    if link.backend == "ideal":
        channel = BlockChannel(Fading(), AirConfig(), seed, schedule.round_len)
        return SymbolUplink(channel, schedule, 0.0, seed), ChannelTruth(channel, ofdm), 1.0, []
    fading = Fading(law=link.fading, rician_k_db=link.rician_k_db)
    channel = BlockChannel(fading, experiment.air, seed, schedule.round_len)
    truth = ChannelTruth(channel, ofdm)
    # E|h| as a model of the experimenter's, like the fading law itself: over devices, and subcarriers where taps differ
    shapes = [np.abs(channel.shape(device, ofdm)).mean() for device in range(experiment.fleet.devices)]
    mean_gain = fading.mean_gain() * float(np.mean(shapes))
    noise_variance = from_db(-link.snr_db)
    if link.backend == "symbol":
        return SymbolUplink(channel, schedule, noise_variance, seed), truth, mean_gain, []
    air = Air(channel, noise_variance * level**2, seed, memory_samples=round(ofdm.sample_rate_hz))
    config = RadioConfig(sample_rate_hz=ofdm.sample_rate_hz, center_hz=experiment.radio.center_hz)
    # The receiver's clock leads the transmitters' by an amount that nobody is told
    clock_offset = int(
        stream(seed, Use.CLOCK).integers(
            -experiment.air.start_offset_samples, experiment.air.start_offset_samples + 1
        )
    )
    receiver = SimRadio(air, -1, config, clock_offset)
    transmitters = {device: SimRadio(air, device, config) for device in range(experiment.fleet.devices)}
    radios = [dataclasses.asdict(radio.status()) for radio in (receiver, *transmitters.values())]
    return RadioUplink(receiver, transmitters, schedule, link.backoff_db), truth, mean_gain, radios


if __name__ == "__main__":
    main()
