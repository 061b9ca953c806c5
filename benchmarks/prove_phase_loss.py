"""From which gap between sounding and payload on energies are worth more than phases, on free-running clocks.

Ten devices of `experiments/scenarios.toml` on the air `free`, all on the same fifth of the entries in a round, so that
every scheme is asked for the same sums. Figures and numbers go to docs/figures.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.proof_output import FIGURES, report_progress, save
from calibration.ageing import phase_variance
from calibration.figure_style import add_legend, new_figure, style, tidy

EXPERIMENT = Path(__file__).resolve().parent.parent / "experiments" / "scenarios.toml"
GAPS_S = (1e-3, 10e-3, 50e-3, 0.1, 0.2, 0.4, 0.7, 1.0, 2.0)
NUM_DEVICES = 10
WALK_HZ_PER_ROOT_S, OBSERVED_S = 1.0, 18e-3  # of the clocks on `free`; of a sounding, first block to last
COHERENT = ("inversion", "phase")
CHIPS = (1, 8, 64)
SETTINGS = {
    "run.test_tasks": 2, "run.progress_tasks": 2, "run.evaluate_every": 1000, "fleet.devices": NUM_DEVICES,
    "update.support": "shared-random", "update.keep": 0.2, "link.threshold": 0.1, "link.round_s": 5.0,
    "air.scenario": "free", "radio.reference": "free",
}  # fmt: skip


def arm_tables() -> str:
    """Arms in place of the file's own."""
    schemes = {name: f'scheme = "{name}"' for name in COHERENT}
    schemes |= {f"reed-{chips}": f'scheme = "reed", chips = {chips}' for chips in CHIPS}
    return "".join(f'\n[[arm]]\nname = "{name}"\nlink = {{ {link} }}\n' for name, link in schemes.items())


def measure(gap_s: float, rounds: int) -> list[dict]:
    """A record an arm."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "gap.toml", Path(folder) / "run"
        file.write_text(EXPERIMENT.read_text().partition("[[arm]]")[0] + arm_tables())
        command = [sys.executable, "-m", "server", "run", str(file), "--out", str(out)]
        for key, value in (SETTINGS | {"run.rounds": rounds, "link.gap_s": gap_s}).items():
            command += ["--set", f"{key}={value}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"gap of {gap_s:g} s: {done.stderr.strip()}")
        return [_row(gap_s, arm) for arm in sorted(out.iterdir()) if (arm / "summary.json").exists()]


def _row(gap_s: float, arm: Path) -> dict:
    summary = json.loads((arm / "summary.json").read_text())
    lines = [json.loads(line) for line in (arm / "rounds.jsonl").read_text().splitlines()]
    phases = [first for line in lines for first, _ in line.get("residual_phase_rad", ())]
    return {
        "gap_s": gap_s,
        "arm": arm.name,
        "nmse_db": summary["nmse_db"],
        "phase_error_deg": math.degrees(math.sqrt(np.mean(np.square(phases)))),
        "channel_uses": summary["channel_uses"] // max(summary["rounds"] - summary["failed_rounds"], 1),
        "failed_rounds": summary["failed_rounds"],
    }


def predicted_deg(gap_s: float) -> float:
    """Phase error, rms, by the clocks' random walk alone: of equally strong devices, each against the sum of all."""
    spread_rad = math.sqrt(phase_variance(gap_s, 0.0, WALK_HZ_PER_ROOT_S, OBSERVED_S)[0])
    turned = np.exp(1j * spread_rad * np.random.default_rng(0).normal(size=(20_000, NUM_DEVICES)))
    residuals_rad = np.angle(turned * turned.sum(axis=1, keepdims=True).conj())
    return math.degrees(math.sqrt(np.mean(residuals_rad**2)))


def crossover_s(rows: Sequence[dict], coherent: str, energies: str) -> float | None:
    """The gap from which on an arm without phases has the lower error, between measured ones on logarithmic axes: 0 if
    it has at all of them, None if at none."""
    errors_db = {(row["arm"], row["gap_s"]): row["nmse_db"] for row in rows}
    gaps = sorted({row["gap_s"] for row in rows})
    excess = [errors_db[coherent, gap] - errors_db[energies, gap] for gap in gaps]
    if excess[0] >= 0.0:
        return 0.0
    for left, right, before, after in zip(gaps, gaps[1:], excess, excess[1:], strict=False):
        if before < 0.0 <= after:
            return float(left * (right / left) ** (before / (before - after)))
    return None


def draw(rows: Sequence[dict]) -> Figure:
    """Error over the gap, and below it the phases that cause it."""
    figure = new_figure(5.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    names = (*COHERENT, *(f"reed-{chips}" for chips in CHIPS))
    for place, name in enumerate(names):
        arm, look = [row for row in rows if row["arm"] == name], style(place)
        line = "-" if name in COHERENT else "--"
        label = name if name in COHERENT else f"reed, {name.removeprefix('reed-')} chips"
        gaps_ms = [1e3 * row["gap_s"] for row in arm]
        above.plot(gaps_ms, [row["nmse_db"] for row in arm], line, color=look.colour, marker=look.marker,
                   ms=4, label=label.replace("1 chips", "1 chip"))  # fmt: skip
        if name == COHERENT[0]:  # the phases of all are the same
            below.plot(gaps_ms, [row["phase_error_deg"] for row in arm], "o", color="#444444", ms=4)
    fine_s = np.geomspace(GAPS_S[0], GAPS_S[-1], 100)
    below.plot(1e3 * fine_s, [predicted_deg(gap_s) for gap_s in fine_s], color="#888888", lw=1)
    below.set_xscale("log")
    below.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    below.minorticks_off()
    below.set_xlabel("gap between sounding and payload (ms); line: predicted")
    below.set_ylabel("phase error\n(degrees rms)")
    above.set_ylabel("NMSE (dB)")
    for axes in (above, below):
        tidy(axes)
    add_legend(figure, above)
    return figure


def main() -> None:
    """Every gap; print where the lines cross."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="of every arm at every gap")
    parser.add_argument("--out", type=Path, default=FIGURES)
    chosen = parser.parse_args()
    rows: list[dict] = []
    for done, gap_s in enumerate(GAPS_S):
        report_progress("gaps", done, len(GAPS_S))
        rows += measure(gap_s, chosen.rounds)
    report_progress("gaps", len(GAPS_S), len(GAPS_S))
    crossings = {
        f"{name}, reed-{chips}": crossover_s(rows, name, f"reed-{chips}")
        for name in COHERENT
        for chips in CHIPS
    }
    results = {"rounds": chosen.rounds, "crossover_s": crossings, "points": rows}
    save("phase_loss", results, draw(rows), chosen.out)
    for pair, crossing_s in crossings.items():
        print(f"{pair}: {'never' if crossing_s is None else f'from {1e3 * crossing_s:.0f} ms'}")


if __name__ == "__main__":
    main()
