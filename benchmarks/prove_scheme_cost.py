"""What encoding and decoding cost in every scheme as models grow: one device's encoding and the server's decoding of
ten, against one FFT of the update's length; one thread. Processor time of the fastest of several turns, since whatever
else a machine does only adds.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import scipy.fft
from matplotlib.figure import Figure

from benchmarks.proof_output import FIGURES, report_progress, save
from benchmarks.scheme_work import VARIANTS, work_of
from benchmarks.turns import in_turns
from calibration.figure_style import (
    add_legend,
    make_logarithmic,
    make_logarithmic_across,
    new_figure,
    style,
    tidy,
)

CONV4 = 113_221
DIMENSIONS = (10_000, 30_000, CONV4, 300_000, 1_000_000, 3_000_000, 10_000_000)
FFT, SHARED = "one FFT", ", shared"


def measure(dimensions: tuple[int, ...], repeats: int) -> dict[str, list[float]]:
    """Seconds by scheme, one for each dimension."""
    found: dict[str, list[float]] = {}
    for number, dimension in enumerate(dimensions):
        report_progress("dimensions", number, len(dimensions))
        signal = np.random.default_rng(0).normal(size=2 * dimension).view(complex)
        rivals = {FFT: lambda signal=signal: scipy.fft.fft(signal)}
        rivals |= {name_of(*variant): work_of(*variant, dimension).both for variant in VARIANTS}
        for name, seconds in in_turns(rivals, repeats, 1, time.process_time).items():
            found.setdefault(name, []).append(min(seconds))
    report_progress("dimensions", len(dimensions), len(dimensions))
    return found


def name_of(scheme: str, support: str) -> str:
    """As in the legend."""
    return scheme if support == "own" else scheme + SHARED


def draw(dimensions: tuple[int, ...], found: dict[str, list[float]]) -> Figure:
    """Time against length, on logarithmic axes; what is in proportion has the slope of the thin line."""
    figure = new_figure(5.0)
    axes = figure.subplots()
    schemes = [name for name in found if name != FFT]
    whole = [name for name in schemes if not name.endswith(SHARED)]
    for name in schemes:
        look = style(whole.index(name.removesuffix(SHARED)))
        line, label = ("-", name) if name in whole else (":", None)
        axes.plot(dimensions, found[name], line, color=look.colour, label=label, marker=".", markersize=4)
    axes.plot([], [], ":", color="0.3", label="on a shared support")
    axes.plot(dimensions, found[FFT], "--", color="0.3", label=FFT)
    thin = 2.0 * max(seconds[0] for seconds in found.values()) / dimensions[0]
    axes.plot(dimensions, [thin * d for d in dimensions], color="0.6", linewidth=0.7, label="in proportion")
    make_logarithmic_across(axes)
    make_logarithmic(axes)
    axes.set_xlabel("parameters")
    axes.set_ylabel("seconds to encode and decode")
    tidy(axes)
    add_legend(figure, axes)
    return figure


def table(dimensions: tuple[int, ...], found: dict[str, list[float]]) -> str:
    """Rows in Markdown: milliseconds at the size of conv4 and at the largest, multiples of an FFT, growth."""
    at, last = dimensions.index(CONV4), len(dimensions) - 1
    rows = []
    for name, seconds in found.items():
        cells = [f"{1e3 * seconds[place]:.3g}" for place in (at, last)]
        cells[1:1] = [f"{seconds[at] / found[FFT][at]:.2g}"]
        cells += [f"{seconds[last] / found[FFT][last]:.2g}"]
        growth = seconds[last] / seconds[at] / (dimensions[last] / dimensions[at])
        rows.append(f"| {name} | {' | '.join(cells)} | {growth:.2g} |")
    return "\n".join(rows)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="turns")
    parser.add_argument("--longest", type=int, default=DIMENSIONS[-1], help="leave longer ones out")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    dimensions = tuple(d for d in DIMENSIONS if d <= max(arguments.longest, CONV4))
    found = measure(dimensions, arguments.repeats)
    save("scheme_cost", {"dimensions": dimensions, "seconds": found}, draw(dimensions, found), arguments.out)
    print(table(dimensions, found))


if __name__ == "__main__":
    main()
