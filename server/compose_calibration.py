"""Composition root of `airmeta calibrate`: the radios of a configuration, real or not, to be measured."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from calibration.before_after import before_after_section
from calibration.figures import figures_of
from calibration.likeness import likeness_section
from calibration.page import element
from calibration.procedure import Extent, Tell, calibrate, send_back
from calibration.profile import FILE_NAME, Profile, write_profile
from calibration.report import write_report
from calibration.similarity import Similarity, compare_profiles
from calibration.verification import Verification
from calibration.watch import Sight, look_again
from devices.wire.provenance import versions
from radio.capture import Capture
from radio.interface import RadioError
from radio.recording import RecordingWriter
from radio.recording_fields import About
from server.calibrate_command import Earlier
from server.compose_bench import OnCapture, Site, open_bench, open_site
from server.compose_plutos import air_plan, check_safety, check_uris
from server.compose_verdict import give_verdict
from server.config import Experiment
from server.replay import DECIDING
from server.replayed_calibration import KIND, facts_of
from server.toml_tables import to_tables, to_toml
from server.verdict import Verdict
from server.verdict_page import budget_figure, section

RECORDING, VERDICT, LIKENESS = "captures", "verdict.json", "similarity.json"


class Outcome(NamedTuple):
    """missing: of devices that were not heard why; then there is no verdict. deaf: of those that did not hear the
    receiver why. similarity: to the earlier profile."""

    profile: Profile
    missing: dict[int, str]
    deaf: dict[int, str]
    verdict: Verdict | None
    similarity: Similarity | None


def calibrate_into(
    folder: Path,
    experiment: Experiment,
    extent: Extent,
    tell: Tell,
    earlier: Earlier | None = None,
) -> Outcome:
    """Measure, record, predict, try, compare, and write profile, verdict and report.

    Raises RadioError, and ConfigError for radios that may not be switched on.
    """
    check_radios(experiment)
    if experiment.radio.is_loopback:
        extent = replace(extent, front_ends=False, both_ways=False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(to_toml(to_tables(experiment)), encoding="utf-8")
    about = About(kind=KIND, description="airmeta calibrate", hardware=_receiver_of(experiment))
    with RecordingWriter(folder / RECORDING, about) as writer:
        with open_site(experiment) as site:
            with site.bench(writer.write) as bench:
                verification, devices = Verification(bench), bench.devices
                captures, missing = calibrate(bench, extent, tell, verification)
            deaf: dict[int, str] = {}
            if extent.both_ways or site.always_both_ways:
                heard = [device for device in devices if device not in missing]
                back, deaf = ways_back(site, heard, writer.write, tell)
                captures |= back
        profile = verification.profile(captures)
        writer.add_facts(facts_of(profile, versions(DECIDING) | {"python": platform.python_version()}))
    write_profile(folder / FILE_NAME, profile)
    verdict = None if missing else give_verdict(experiment, folder / FILE_NAME, tell)
    figures = list(figures_of(captures))
    if verdict is not None:
        (folder / VERDICT).write_bytes(msgspec.json.format(msgspec.json.encode(verdict), indent=1))
        figures.append(budget_figure(verdict))
    sections = [*(section(verdict) if verdict is not None else ()), *before_after_section(profile)]
    sections += [
        element("p", f"Device {device}, not measured both ways: {why}.") for device, why in deaf.items()
    ]
    similarity = None
    if earlier is not None:
        similarity = compare_profiles(earlier.profile, profile)
        (folder / LIKENESS).write_bytes(msgspec.json.format(msgspec.json.encode(similarity), indent=1))
        sections += likeness_section(similarity, earlier.name)
    write_report(folder, profile, figures, missing, sections)
    return Outcome(profile, missing, deaf, verdict, similarity)


def ways_back(
    site: Site, devices: Sequence[int], on_capture: OnCapture, tell: Tell
) -> tuple[dict[str, Capture], dict[int, str]]:
    """Captures of each device, which hears the receiver, by step; of those that it did not reach why: what is known by
    then is not lost by that."""
    captures: dict[str, Capture] = {}
    deaf = {}
    for device in devices:
        try:
            with site.bench(on_capture, back=device) as bench:
                captures |= send_back(bench, device, tell)
        except RadioError as error:
            deaf[device] = str(error)
    return captures, deaf


def watch_radios(
    experiment: Experiment,
    ignore_busy: bool,
    every_s: float,
    times: int,
    show: Callable[[dict[int, Sight]], None],
) -> None:
    """Look again every so often, `times` times or until interrupted. Raises as `calibrate_into`."""
    check_radios(experiment)
    with open_bench(experiment) as bench:
        for number, seen in enumerate(look_again(bench, ignore_busy), start=1):
            show(seen)
            if number == times:
                return
            time.sleep(every_s)


def check_radios(experiment: Experiment) -> None:
    """ConfigError for what cannot be opened or must not be sent into."""
    if experiment.link.backend != "pluto":
        return
    check_safety(experiment)
    check_uris(experiment, None)
    if not experiment.radio.uris:
        air_plan(experiment)


def _receiver_of(experiment: Experiment) -> str:
    return experiment.radio.uris[0] if experiment.radio.uris else f"simulated ({experiment.link.backend})"
