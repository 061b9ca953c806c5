"""From an air to its profile, from the profile to an air, and to the profile of that: whether it is the same again.

On radios in one process and on virtual Plutos, scenario `bench`; then learning on the air and on the one remade from
its profile, same seeds and tasks, in two arms of one run. The drawn air has its noise from link.snr_db, the remade one
as it was measured (link.noise = "figure"), which is the same noise.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.proof_output import FIGURES, report_progress, save
from calibration.figure_style import COLOURS, new_figure, tidy
from calibration.procedure import Extent, calibrate
from calibration.profile import Profile, write_profile
from calibration.similarity import Similarity, compare_profiles
from calibration.verification import Verification
from radio.air_config import AirConfig
from server.compose_bench import open_bench
from server.compose_measured import with_measured_air
from server.config import Experiment
from server.config_file import build

FIRST_SEED = 71_000_000  # nothing else uses this one and those that follow
BACKENDS = {"waveform": "in one process", "pluto": "virtual Plutos"}
LEAST_AGREEING, LEAST_SIMILARITY, MOST_APART = 0.9, 0.98, 0.02
DEVICES = 4
ANEW = 500_000  # added to a seed
TRAINING = """
[run]
seed = {seed}
rounds = {rounds}
test_tasks = 200
evaluate_every = {rounds}

[task]
name = "glyphs"
ways = 5
shots = 5
queries = 5

[model]
name = "conv4"
width = 16

[fleet]
devices = {devices}
classes_per_device = 20

[link]
backend = "waveform"
scheme = "phase"
snr_db = 20.0

[[arm]]
name = "original"
air = {{ scenario = "bench" }}

[[arm]]
name = "remade"
link = {{ noise = "figure" }}
air = {{ profile = "{profile}" }}
"""


def bench_air(backend: str, seed: int) -> Experiment:
    """The scenario, on radios of one process or behind virtual Plutos."""
    tables: dict[str, Any] = {
        "run": {"seed": seed},
        "fleet": {"devices": DEVICES},
        "link": {"backend": backend, "snr_db": 20.0},
        "air": {"scenario": "bench"},
    }
    if backend == "pluto":
        tables["radio"] = {"tx_gain_db": -30.0, "rx_gain_db": 3.0, "block_s": 0.002, "lead_s": 0.02}
        tables["safety"] = {"allowed_bands_hz": [[902e6, 928e6]], "max_duty": 1.0}
    return build(tables)


def profile_of(known: Experiment, span_s: float) -> Profile:
    """As the tool measures it."""
    with open_bench(known) as bench:
        verification = Verification(bench)
        captures, missing = calibrate(bench, Extent(span_s=span_s), lambda step: None, verification)
    if missing:
        raise LookupError("; ".join(missing.values()))
    return verification.profile(captures)


def remade(known: Experiment, path: Path) -> Experiment:
    """The same radios on the air that a profile states, noise and phase noise drawn anew."""
    link, run = replace(known.link, noise="figure"), replace(known.run, seed=known.run.seed + ANEW)
    return with_measured_air(replace(known, run=run, link=link, air=AirConfig(profile=str(path))))


def round_trip(backend: str, seed: int, folder: Path, span_s: float) -> Similarity:
    """There and back."""
    known = bench_air(backend, seed)
    first = profile_of(known, span_s)
    path = folder / f"{backend}_{seed}.json"
    write_profile(path, first)
    return compare_profiles(first, profile_of(remade(known, path), span_s))


def accuracies(profile: Path, seed: int, rounds: int, folder: Path) -> dict[str, Any]:
    """After adaptation, with its interval, by arm."""
    config = folder / "training.toml"
    text = TRAINING.format(seed=seed, rounds=rounds, devices=DEVICES, profile=profile)
    config.write_text(text, encoding="utf-8")
    out = folder / "training"
    subprocess.run([sys.executable, "-m", "server", "run", str(config), "--out", str(out)], check=True)
    found = {}
    for arm in ("original", "remade"):
        summary = json.loads((out / arm / "summary.json").read_text(encoding="utf-8"))
        found[arm] = {
            name: summary[name]
            for name in ("accuracy_after", "accuracy_after_ci95", "accuracy_untrained", "nmse_air_db")
        }
    return found


def summarised(similarities: list[Similarity]) -> dict[str, Any]:
    """Means over trips, and what is asked of each."""
    names = sorted({name for each in similarities for name in each.scores})
    entries = sum(each.num_entries for each in similarities)
    differing = [name for each in similarities for name in each.differing]
    return {
        "trips": len(similarities),
        "overall": [asdict(each.overall) for each in similarities],
        "least_overall": min(each.overall.value for each in similarities),
        "entries": entries,
        "agreeing": 1.0 - len(differing) / entries,
        "least_agreeing": min(each.share_agreeing for each in similarities),
        "differing": sorted(differing),
        "scores": {
            name: float(np.mean([each.scores[name].value for each in similarities if name in each.scores]))
            for name in names
        },
    }


def draw(results: dict[str, dict[str, Any]]) -> Figure:
    """Scores by quantity, on either kind of radio."""
    names = sorted({name for each in results.values() for name in each["scores"]}, reverse=True)
    figure = new_figure(0.28 * len(names) + 1.4)
    axes = figure.subplots()
    for place, (backend, each) in enumerate(results.items()):
        heights = [names.index(name) + 0.2 * (0.5 - place) for name in each["scores"]]
        axes.plot(
            list(each["scores"].values()), heights, "os"[place], color=COLOURS[place], markersize=5,
            label=f"{BACKENDS[backend]}, overall {np.mean([trip['value'] for trip in each['overall']]):.3f}",
        )  # fmt: skip
    axes.axvline(LEAST_SIMILARITY, color="#444444", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("likeness of both profiles")
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    tidy(axes)
    return figure


def main() -> None:
    """Both proofs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--trips", type=int, default=5, help="on either kind of radio, each on an air of its own"
    )
    parser.add_argument("--rounds", type=int, default=50, help="of the training; 0 for none")
    parser.add_argument("--span", type=float, default=0.5, help="seconds of joint soundings")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first trip")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    training: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        for backend in arguments.backends:
            trips = []
            for trip in range(arguments.trips):
                trips.append(round_trip(backend, arguments.seed + trip, folder, arguments.span))
                report_progress(f"round trips, {BACKENDS[backend]}", trip + 1, arguments.trips)
            results[backend] = summarised(trips)
        if arguments.rounds and "waveform" in arguments.backends:
            profile = folder / f"waveform_{arguments.seed}.json"
            training = accuracies(profile, arguments.seed, arguments.rounds, folder)
    save(
        "round_trip",
        {"seed": arguments.seed, "trips": results, "training": training},
        draw(results),
        arguments.out,
    )
    good = True
    for backend, each in results.items():
        good &= each["agreeing"] >= LEAST_AGREEING and each["least_overall"] >= LEAST_SIMILARITY
        print(
            f"{BACKENDS[backend]}: similarity {min(t['value'] for t in each['overall']):.4f} to "
            f"{max(t['value'] for t in each['overall']):.4f}, {100.0 * each['agreeing']:.1f} % of {each['entries']} "
            f"entries agree, {100.0 * each['least_agreeing']:.1f} % at least in a trip"
        )
    if training:
        apart = abs(training["original"]["accuracy_after"] - training["remade"]["accuracy_after"])
        good &= apart <= MOST_APART
        print(
            f"accuracy {training['original']['accuracy_after']:.3f} and {training['remade']['accuracy_after']:.3f}"
        )
    sys.exit(not good)


if __name__ == "__main__":
    main()
