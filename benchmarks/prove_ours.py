"""Shared vote and mmse power control against the published protocol: the arms of experiments/ours.toml, paired over
seeds.

Every arm of a seed and SNR is a run of its own under OUT, begun or continued where it was; one that is complete is
only read. All arms of a seed have the same data, initial model, tasks, fades and test tasks, so that differences are
taken within a seed, over the seeds that both arms have, and their interval is Student's over seeds. 95 % throughout.
The ideal arm knows of no noise, and runs at one SNR only.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.proof_output import CONFIDENCE, FIGURES, save
from calibration.figure_style import add_legend, new_figure, style, tidy
from server.config import Arm
from server.config_file import load_arms
from server.toml_tables import to_tables, to_toml

EXPERIMENT = Path(__file__).resolve().parent.parent / "experiments" / "ours.toml"
ARMS = ("published", "ideal", "tenth", "quarter", "same")
MAIN_ARMS = ("published", "tenth")  # of which there are more seeds
MAIN_SNR_DB = 20.0
OTHER_SNRS_DB = (0.0, 10.0)
Runs = dict[str, dict[int, dict]]  # summaries by arm and seed
SHOWN = ("accuracy_after", "nmse_db", "nmse_full_db", "channel_uses", "transmit_energy", "control_bits")


def mean_and_half_width(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half of its interval by Student's t; infinite for a single value."""
    count = len(values)
    if count < 2:
        return float(np.mean(values)), math.inf
    spread = float(np.std(values, ddof=1)) / math.sqrt(count)
    return float(np.mean(values)), spread * float(student.ppf(0.5 + CONFIDENCE / 2.0, count - 1))


def run_folder(out: Path, snr_db: float, seed: int) -> Path:
    """Where a run lies."""
    return out / f"{snr_db:g}dB" / f"seed{seed}"


def make(out: Path, snr_db: float, seed: int, arm: Arm) -> None:
    """Begin, continue or skip one arm of a run."""
    folder = run_folder(out, snr_db, seed) / arm.name
    if (folder / "summary.json").exists():
        return
    command = [sys.executable, "-m", "server", "run"]
    if (folder / "config.toml").exists():
        command += [str(folder / "config.toml"), "--resume"]
    else:
        beside = folder.with_suffix(".toml")
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(to_toml(to_tables(arm.experiment)), encoding="utf-8")
        command.append(str(beside))
    subprocess.run([*command, "--out", str(folder)], check=True, stdout=subprocess.DEVNULL)


def wanted(num_seeds: int, num_others: int) -> list[tuple[float, int, str]]:
    """(SNR, seed, arm), what matters most first."""
    main = [(MAIN_SNR_DB, seed, arm) for seed in range(num_seeds) for arm in MAIN_ARMS]
    rest = [(MAIN_SNR_DB, seed, arm) for seed in range(num_others) for arm in ARMS]
    others = [
        (snr_db, seed, arm)
        for seed in range(num_others)
        for snr_db in OTHER_SNRS_DB
        for arm in ARMS
        if arm != "ideal"
    ]
    return list(dict.fromkeys((*main, *rest, *others)))


def read(out: Path) -> dict[float, Runs]:
    """Summaries of all complete runs, by SNR, arm and seed."""
    found: dict[float, Runs] = {}
    for path in sorted(out.glob("*dB/seed*/*/summary.json")):
        arm, seed, snr_db = path.parent.name, path.parts[-3], path.parts[-4]
        by_arm = found.setdefault(float(snr_db[:-2]), {})
        by_arm.setdefault(arm, {})[int(seed[4:])] = json.loads(path.read_text(encoding="utf-8"))
    return found


