"""The command `airmeta`: the composition root, which alone knows what is plugged in."""

import os

# One thread a numerical call, before any library reads it: sums have other bits with two.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import sys
from contextlib import ExitStack, suppress

import typer

from devices.wire.keys import make_keys
from radio.interface import RadioError
from server import air_options as options
from server import calibrate_options, journal, run_options
from server.addresses import check_free, consecutive
from server.air_command import AirPlan, load_plan, told_to_end, wait_until
from server.air_options import Pace
from server.compose_device import host_devices
from server.config import ConfigError
from server.console import print_air, print_findings, print_status
from server.doctor import IIOD_PORT, can_simulate, examine
from server.door import check_bind
from server.lab_file import load_lab
from server.lab_use import check_arms, device_terms, server_terms
from server.launch import Remote
from server.logs import kept_log, speak_on_stderr
from server.signals import ending_on_sigterm
from server.terminal import err, out, refusing_bad_input, reporting_failure, say

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


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
    with refusing_bad_input():
        if count is not None and not processes:
            raise ConfigError(
                f"--count {count} has no effect without --processes; add it, or leave --count out"
            )
        arms, folder = run_options.arms_and_folder(config, settings, seed, folder, resume)
    from server.run_command import run_arms  # loads PyTorch: what is asked wrongly is told at once

    if processes:
        run_arms(arms, folder, resume, Remote("tcp://127.0.0.1:0", devices_a_process=count or 1))
    else:
        run_arms(arms, folder, resume)


@app.command()
def server(
    config: run_options.Config,
    bind: run_options.Bind = None,
    keys: run_options.KeyFolder = None,
    settings: run_options.Settings = None,
    seed: run_options.Seed = None,
    folder: run_options.Folder = None,
    resume: run_options.Resume = False,
    lab: run_options.LabFile = None,
) -> None:
    """As run, with devices that are processes of their own and connect from wherever they are."""
    with refusing_bad_input():
        inventory = load_lab(lab) if lab is not None else None
        terms = server_terms(inventory, bind, keys, settings, run_options.BIND)
        check_bind(terms.bind, terms.keys is not None)
        arms, folder = run_options.arms_and_folder(config, terms.settings, seed, folder, resume)
        if inventory is not None:
            check_arms(inventory, arms)
    from server.run_command import run_arms

    run_arms(
        arms,
        folder,
        resume,
        Remote(terms.bind, terms.keys, on_listening=lambda at: say(f"listening at {at}")),
    )


@app.command()
def device(
    name: run_options.Name,
    url: run_options.ServerUrl = None,
    count: run_options.Count = None,
    first: run_options.First = -1,
    radio: run_options.Radio = None,
    keys: run_options.KeyFolder = None,
    lab: run_options.LabFile = None,
    log: run_options.Log = None,
    leash: run_options.Leash = False,
) -> None:
    """Host devices for a server, until it has no more work."""
    with refusing_bad_input():
        inventory = load_lab(lab) if lab is not None else None
        terms = device_terms(inventory, name, url, count, first, radio or (), keys)
    with ExitStack() as opened:
        with refusing_bad_input():
            opened.enter_context(kept_log(log, name))
        ending = host_devices(name, terms, leash, _complain)
    if not ending.is_idle:  # what is being computed is of no use to anybody, and cannot be interrupted
        sys.stdout.flush()
        os._exit(ending.code)
    raise typer.Exit(ending.code)


@app.command()
def keys(
    folder: run_options.NewKeyFolder,
    names: run_options.KeyNames = None,
    lab: run_options.LabOfNames = None,
) -> None:
    """Make keys of a server and its devices, and the list of devices that it lets in."""
    with refusing_bad_input():
        listed = tuple(entry.name for entry in load_lab(lab).devices) if lab is not None else ()
        made = make_keys(folder, tuple(dict.fromkeys((*(names or ()), *listed))))
    for path in made:
        say(path)
    say(f"{len(made)} files made; a device's host needs server.pub and its own NAME.key")


@app.command()
def report(
    folder: run_options.RunFolder,
) -> None:
    """Rebuild report.html and figures/ from a run folder."""
    from server.report import write_report

    with refusing_bad_input(), reporting_failure():
        say(write_report(folder))


@app.command()
def status(
    folder: run_options.RunFolder,
) -> None:
    """Show a run from another terminal: round, last figures, devices and their state."""
    from server.status import read_status

    with refusing_bad_input():
        print_status(out, read_status(folder))


