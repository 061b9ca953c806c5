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
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console

from devices.messages import DeviceSettings
from devices.proxy import LocalProxy, guarded
from radio.air_config import AirConfig, Fading
from radio.decibel import from_db
from radio.frame import element_level
from radio.interface import RadioConfig, RadioError
from radio.schedule import Schedule
from radio.schemes.registry import load_scheme
from radio.seeds import Use, stream
from radio.uplink import Truth, Uplink
from server import air_options as options
from server.addresses import check_free, consecutive
from server.air_command import AirPlan, load_plan, told_to_end, wait_until
from server.air_options import Pace
from server.config import Arm, ConfigError, Experiment
from server.config_file import load_arms
from server.console import print_air, print_findings, print_summaries, progress_of
from server.doctor import IIOD_PORT, can_simulate, examine, why_no_gnuradio
from server.link_noise import element_noise_variance
from server.receiver import RadioUplink
from server.rounds import Rounds

if TYPE_CHECKING:
    from sim_backend.virtual_bench import VirtualBench

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

    benches: list[Bench] = []
    try:
        with _refusing_bad_input():
            overrides = [*(settings or []), *([f"run.seed={seed}"] if seed is not None else [])]
            arms = load_arms(config, overrides)
            if resume and folder is None:
                raise ConfigError("--resume needs --out DIR, the folder of the run to continue")
            folder = folder or Path("runs") / f"{config.stem}-{datetime.now():%Y%m%d-%H%M%S}"
            benches += map(_plug_in, arms)
            open_run_folder(folder, arms, resume)
            write_arms(folder, arms)
        with _reporting_failure():
            out.print(f"run folder {folder}", highlight=False, soft_wrap=True)
            summaries = {_title(bench): _run_one(bench, folder / bench.arm.name) for bench in benches}
            report = write_report(folder)
            print_summaries(out, summaries)
            out.print(f"report {report}", highlight=False, soft_wrap=True)
    finally:
        for bench in benches:
            bench.close()


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a run, or of one of its arms")],
) -> None:
    """Rebuild report.html and figures/ from a run folder."""
    from server.report import write_report

    with _refusing_bad_input(), _reporting_failure():
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
            _open_bench(plan, hosts, pace, patience, cable, isolation) as (bench, facts),
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
def _open_bench(
    plan: AirPlan,
    hosts: tuple[str, ...],
    pace: Pace,
    patience_s: float | None,
    cable: bool,
    isolation_db: float | None,
) -> Iterator[tuple["VirtualBench", dict[str, str]]]:
    """The virtual radios of a plan, and what there is to say of them. The addresses were checked before."""
    from sim_backend.levels import RX_FULL_SCALE_DBM, TX_FULL_SCALE_DBM
    from sim_backend.pluto_context import PlutoModel
    from sim_backend.stream_air import StreamAirConfig
    from sim_backend.stream_medium import CABLE_DB
    from sim_backend.virtual_bench import VirtualBench

    given: dict[str, Any] = {"isolation_db": isolation_db, "noise_figure_db": plan.noise_figure_db}
    config = StreamAirConfig(
        seed=plan.seed,
        impairments=plan.impairments,
        cable=cable,
        **{name: value for name, value in given.items() if value is not None},
    )
    patience_s = options.PATIENCE_S if patience_s is None else patience_s
    facts = {
        "radios": f"ADALM-PLUTO, {plan.chip}",
        "air": f"{plan.origin}; seed {plan.seed}",
        "to itself": f"{CABLE_DB:g} dB of cable; to others nothing"
        if cable
        else f"{config.isolation_db:g} dB",
        "levels": f"full scale is {TX_FULL_SCALE_DBM:g} dBm out, {RX_FULL_SCALE_DBM:g} dBm in at a gain of 0 dB; "
        f"noise figure {config.noise_figure_db:g} dB",
        "pace": "real" if pace is Pace.REAL else f"virtual, patience {patience_s:g} s",
        "stop": f"Ctrl-C, or kill {os.getpid()}",
    }
    with VirtualBench(
        len(hosts),
        config,
        pace=pace.value,
        patience_s=patience_s,
        model=PlutoModel(chip=plan.chip),
        first_host=hosts[0],
        beyond_loopback=True,
    ) as bench:
        yield bench, facts


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
    except (ExperimentFailed, RoundFailed, CheckpointError, OSError) as error:
        err.print(f"error: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        err.print("interrupted; continue from the last checkpoint with --resume and the same --out")
        raise typer.Exit(1) from error


def _title(bench: Bench) -> str:
    return bench.arm.name or bench.rounds.experiment.link.scheme


def _run_one(bench: Bench, folder: Path) -> dict[str, Any]:
    from server.experiment import num_workers, run_arm
    from server.recorder import SUMMARY, write_manifest

    experiment = bench.rounds.experiment
    if (folder / SUMMARY).exists():
        out.print(f"{_title(bench)}: already complete", highlight=False)
        return dict(json.loads((folder / SUMMARY).read_text(encoding="utf-8")))
    write_manifest(folder, experiment, num_workers(experiment), bench.radios)
    with progress_of(out, _title(bench), experiment.run.rounds) as on_round:
        return run_arm(folder, bench.rounds, on_round)


def _plug_in(arm: Arm) -> Bench:
    """Build devices, uplink and scheme of an arm. ValueError for anything that cannot work, before work starts."""
    try:
        from devices.agent import build_agents, one_torch_thread
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed, and devices need it; pip install 'airmeta[learning]'"
        ) from error
    from server.experiment import num_workers

    experiment = arm.experiment
    over_waveform = experiment.link.backend == "waveform"
    if over_waveform and (reason := why_no_gnuradio()):
        raise ConfigError(
            f'link.backend = "waveform" needs GNU Radio, which Python cannot import ({reason}); '
            'apt-get install gnuradio and run make setup, or set link.backend = "symbol"'
        )
    ofdm = experiment.ofdm()
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
            waveform=(ofdm, element_level(experiment.link.backoff_db, ofdm)) if over_waveform else None,
        )
    )
    scheme = load_scheme(experiment.link.scheme)
    schedule = Schedule(
        ofdm=ofdm,
        round_s=experiment.link.round_s,
        gap_s=experiment.link.gap_s,
        free_clocks=experiment.radio.reference == "free",
        crystal_ppm=experiment.radio.crystal_ppm,
        num_devices=experiment.fleet.devices,
    )
    num_elements = scheme.num_elements(agents[0].model.num_parameters, experiment.update.measurements)
    if over_waveform:
        schedule.check(experiment.num_active, num_elements)
    proxy = LocalProxy(
        {device: guarded(agent.handle, device) for device, agent in agents.items()},
        num_workers(experiment),
        one_torch_thread,
    )
    link = _open_link(experiment, schedule, num_elements)

    def close() -> None:
        proxy.close()
        link.uplink.close()

    rounds = Rounds(experiment, proxy, link.uplink, scheme, link.mean_gain, link.truth)
    return Bench(arm, rounds, link.radios, close)


