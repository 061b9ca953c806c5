"""What a fleet costs its server, over the number of devices: simulated ones in 8 processes, and in the server's own.

Real training (glyphs, 5-way) over `symbol`, so that arrays of a round's true size travel: theta to each device, its
update, its channel of every element, its amplitudes and what they stand for back. Of each run, a process of its own:

    rounds a minute, from the median round;
    server time: CPU seconds of the server's process a round, device computations excepted where they are in it, and
        wall seconds of a round in which it does not wait for devices;
    peak memory of the server's process and of the largest device process.

Growth is the p of seconds = a + b devices^p, by least squares of relative errors: 1 is linear.
"""

import argparse
import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from benchmarks.fleet_run import run_alone
from benchmarks.proof_output import FIGURES, report_progress, save
from calibration.figure_style import add_legend, new_figure, style, tidy

NUM_PROCESSES = 8
DEVICES = (10, 25, 50, 100, 200)
WIDTHS = (16, 112)  # hidden units: 13 thousand parameters, and 101 thousand
MODES = {"8 processes": NUM_PROCESSES, "one process": 0}
PATIENCE = {
    "return_s": 600.0,
    "reply_s": 600.0,
    "lost_s": 60.0,
}  # a busy host takes its time to start processes


def tables_for(devices: int, width: int) -> dict[str, Any]:
    """Of a configuration; the number of rounds is the benchmark's to say."""
    return {
        "model": {"name": "mlp", "width": width},
        "fleet": {"devices": devices, **PATIENCE},
        "link": {"backend": "symbol", "scheme": "phase", "fading": "rayleigh", "snr_db": 20.0},
    }


def measure(devices: int, width: int, num_rounds: int) -> list[dict[str, Any]]:
    """A record a mode. RuntimeError if they differ by a bit."""
    records, found = [], {}
    for mode, num_processes in MODES.items():
        one = found[mode] = run_alone(tables_for(devices, width), num_processes, num_rounds)
        inside = [0.0] * num_rounds if num_processes else one["asks_cpu_s"]
        cpu_s = [whole - part for whole, part in zip(one["cpu_s"], inside, strict=True)]
        records.append(
            {
                "devices": devices,
                "parameters": one["parameters"],
                "mode": mode,
                "rounds_a_minute": round(60.0 / statistics.median(one["wall_s"]), 2),
                "round_s": round(statistics.median(one["wall_s"]), 4),
                "server_cpu_s": round(statistics.median(cpu_s), 4),
                "server_own_s": round(statistics.median(one["own_s"]), 4),
                "server_peak_mib": one["server_peak_bytes"] >> 20,
                "device_peak_mib": one["device_peak_bytes"] >> 20,
                "load_average": round(os.getloadavg()[1], 1),
            }
        )
    if len({one["sha256"] for one in found.values()}) > 1:
        raise RuntimeError(
            f"{devices} devices, width {width}: parameters differ between {' and '.join(MODES)}"
        )
    return records


def line(devices: NDArray[np.float64], fixed: float, slope: float, growth: float) -> NDArray[np.float64]:
    """Seconds."""
    return fixed + slope * devices**growth


def fit(records: list[dict[str, Any]], what: str) -> tuple[float, float, float]:
    """(a, b, p) through the records of one series."""
    devices = np.array([record["devices"] for record in records], dtype=float)
    seconds = np.array([record[what] for record in records])
    guess = seconds[0] / 2.0, seconds[-1] / devices[-1], 1.0
    found, _ = curve_fit(line, devices, seconds, guess, sigma=seconds, bounds=(0.0, [np.inf, np.inf, 3.0]))
    return tuple(map(float, found))  # type: ignore[return-value]


def series(records: list[dict[str, Any]]) -> dict[tuple[int, str], list[dict[str, Any]]]:
    """Records by parameters and mode, in the order of devices."""
    keys = dict.fromkeys((record["parameters"], record["mode"]) for record in records)
    return {
        key: [record for record in records if (record["parameters"], record["mode"]) == key] for key in keys
    }


def draw(records: list[dict[str, Any]]) -> Figure:
    """Server time, rounds a minute and memory over devices, all logarithmic."""
    figure = new_figure(9.0)
    panels = figure.subplots(3, 1, sharex=True)
    for index, ((parameters, mode), several) in enumerate(series(records).items()):
        look = style(index)
        label = f"d = {parameters / 1000:.0f}k, {mode}"
        devices = [record["devices"] for record in several]
        marks = {"color": look.colour, "markersize": 5}
        cpu_ms = [1e3 * record["server_cpu_s"] for record in several]
        panels[0].loglog(devices, cpu_ms, look.marker, label=label, **marks)
        fine = np.geomspace(devices[0], devices[-1], 100)
        panels[0].loglog(
            fine, 1e3 * line(fine, *fit(several, "server_cpu_s")), color=look.colour, linewidth=1.0
        )
        panels[1].loglog(
            devices, [record["rounds_a_minute"] for record in several], look.marker + "-", **marks
        )
        panels[2].loglog(
            devices, [record["server_peak_mib"] for record in several], look.marker + "-", **marks
        )
        if mode != "one process":
            mib = [record["device_peak_mib"] for record in several]
            panels[2].loglog(devices, mib, look.marker + ":", fillstyle="none", **marks)
    for axes, title in zip(
        panels,
        ("server's CPU time a round (ms)", "rounds a minute", "peak memory (MiB); dotted: a device process"),
        strict=True,
    ):
        axes.set_title(title, fontsize=9, loc="left")
        _label(axes)
    panels[-1].set_xlabel("devices")
    add_legend(figure, panels[0])
    return figure


def _label(axes: Axes) -> None:
    axes.xaxis.set_major_locator(FixedLocator(DEVICES))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    tidy(axes)


def main() -> None:
    """Measure, print a table, write figure and numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20, help="of a run, after two that do not count")
    parser.add_argument("--devices", type=int, nargs="+", default=DEVICES, help="sizes of the fleet")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    records: list[dict[str, Any]] = []
    sizes = [(devices, width) for width in WIDTHS for devices in arguments.devices]
    for done, size in enumerate(sizes, start=1):
        records += measure(*size, arguments.rounds)
        report_progress("fleets", done, len(sizes))
    records.sort(key=lambda record: (record["parameters"], record["mode"], record["devices"]))
    growth = {
        f"{parameters}, {mode}": {
            what: round(fit(several, what)[2], 2) for what in ("server_cpu_s", "server_own_s")
        }
        for (parameters, mode), several in series(records).items()
    }
    results = {"rounds": arguments.rounds, "cores": os.cpu_count(), "growth": growth, "records": records}
    save("fleet", results, draw(records), arguments.out)
    for record in records:
        print("  ".join(f"{name} {value}" for name, value in record.items()))
    print(growth)


if __name__ == "__main__":
    main()