@app.command()
def replay(
    recording: run_options.RecordingPath,
) -> None:
    """Decode a recording again and compare with what was found live; exit code 1 if a bit differs."""
    from server.replay_command import print_replay, replay_recording

    with refusing_bad_input():
        replayed = replay_recording(recording)
    print_replay(out, replayed)
    raise typer.Exit(0 if replayed.is_same else 1)


@app.command()
def doctor(
    radio: run_options.Examined = None,
    lab: run_options.LabHere = None,
    name: run_options.LabName = None,
) -> None:
    """Say what is installed, what is reachable, what is wrong and how to mend it."""
    from server.lab_doctor import examine_lab, is_ready

    with refusing_bad_input():
        run_options.check_name_of_lab(name, lab)
        examined = examine_lab(load_lab(lab), name) if lab is not None else None
    findings = examine(tuple(radio or ()), with_lab=lab is not None)
    print_findings(out, [*findings, *(examined.findings if examined else ())])
    can_run = can_simulate(findings) if examined is None else is_ready(examined, findings)
    if examined is not None:
        names = ", ".join(examined.here)
        cannot = f"cannot start here: {names}; mend what is missing or wrong above"
        say(f"can start here: {names}" if can_run else cannot)
    elif can_run:
        say("the simulated backend can run: airmeta run experiments/quickstart.toml")
    else:
        say("the simulated backend cannot run; mend what is missing or wrong above")
    silent = any(finding.name in (radio or ()) and finding.verdict != "ok" for finding in findings)
    raise typer.Exit(0 if can_run and not silent else 1)


@app.command()
def silence(
    uris: run_options.Radios = None,
    lab: run_options.LabHere = None,
    name: run_options.LabName = None,
) -> None:
    """Make radios silent, whoever left them sounding."""
    from radio.silence import silence_all
    from server.lab_doctor import shares_here

    with refusing_bad_input():
        run_options.check_name_of_lab(name, lab)
        if not uris and lab is None:
            raise ConfigError("no radio is named; give URI ..., or --lab FILE")
        shares = shares_here(load_lab(lab), name) if lab is not None else []
    raise typer.Exit(silence_all([*(uris or ()), *(share.radio for share in shares if share.radio)]))


@app.command()
def calibrate(
    config: calibrate_options.Config,
    settings: calibrate_options.Settings = None,
    folder: calibrate_options.Folder = None,
    long: calibrate_options.Long = False,
    busy: calibrate_options.Busy = False,
    both_ways: calibrate_options.BothWays = False,
    compare: calibrate_options.Compare = None,
    watch: calibrate_options.Watch = False,
    every: calibrate_options.Every = 3.0,
    times: calibrate_options.Times = 0,
) -> None:
    """Measure radios and channels: what they do, whether they can aggregate in the air, and how well."""
    from calibration.likeness import likeness_line
    from server.calibrate_command import (
        calibration_folder,
        earlier_profile,
        experiment_to_calibrate,
        extent_of,
    )
    from server.calibration_console import print_profile, shown_live, steps_of
    from server.compose_calibration import calibrate_into, watch_radios
    from server.compose_measured import with_measured_air
    from server.verdict_page import print_verdict

    with refusing_bad_input():
        experiment = with_measured_air(experiment_to_calibrate(config, settings or ()))
        place = calibration_folder(folder)
        earlier = earlier_profile(experiment, compare)
    if watch:
        with (
            ending_on_sigterm(),
            reporting_failure(),
            suppress(KeyboardInterrupt),
            shown_live(out, experiment.fleet.devices) as show,
        ):
            watch_radios(experiment, busy, every, times, show)
        raise typer.Exit(0)
    kept = f"what was received until then is in {place}"
    with ending_on_sigterm(), reporting_failure(kept), steps_of(out) as tell:
        found = calibrate_into(place, experiment, extent_of(long, busy, both_ways), tell, earlier)
    print_profile(out, found.profile, found.missing, found.deaf)
    if found.verdict is not None:
        print_verdict(out, found.verdict)
    if earlier is not None and found.similarity is not None:
        say(likeness_line(found.similarity, earlier.name))
    say(f"calibration {place}")
    raise typer.Exit(1 if found.missing else 0)


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
    from server.compose_air import open_air
    from server.compose_measured import with_measured_air

    with refusing_bad_input():
        from sim_backend.levels import TX_FULL_SCALE_DBM

        options.check(radios, config, settings, arm, pace, patience, cable, isolation)
        plan = AirPlan()
        if config is not None:
            plan = load_plan(config, settings or (), arm, TX_FULL_SCALE_DBM, with_measured_air)
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
    speak_on_stderr()
    app()


def _complain(why: str) -> None:
    err.print(f"error: {why}")
    journal.stopped(why)


if __name__ == "__main__":
    main()