class Link(NamedTuple):
    """An uplink, the truth behind it, E|h| of its model, and its radios as the manifest lists them."""

    uplink: Uplink
    truth: Truth
    mean_gain: float | None
    radios: list[dict[str, Any]]


def _open_link(experiment: Experiment, schedule: Schedule, num_elements: int) -> Link:
    """The uplink of an experiment over the simulated air."""
    from sim_backend.air import Air
    from sim_backend.channel import BlockChannel
    from sim_backend.dissection import AirTruth
    from sim_backend.elements import BlockElements, ElementChannel, ElementTruth, PathElements
    from sim_backend.front_end import FrontEnd, draw_front_end
    from sim_backend.medium import BlockMedium, Medium, PathMedium
    from sim_backend.radio import SimRadio
    from sim_backend.symbol import SymbolUplink

    link, radio, ofdm, seed = experiment.link, experiment.radio, schedule.ofdm, experiment.run.seed
    mean_gain: float | None = None
    elements: ElementChannel
    medium: Medium
    air, fading = experiment.air, Fading(law=link.fading, rician_k_db=link.rician_k_db)
    if link.backend == "ideal":
        air, fading = AirConfig(), Fading()
    impairments = air.impairments()
    if not air.has_paths:
        channel = BlockChannel(fading, air, seed, schedule.round_len)
        mean_gain = fading.mean_gain() * channel.mean_shape(range(experiment.fleet.devices), ofdm)
        elements, medium = BlockElements(channel, ofdm), BlockMedium(channel)
    else:
        medium = PathMedium(impairments, seed)
        elements = PathElements(medium, ofdm, radio.center_hz)
    noise_variance = element_noise_variance(experiment)
    if link.backend != "waveform":
        uplink = SymbolUplink(elements, schedule, num_elements, noise_variance, seed)
        return Link(uplink, ElementTruth(elements), mean_gain, [])
    level = element_level(link.backoff_db, ofdm)
    shared_air = Air(medium, memory_s=1.0)
    config = RadioConfig(sample_rate_hz=ofdm.sample_rate_hz, center_hz=radio.center_hz)
    most = air.start_offset_samples  # by which the clocks differ; nobody is told by how much
    device_power = from_db(-link.backoff_db - impairments.path_loss_db)  # of what arrives of a device
    front_end = draw_front_end(
        impairments, seed, -1, ofdm.sample_rate_hz, noise_variance * level**2, device_power
    )
    receiver = SimRadio(
        shared_air, -1, config, front_end, int(stream(seed, Use.CLOCK).integers(-most, most + 1))
    )
    transmitters = {
        device: SimRadio(shared_air, device, config, FrontEnd(seed, device))
        for device in range(experiment.fleet.devices)
    }
    radios = [dataclasses.asdict(radio.status()) for radio in (receiver, *transmitters.values())]
    uplink_over_radios = RadioUplink(receiver, transmitters, schedule, link.backoff_db, radio.center_hz)
    return Link(uplink_over_radios, AirTruth(elements, receiver, level, ofdm), mean_gain, radios)


if __name__ == "__main__":
    main()
