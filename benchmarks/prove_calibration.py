"""Every number of a calibration against the truth, over virtual Plutos whose radios and paths are drawn at random.

Four devices and a receiver a run (`benchmarks/random_airs.py`), each device a setting of its own; what is true follows
from the air's own draws at the instants of the captures (`benchmarks/known_truth.py`). First channels that hold still,
for everything but the coherence time; then channels that fade so fast that a second holds 50 coherence times.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import binom

from benchmarks.calibration_trials import Record, trial
from benchmarks.proof_output import FIGURES, report_progress, save
from calibration.figure_style import COLOURS, new_figure, tidy
from radio.interface import RadioError

FIRST_SEED = 72_000_000  # nothing else uses this one and those that follow
FADING_SEED = 10_000  # behind the first
STANDARD_ERRORS = 3.5
CENTRAL = 0.999
AROUND_DB = 3.0  # of the level that a target is stated at
NEEDED_TIMES = 50
TRIES = 4


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """factor: from a record's unit to the table's. target: of the rms error, None for none. usable: which settings
    count; judged: which of them the target is stated for; missed: what it is stated of."""

    label: str
    name: str
    unit: str
    factor: float = 1.0
    target: float | None = None
    usable: Callable[[Record], bool] = lambda record: True
    judged: Callable[[Record], bool] = lambda record: True
    missed: str = "error"


def _is_near_30_db(record: Record) -> bool:
    return abs(record["drawn_image_db"] + 30.0) <= AROUND_DB


QUANTITIES = (
    Quantity(label="delay", name="delay_samples", unit="samples", target=0.05),
    Quantity(label="carrier offset", name="cfo_hz", unit="mHz", factor=1e3),
    Quantity(
        label="carrier offset over its bound", name="cfo_hz", unit="", target=10.0 ** (1.0 / 20.0),
        usable=lambda record: record["is_pure"], missed="over_bound",
    ),
    Quantity(label="sample clock offset", name="sro_ppm", unit="ppm", target=0.02),
    Quantity(label="gain", name="gain_db", unit="dB", target=0.2),
    Quantity(label="phase", name="phase_rad", unit="degrees", factor=180.0 / math.pi, target=2.0),
    Quantity(label="SNR", name="snr_db", unit="dB", target=0.5),
    Quantity(
        label="image, those near -30 dB", name="image", unit="dB", target=1.0, judged=_is_near_30_db,
        missed="change_db",
    ),
    Quantity(label="carrier leakage", name="leakage", unit="of full scale"),
    Quantity(label="1 dB point", name="compression_db", unit="dB", target=0.5),
    Quantity(label="phase noise", name="phase_noise", unit="%", factor=100.0),
    Quantity(
        label="coherence time", name="coherence_time", unit="%", factor=100.0, target=20.0,
        usable=lambda record: record["coherence_time"]["times"] >= NEEDED_TIMES,
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """estimates: of usable settings; covered: how many intervals hold the truth, allowed: the central 99.9 % of that
    number if each does with 95 %. bias: mean error in standard errors. bounds: settings of which a bound was stated;
    wrong_bounds: how many the truth lies beyond. judged: settings that rms is of."""

    label: str
    unit: str
    estimates: int
    judged: int
    rms: float
    target: float | None
    bias: float
    covered: int
    allowed: tuple[int, int]
    bounds: int
    wrong_bounds: int

    @property
    def misses(self) -> list[str]:
        """What is not as it should be."""
        found = []
        if self.target is not None and not self.rms <= self.target:
            found.append("error")
        if abs(self.bias) > STANDARD_ERRORS:
            found.append("bias")
        if not self.allowed[0] <= self.covered <= self.allowed[1]:
            found.append("interval")
        if self.wrong_bounds > binom.ppf((1.0 + CENTRAL) / 2.0, self.bounds, 0.05):
            found.append("bound")
        return found


def row_of(quantity: Quantity, records: list[Record]) -> Row:
    """A line of the table."""
    usable = [record for record in records if quantity.name in record and quantity.usable(record)]
    stated = [record for record in usable if not record[quantity.name]["bound"]]
    bounds = [record[quantity.name] for record in usable if record[quantity.name]["bound"]]
    judged = [record[quantity.name][quantity.missed] for record in stated if quantity.judged(record)]
    entries = [record[quantity.name] for record in stated]
    parts = [part for part in ("error", "across") if part in entries[0]]
    seeds = [record["seed"] for record in stated]
    tails = (1.0 - CENTRAL) / 2.0, (1.0 + CENTRAL) / 2.0
    return Row(
        label=quantity.label,
        unit=quantity.unit,
        estimates=len(entries),
        judged=len(judged),
        rms=quantity.factor * float(np.sqrt(np.mean(np.square(judged)))),
        target=quantity.target,
        bias=max((_standard_errors([entry[part] for entry in entries], seeds) for part in parts), key=abs),
        covered=sum(entry["covered"] for entry in entries),
        allowed=(int(binom.ppf(tails[0], len(entries), 0.95)), int(binom.ppf(tails[1], len(entries), 0.95))),
        bounds=len(bounds),
        wrong_bounds=sum(_is_wrong(bound) for bound in bounds),
    )


def _is_wrong(bound: Record) -> bool:
    """Whether the truth lies on the closed side."""
    return bool(bound["error"] > 0.0 if bound["bound"] == "lower" else bound["error"] < 0.0)


def _standard_errors(errors: list[float], seeds: list[int]) -> float:
    """The mean over its standard error, from the scatter of runs: devices of one share a receiver and its noise."""
    runs: dict[int, float] = {}
    for error, seed in zip(errors, seeds, strict=True):
        runs[seed] = runs.get(seed, 0.0) + error
    sums = np.array(list(runs.values()))
    return float(sums.mean() / (sums.std(ddof=1) / math.sqrt(len(sums))))


def table_of(rows: list[Row]) -> str:
    """As `docs/calibration.md` has it."""
    lines = [
        "| quantity | rms error | target | settings | bias, in standard errors | 95 % intervals that hold the truth "
        "| bounds, of them wrong |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        target = "" if row.target is None else f"{row.target:.3g}"
        bounds = f"{row.bounds}, {row.wrong_bounds}" if row.bounds else ""
        lines.append(
            f"| {row.label} | {row.rms:.3g} {row.unit} | {target} | {row.judged} | {row.bias:+.1f} | {row.covered} of "
            f"{row.estimates} ({row.allowed[0]} to {row.allowed[1]}) | {bounds} |"
        )
    return "\n".join(lines)


def draw(rows: list[Row]) -> Figure:
    """Errors over their targets, and coverage with what is allowed."""
    figure = new_figure(7.0)
    above, below = figure.subplots(2, 1)
    aimed = [row for row in rows if row.target is not None]
    places = np.arange(len(aimed))[::-1]
    above.barh(places, [row.rms / (row.target or 1.0) for row in aimed], height=0.55, color=COLOURS[0])
    above.axvline(1.0, color="#444444")
    above.set_xscale("log")
    above.set_xlim(0.003, 2.0)
    above.set_yticks(places, [row.label for row in aimed])
    above.set_xlabel("rms error over its target")
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        low, high = (100.0 * count / row.estimates for count in row.allowed)
        below.plot([low, high], [place, place], color="#bbbbbb", linewidth=7.0, solid_capstyle="butt")
        below.plot(100.0 * row.covered / row.estimates, place, "o", color=COLOURS[1], markersize=6)
    below.axvline(95.0, color="#444444", linewidth=0.8)
    below.set_yticks(places, [row.label for row in rows])
    below.set_xlabel("95 % intervals that hold the truth (%)\ngrey: as many as chance allows")
    for axes in (above, below):
        tidy(axes)
        axes.grid(visible=False, axis="y")
    return figure


def measured(path: Path | None, first_seed: int, runs: int, fading_runs: int) -> list[Record]:
    """Records of all runs; those that the file at `path` has are not measured again, others are added to it."""
    held: list[Record] = []
    if path is not None and path.exists():
        held = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    seeds = [first_seed + run for run in range(runs)]
    seeds += [first_seed + FADING_SEED + run for run in range(fading_runs)]
    known = {record["seed"] for record in held}
    held = [record for record in held if record["seed"] in seeds]
    for done, seed in enumerate(seeds, 1):
        if seed not in known:
            found = _tried(seed, is_fading=seed >= first_seed + FADING_SEED)
            held += found
            if path is not None:
                with path.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(record) + "\n" for record in found)
        report_progress("calibrations", done, len(seeds))
    return held


def _tried(seed: int, is_fading: bool) -> list[Record]:
    """Virtual radios are served in wall time: too busy a machine breaks a link; and a fade may hide a burst."""
    for _ in range(TRIES - 1):
        try:
            return trial(seed, is_fading)
        except (RadioError, TimeoutError, LookupError) as error:
            print(f"seed {seed}: {error}; once more", file=sys.stderr)
    return trial(seed, is_fading)


def main() -> None:
    """Measure, and compare with the truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=50, help="on channels that hold still, four settings each"
    )
    parser.add_argument("--fading-runs", type=int, default=50, help="on channels that fade")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first run")
    parser.add_argument("--records", type=Path, help="file of what was measured, to go on from")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    records = measured(arguments.records, arguments.seed, arguments.runs, arguments.fading_runs)
    rows = [
        row_of(quantity, records) for quantity in QUANTITIES if any(quantity.name in each for each in records)
    ]
    pure = [record for record in records if record.get("is_pure") and "cfo_hz" in record]
    thermal = [record["cfo_hz"]["error"] / record["cfo_bounds_hz"][1] for record in pure]
    results: dict[str, Any] = {
        "seed": arguments.seed,
        "runs": arguments.runs,
        "fading_runs": arguments.fading_runs,
        "rows": [asdict(row) | {"misses": row.misses} for row in rows],
    }
    if thermal:
        results["cfo_over_bound_of_the_receivers_noise_alone"] = float(np.sqrt(np.mean(np.square(thermal))))
    save("calibration_truth", results, draw(rows), arguments.out)
    print(table_of(rows))
    for row in rows:
        if row.misses:
            print(f"missed: {row.label}: {', '.join(row.misses)}")
    sys.exit(any(row.misses for row in rows))


if __name__ == "__main__":
    main()
