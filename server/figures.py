"""Figures of learning and of the estimate's error, all arms overlaid."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from calibration.figure_style import HEIGHT_IN, Style, add_legend, make_logarithmic, new_figure, style, tidy
from server.recorder import Record
from server.run_reader import ROUNDING_DB, ArmRun

MAX_MARKED = 40  # points beyond which markers hide the line
MAX_DARK_DOTS = 500  # dots of a panel beyond which they grow faint, so that the lines stay in front


def accuracy_figure(arms: Sequence[ArmRun]) -> Figure | None:
    """Accuracy after adaptation over rounds completed, with its 95 % band."""
    return _curves(arms, [("accuracy_after", "accuracy after adaptation", _as_percent)])


def loss_figure(arms: Sequence[ArmRun]) -> Figure | None:
    """Loss after adaptation over rounds completed, with its 95 % band."""
    return _curves(arms, [("loss_after", "loss after adaptation", _as_is)])


def gradient_figure(arms: Sequence[ArmRun]) -> Figure | None:
    """Squared norm of the meta-gradient (log axis), and below it the meta-training loss."""
    return _curves(
        arms,
        [
            ("meta_gradient_norm2", "squared norm of\nthe meta-gradient", make_logarithmic),
            ("meta_loss", "meta-training\nloss", _as_is),
        ],
    )


def error_figure(arms: Sequence[ArmRun], errors: Sequence[tuple[str, str]]) -> Figure | None:
    """NMSE in dB, a dot a round, and the linear mean over a sliding window as a line; a panel an error.

    errors: (key in the record, label of the axis). Arms that know no error beyond rounding are left out.
    """
    present = [(key, label) for key, label in errors if any(_has_error(arm, key) for arm in arms)]
    if not present:
        return None
    alpha = 0.45 if sum(len(arm.rounds) for arm in arms) <= MAX_DARK_DOTS else 0.15
    figure, panels = _panels(len(present))
    for (key, label), axes in zip(present, panels, strict=True):
        for index, arm in enumerate(arms):
            if _has_error(arm, key):
                _draw_error(axes, arm, key, style(index), alpha)
        axes.set_ylabel(f"NMSE {label} (dB)")
    panels[-1].set_xlabel("round")
    add_legend(figure, *panels)
    return figure


def smoothed(ratios: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean of what is known within +- window // 2 of each entry, nan where nothing is. ratios: (n,), linear."""
    kernel = np.ones(2 * (window // 2) + 1)
    known = np.isfinite(ratios)

    def around(values: NDArray) -> NDArray[np.float64]:
        full = np.convolve(values, kernel)
        return full[window // 2 : window // 2 + len(ratios)]

    weights = around(known.astype(float))
    return np.divide(
        around(np.where(known, ratios, 0.0)), weights, out=np.full(len(ratios), np.nan), where=weights > 0
    )


def smoothing_window(num_rounds: int) -> int:
    """Rounds in the sliding mean: a fifteenth of the run, at least 5."""
    return max(5, num_rounds // 15)


def _curves(
    arms: Sequence[ArmRun], quantities: Sequence[tuple[str, str, Callable[[Axes], None]]]
) -> Figure | None:
    """A panel a quantity of the evaluations, given as (key, label, what to make of the vertical axis)."""
    present = [
        q for q in quantities if any(_has(record, q[0]) for arm in arms for _, record in arm.evaluations())
    ]
    if not present:
        return None
    marked = max(len(arm.evaluations()) for arm in arms) <= MAX_MARKED
    figure, panels = _panels(len(present))
    for (key, label, scale), axes in zip(present, panels, strict=True):
        for index, arm in enumerate(arms):
            if any(_has(record, key) for _, record in arm.evaluations()):
                _draw_evaluations(axes, arm, key, style(index), marked)
        axes.set_ylabel(label)
        scale(axes)
    panels[-1].set_xlabel("rounds completed")
    add_legend(figure, *panels)
    return figure


def _draw_evaluations(axes: Axes, arm: ArmRun, key: str, look: Style, marked: bool) -> None:
    points = [(done, record) for done, record in arm.evaluations() if key in record]
    done = [at for at, _ in points]
    axes.plot(
        done, [record[key] if _has(record, key) else math.nan for _, record in points],  # a gap where it diverged
        color=look.colour, linestyle=look.line, marker=look.marker if marked else "", markersize=4, linewidth=1.6,
        label=arm.name,
    )  # fmt: skip
    if all(f"{key}_ci95" in record for _, record in points):
        bounds = np.array([record[f"{key}_ci95"] for _, record in points], dtype=float)
        axes.fill_between(done, bounds[:, 0], bounds[:, 1], color=look.colour, alpha=0.14, linewidth=0)


def _draw_error(axes: Axes, arm: ArmRun, key: str, look: Style, alpha: float) -> None:
    rounds = np.array([record["round"] + 1 for record in arm.rounds])
    ratios = np.array([_ratio(record, key) for record in arm.rounds])
    axes.plot(
        rounds,
        10.0 * np.log10(ratios),
        linestyle="",
        marker=".",
        markersize=4,
        color=look.colour,
        alpha=alpha,
    )
    mean = smoothed(ratios, smoothing_window(len(ratios)))
    axes.plot(
        rounds, 10.0 * np.log10(mean), color=look.colour, linestyle=look.line, linewidth=1.8, label=arm.name
    )


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    figure = new_figure(HEIGHT_IN if count == 1 else 2.3 * count)
    panels = [figure.add_subplot(count, 1, 1)]
    panels += [figure.add_subplot(count, 1, place, sharex=panels[0]) for place in range(2, count + 1)]
    for axes in panels:
        tidy(axes)
        axes.xaxis.set_major_locator(MaxNLocator(9, integer=True, min_n_ticks=1))
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False)
    return figure, panels


def _has(record: Record, key: str) -> bool:
    value = record.get(key)
    return isinstance(value, (int, float)) and math.isfinite(value)


def _has_error(arm: ArmRun, key: str) -> bool:
    return not arm.is_exact(key) and any(math.isfinite(_ratio(record, key)) for record in arm.rounds)


def _ratio(record: Record, key: str) -> float:
    """A linear NMSE, nan where a scheme estimates no mean, the round failed, or only rounding is left."""
    value = record.get(key)
    ratio = math.nan if value is None else float(value)
    return ratio if 10.0 ** (ROUNDING_DB / 10.0) <= ratio < math.inf else math.nan


def _as_is(axes: Axes) -> None:
    del axes


def _as_percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    low, high = axes.get_ylim()  # the normal approximation may reach beyond what an accuracy can be
    axes.set_ylim(max(low, -0.02), min(high, 1.02))