def compare(runs: Runs) -> dict[str, dict[str, tuple[float, float]]]:
    """Per arm: mean and half width of each figure, of its difference from the published protocol over the seeds of
    both, and, for accuracies, of the share of the gap between that and the ideal that it closes (in the means over the
    seeds of all three; no interval)."""
    table: dict[str, dict[str, tuple[float, float]]] = {}
    published, ideal = runs["published"], runs.get("ideal", {})
    for arm in (arm for arm in ARMS if arm in runs):
        own, row = runs[arm], {}
        both = sorted(own.keys() & published.keys())
        for key in SHOWN:
            if any(run[key] is None for run in own.values()):
                continue
            row[key] = mean_and_half_width([run[key] for run in own.values()])
            if both and all(published[seed][key] is not None for seed in both):
                row[f"{key} - published"] = mean_and_half_width(
                    [own[seed][key] - published[seed][key] for seed in both]
                )
        if shared := [seed for seed in both if seed in ideal]:
            low, high, here = (
                np.mean([each[seed]["accuracy_after"] for seed in shared]) for each in (published, ideal, own)
            )
            row["gap closed"] = (float((here - low) / (high - low)) if high > low else math.nan, math.nan)
        table[arm] = row
    return table


def draw(out: Path, seeds_of: Mapping[str, Sequence[int]]) -> Figure:
    """Accuracy over rounds at the main SNR, mean over seeds, and the interval of the mean."""
    figure = new_figure()
    axes = figure.add_subplot()
    for index, arm in enumerate(arm for arm in ARMS if arm in seeds_of):
        curves: list[NDArray[np.float64]] = []
        for seed in seeds_of[arm]:
            lines = (run_folder(out, MAIN_SNR_DB, seed) / arm / "rounds.jsonl").read_text().splitlines()
            records = [record for record in map(json.loads, lines) if "accuracy_after" in record]
            curves.append(np.array([(r["round"] + 1, r["accuracy_after"]) for r in records]))
        stacked = np.stack(curves)
        centre = [mean_and_half_width(column) for column in stacked[:, :, 1].T]
        mean, half = (np.array(part) for part in zip(*centre, strict=True))
        look = style(index)
        axes.plot(
            stacked[0, :, 0], mean, color=look.colour, linestyle=look.line, marker=look.marker, markersize=4, label=arm
        )  # fmt: skip
        if len(curves) > 1:
            axes.fill_between(
                stacked[0, :, 0], mean - half, mean + half, color=look.colour, alpha=0.14, linewidth=0
            )
    axes.set_xlabel("rounds")
    axes.set_ylabel("accuracy after adaptation")
    tidy(axes)
    add_legend(figure, axes)
    return figure


def main() -> None:
    """Run what is missing, then tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help=f"at {MAIN_SNR_DB:g} dB, of {MAIN_ARMS}")
    parser.add_argument("--other-seeds", type=int, default=3, help="of other arms and SNRs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--runs", type=Path, default=Path("runs/ours"), help="folder of the runs")
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", help="table.key=value, as airmeta run"
    )
    parser.add_argument("--only-read", action="store_true", help="start no run")
    parser.add_argument("--out", type=Path, default=FIGURES)
    arguments = parser.parse_args()
    if not arguments.only_read:
        jobs = wanted(arguments.seeds, arguments.other_seeds)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for done in [pool.submit(_run, arguments.runs, *job, arguments.settings) for job in jobs]:
                done.result()
    found = read(arguments.runs)
    if "published" not in found.get(MAIN_SNR_DB, {}):
        sys.exit(f"{arguments.runs} holds no complete run at {MAIN_SNR_DB:g} dB; run without --only-read")
    results = {}
    for snr_db, runs in sorted(found.items()):
        if "published" not in runs:
            continue
        table = compare(runs)
        seeds = {arm: sorted(runs[arm]) for arm in table}
        results[f"{snr_db:g} dB"] = {"seeds": seeds, "arms": table}
        for arm, row in table.items():
            print(
                f"{snr_db:g} dB  {arm:10} {len(seeds[arm])} seeds",
                *(f"{key} {mean:.4g} +- {half:.2g}" for key, (mean, half) in row.items()),
                sep="  ",
            )
    main_seeds = {arm: sorted(own) for arm, own in found[MAIN_SNR_DB].items()}
    save("ours", results, draw(arguments.runs, main_seeds), arguments.out)


def _run(out: Path, snr_db: float, seed: int, name: str, settings: Sequence[str]) -> None:
    arms = load_arms(EXPERIMENT, (f"link.snr_db={snr_db}", f"run.seed={seed}", *settings))
    make(out, snr_db, seed, next(arm for arm in arms if arm.name == name))


if __name__ == "__main__":
    main()
