"""What the simulated air costs over devices and over samples: measured by turns, with the straight line beside it."""

import argparse
import statistics
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.bench_air import NUM_DEVICES, NUM_SAMPLES, RATE_HZ, bursts_of
from benchmarks.proof_output import FIGURES, report_progress, save
from benchmarks.turns import in_turns
from calibration.figure_style import add_legend, new_figure, style, tidy
from sim_backend.chain import carry

AIRS = ("identity", "bench", "free", "harsh")
DEVICES = (1, 2, 5, 10, 20, 40)
SAMPLES = (11_250, 22_500, 45_000, 90_000, 180_000, 360_000)


def measure(name: str, repeats: int) -> dict:
    """Seconds over devices and over samples, sizes by turns, and the straight line fixed + slope * size
    through them by least squares of relative errors, with the largest such error."""
    sizes = {
        "devices": [(devices, NUM_SAMPLES) for devices in DEVICES],
        "samples": [(NUM_DEVICES, samples) for samples in SAMPLES],
    }
    bursts = {size: bursts_of(name, *size) for several in sizes.values() for size in several}
    runs = in_turns({str(size): lambda size=size: carry(bursts[size]) for size in bursts}, repeats)
    found: dict = {"air": name}
    for what, several in sizes.items():
        medians = [statistics.median(runs[str(size)]) for size in several]
        axis = [size[what == "samples"] for size in several]
        model = np.stack([np.ones(len(axis)), axis], axis=1) / np.array(medians)[:, None]
        (fixed, slope), *_ = np.linalg.lstsq(model, np.ones(len(axis)), rcond=None)
        errors = model @ [fixed, slope] - 1.0
        found[what] = {
            "sizes": axis,
            "median_s": [round(value, 6) for value in medians],
            "fixed_s": float(f"{fixed:.4g}"),
            "slope_s": float(f"{slope:.4g}"),
            "largest_error": round(float(np.abs(errors).max()), 3),
        }
    return found


def draw(found: list[dict]) -> Figure:
    """Time over devices and over samples, both logarithmic, with the straight lines, which bend there."""
    figure = new_figure(6.4)
    above, below = figure.subplots(2, 1)
    for axes, what in ((above, "devices"), (below, "samples")):
        for index, one in enumerate(found):
            look, data = style(index), one[what]
            sizes, times = np.array(data["sizes"]), 1e3 * np.array(data["median_s"])
            axes.loglog(sizes, times, look.marker, color=look.colour, markersize=5, label=one["air"])
            fine = np.geomspace(sizes[0], sizes[-1], 100)
            line = 1e3 * (data["fixed_s"] + data["slope_s"] * fine)
            axes.loglog(fine, line, color=look.colour, linewidth=1.0)
        _label(axes, data["sizes"])
    above.set_xlabel(f"devices, {NUM_SAMPLES:,} samples each")
    below.set_xlabel(f"samples, {NUM_DEVICES} devices")
    add_legend(figure, above)
    return figure


def _label(axes: Axes, sizes: list[int]) -> None:
    axes.set_ylabel("time (ms)", fontsize=9)
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
    tidy(axes)


def main() -> None:
    """Measure every air, print the growth, write figure and numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="turns a size")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    found = []
    for index, name in enumerate(AIRS):
        found.append(measure(name, arguments.repeats))
        report_progress("airs", index + 1, len(AIRS))
    save("air_cost", {"sample_rate_hz": RATE_HZ, "airs": found}, draw(found), arguments.out)
    for one in found:
        per_sample = 1e9 * one["samples"]["slope_s"] / NUM_DEVICES
        worst = max(one[what]["largest_error"] for what in ("devices", "samples"))
        print(
            f"{one['air']:<10} {per_sample:6.0f} ns a device and sample; off the line by at most {worst:.1%}"
        )


if __name__ == "__main__":
    main()
