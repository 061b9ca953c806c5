"""Composition root of `airmeta calibrate`: the radios of a configuration, real or not, to be measured."""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from calibration.before_after import before_after_section
from calibration.bench import Bench, Terms
from calibration.figures import figures_of
from calibration.likeness import likeness_section
from calibration.procedure import Extent, calibrate
from calibration.profile import FILE_NAME, Profile, write_profile
from calibration.report import write_report
from calibration.search import Searcher
from calibration.similarity import Similarity, compare_profiles
from calibration.verification import Verification
from calibration.watch import Sight, look_again
from devices.wire.provenance import versions
from radio.air_config import Fading
from radio.capture import Capture
from radio.interface import Radio
from radio.recording import RecordingWriter
from radio.recording_fields import About
from server.calibrate_command import Earlier
from server.compose_plutos import (
    air_plan,
    check_safety,
    check_uris,
    open_radios,
    receiver_first,
    virtual_bench,
)
from server.compose_simulated import simulated_radios
from server.compose_verdict import give_verdict
from server.config import Experiment
from server.replay import DECIDING
from server.replayed_calibration import KIND, facts_of
from server.toml_tables import to_tables, to_toml
from server.verdict import Verdict
from server.verdict_page import budget_figure, section

if TYPE_CHECKING:
    from sim_backend.air import Air

RECORDING, VERDICT, LIKENESS = "captures", "verdict.json", "similarity.json"


class Outcome(NamedTuple):
    """missing: of devices that were not heard why; then there is no verdict. similarity: to the earlier profile."""

    profile: Profile
    missing: dict[int, str]
    verdict: Verdict | None
    similarity: Similarity | None


@contextmanager
def open_calibration(experiment: Experiment, on_capture: Callable[[Capture], None]) -> Iterator[Bench]:
    """Radios on, and off again whatever happens. RadioError if one cannot be had."""
    ofdm, radio = experiment.ofdm(), experiment.radio
    with ExitStack() as opened:
        receiver: Radio
        uris: Sequence[str] = ()
        transmitters: Mapping[int, Radio]
        if experiment.link.backend == "pluto":
            air = None if radio.uris else opened.enter_context(virtual_bench(experiment))
            uris = receiver_first(air.uris) if air else radio.uris
            receiver, transmitters = open_radios(experiment, opened, uris, air is not None)
        else:
            receiver, transmitters = simulated_radios(experiment, _air(experiment))
        bench = Bench(
            receiver,
            transmitters,
            Searcher(ofdm=ofdm, max_cfo_hz=1e-6 * radio.crystal_ppm * radio.center_hz),
            Terms(
                backoff_db=experiment.link.backoff_db,
                meeting_s=radio.meeting_s,
                shared_clock=radio.reference == "shared",
                shared_start=experiment.link.backend != "pluto" and not experiment.air.start_offset_samples,
                uris=tuple(uris),
                **_gain_steps(experiment),
            ),
            on_capture,
        )
        opened.callback(bench.close)
        yield bench


def _gain_steps(experiment: Experiment) -> dict[str, float]:
    """Of the transmitters' gain settings; simulated radios have none."""
    if experiment.link.backend != "pluto":
        return {}
    from radio.pluto_settings import MUTED_DB, TX_GAIN_STEP_DB

    return {"tx_gain_step_db": TX_GAIN_STEP_DB, "lowest_tx_gain_db": MUTED_DB}


def _air(experiment: Experiment) -> "Air":
    from sim_backend.air import Air
    from sim_backend.channel import BlockChannel
    from sim_backend.medium import BlockMedium, Medium, PathMedium

    link, air, seed = experiment.link, experiment.air, experiment.run.seed
    medium: Medium
    if air.has_paths:
        medium = PathMedium(experiment.law(), seed)
    else:
        block_len = round(link.round_s * experiment.radio.sample_rate_hz)
        medium = BlockMedium(
            BlockChannel(Fading(law=link.fading, rician_k_db=link.rician_k_db), air, seed, block_len)
        )
    return Air(medium, memory_s=1.0)


def calibrate_into(
    folder: Path,
    experiment: Experiment,
    extent: Extent,
    tell: Callable[[str], None],
    earlier: Earlier | None = None,
) -> Outcome:
    """Measure, record, predict, try, compare, and write profile, verdict and report.

    Raises RadioError, and ConfigError for radios that may not be switched on.
    """
    check_radios(experiment)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(to_toml(to_tables(experiment)), encoding="utf-8")
    about = About(kind=KIND, description="airmeta calibrate", hardware=_receiver_of(experiment))
    with RecordingWriter(folder / RECORDING, about) as writer:
        with open_calibration(experiment, writer.write) as bench:
            verification = Verification(bench)
            captures, missing = calibrate(bench, extent, tell, verification)
        profile = verification.profile(captures)
        writer.add_facts(facts_of(profile, versions(DECIDING) | {"python": platform.python_version()}))
    write_profile(folder / FILE_NAME, profile)
    verdict = None if missing else give_verdict(experiment, folder / FILE_NAME, tell)
    figures = list(figures_of(captures))
    if verdict is not None:
        (folder / VERDICT).write_bytes(msgspec.json.format(msgspec.json.encode(verdict), indent=1))
        figures.append(budget_figure(verdict))
    sections = [*(section(verdict) if verdict is not None else ()), *before_after_section(profile)]
    similarity = None
    if earlier is not None:
        similarity = compare_profiles(earlier.profile, profile)
        (folder / LIKENESS).write_bytes(msgspec.json.format(msgspec.json.encode(similarity), indent=1))
        sections += likeness_section(similarity, earlier.name)
    write_report(folder, profile, figures, missing, sections)
    return Outcome(profile, missing, verdict, similarity)


def watch_radios(
    experiment: Experiment,
    ignore_busy: bool,
    every_s: float,
    times: int,
    show: Callable[[dict[int, Sight]], None],
) -> None:
    """Look again every so often, `times` times or until interrupted. Raises as `calibrate_into`."""
    check_radios(experiment)
    with open_calibration(experiment, lambda capture: None) as bench:
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
