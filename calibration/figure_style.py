"""How every figure looks: size, colours of arms, grid, legend. matplotlib's global state is not touched."""

from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator

WIDTH_IN, HEIGHT_IN = 5.0, 3.5  # as wide as a phone's page at 72 dots an inch, so that 10 pt stays legible
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444")  # Okabe and Ito, 2008
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", ":", "-.")
LONG_LABEL = 20  # characters, of which three do not fit beside each other


class Style(NamedTuple):
    """How an arm looks in every figure."""

    colour: str
    marker: str
    line: str


def style(arm_index: int) -> Style:
    """Colours first; when they are used up, again with another line."""
    cycle, place = divmod(arm_index, len(COLOURS))
    return Style(COLOURS[place], MARKERS[(arm_index + cycle) % len(MARKERS)], LINES[cycle % len(LINES)])


def new_figure(height_in: float = HEIGHT_IN) -> Figure:
    """A white sheet, as wide as every other."""
    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained", facecolor="white")


def tidy(axes: Axes) -> None:
    """A light grid behind the data and no box around it."""
    axes.set_axisbelow(True)
    axes.grid(True, color="#e6e6e6", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#888888")
    axes.tick_params(labelsize=9, color="#888888")


def make_logarithmic(axes: Axes) -> None:
    """A logarithmic vertical axis with plain numbers at 1, 2 and 5, so that less than a decade is readable, too."""
    axes.set_yscale("log", nonpositive="mask")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 300.0 * low else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def make_logarithmic_across(axes: Axes) -> None:
    """A logarithmic horizontal axis with 20k or 5M at 1, 2 and 5, few enough not to touch."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 300.0 * low else (1.0,)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def add_legend(figure: Figure, *panels: Axes) -> None:
    """Every arm of any panel once, above the data, never over it."""
    entries: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    num_columns = 3 if all(len(label) <= LONG_LABEL for label in entries) else 2
    figure.legend(
        list(entries.values()), list(entries), loc="outside upper left",
        ncols=min(num_columns, len(entries)), frameon=False, fontsize=9,
    )  # fmt: skip
