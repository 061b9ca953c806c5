"""Shared vote and mmse power control against the published protocol: the arms of experiments/ours.toml, paired over
seeds.

Every seed and SNR is a run of its own under OUT, begun or continued where it was; one that is complete is only read.
All arms of a seed have the same data, initial model, tasks, fades and test tasks, so that differences are taken within
a seed and their interval is Student's over seeds. 95 % throughout.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.proof_output import CONFIDENCE, FIGURES, save
from calibration.figure_style import add_legend, new_figure, style, tidy

EXPERIMENT = Path(__file__).resolve().parent.parent / "experiments" / "ours.toml"
ARMS = ("published", "ideal", "tenth", "quarter", "same")
MAIN_SNR_DB = 20.0
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


def make(out: Path, snr_db: float, seed: int, settings: Sequence[str]) -> None:
    """Begin, continue or skip one run."""
    folder = run_folder(out, snr_db, seed)
    if all((folder / arm / "summary.json").exists() for arm in ARMS):
        return
    command = [
        sys.executable,
        "-m",
        "server",
        "run",
        str(EXPERIMENT),
        "--seed",
        str(seed),
        "--out",
        str(folder),
    ]
    command += [part for each in (f"link.snr_db={snr_db}", *settings) for part in ("--set", each)]
    if any(folder.glob("*/config.toml")):
        command.append("--resume")
    subprocess.run(command, check=True)


def read(out: Path) -> dict[float, dict[int, dict[str, dict]]]:
    """Summaries of all complete runs, by SNR, seed and arm."""
    found: dict[float, dict[int, dict[str, dict]]] = {}
    for folder in sorted(out.glob("*dB/seed*")):
        paths = {arm: folder / arm / "summary.json" for arm in ARMS}
        if all(path.exists() for path in paths.values()):
            snr_db, seed = float(folder.parent.name[:-2]), int(folder.name[4:])
            found.setdefault(snr_db, {})[seed] = {
                arm: json.loads(path.read_text()) for arm, path in paths.items()
            }
    return found


def compare(runs: dict[int, dict[str, dict]]) -> dict[str, dict[str, tuple[float, float]]]:
    """Per arm: mean and half width of each figure, of its difference from the published protocol, and, for
    accuracies, of the share of the gap between that and the ideal that it closes (in the means; no interval)."""
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for arm in ARMS:
        row = {}
        for key in SHOWN:
            values = [run[arm][key] for run in runs.values()]
            if any(value is None for value in values):
                continue
            row[key] = mean_and_half_width(values)
            if all(run["published"][key] is not None for run in runs.values()):
                row[f"{key} - published"] = mean_and_half_width(
                    [run[arm][key] - run["published"][key] for run in runs.values()]
                )
        table[arm] = row
    low, high = (table[arm]["accuracy_after"][0] for arm in ("published", "ideal"))
    for row in table.values():
        row["gap closed"] = (
            (row["accuracy_after"][0] - low) / (high - low) if high > low else math.nan,
            math.nan,
        )
    return table


def draw(out: Path, seeds: Sequence[int]) -> Figure:
    """Accuracy over rounds at the main SNR, mean over seeds, and the interval of the mean."""
    figure = new_figure()
    axes = figure.add_subplot()
    for index, arm in enumerate(ARMS):
        curves: list[NDArray[np.float64]] = []
        for seed in seeds:
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
        if len(seeds) > 1:
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
    parser.add_argument("--seeds", type=int, default=10, help="at 20 dB")
    parser.add_argument("--other-seeds", type=int, default=3, help="at 0 and 10 dB")
    parser.add_argument("--runs", type=Path, default=Path("runs/ours"), help="folder of the runs")
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", help="table.key=value, as airmeta run"
    )
    parser.add_argument("--only-read", action="store_true", help="start no run")
    parser.add_argument("--out", type=Path, default=FIGURES)
    arguments = parser.parse_args()
    if not arguments.only_read:
        for snr_db, count in (
            (MAIN_SNR_DB, arguments.seeds),
            (0.0, arguments.other_seeds),
            (10.0, arguments.other_seeds),
        ):
            for seed in range(count):
                make(arguments.runs, snr_db, seed, arguments.settings)
    found = read(arguments.runs)
    if MAIN_SNR_DB not in found:
        sys.exit(f"{arguments.runs} holds no complete run at {MAIN_SNR_DB:g} dB; run without --only-read")
    results = {}
    for snr_db, runs in sorted(found.items()):
        table = compare(runs)
        results[f"{snr_db:g} dB"] = {"seeds": sorted(runs), "arms": table}
        print(f"SNR {snr_db:g} dB, {len(runs)} seeds")
        for arm, row in table.items():
            print(
                f"  {arm:10}",
                *(f"{key} {mean:.4g} +- {half:.2g}" for key, (mean, half) in row.items()),
                sep="  ",
            )
    save("ours", results, draw(arguments.runs, sorted(found[MAIN_SNR_DB])), arguments.out)


if __name__ == "__main__":
    main()
