"""Figure of the error budget: what each arm's error consists of, stacked, and the air's part of it enlarged."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from calibration.figure_style import COLOURS, new_figure, tidy
from radio.decibel import to_db
from server.error_budget import AIR, PARTS
from server.run_reader import ROUNDING_DB, ArmRun

LABELS = {
    "sparsification": "sparsification",
    "estimator": "estimator",
    "fading": "fading mismatch",
    "noise": "noise",
    "interference": "interference",
    "synchronisation": "phase and timing",
    "ageing": "ageing",
    "hardware": "hardware",
}
PART_COLOURS = dict(zip(PARTS, ("#bbbbbb", COLOURS[6], *COLOURS[:6]), strict=True))
FAINT = 1e-3  # of the longest bar: parts below it cannot be seen and get no entry in the legend
Budget = Mapping[str, float]


def budget_figure(arms: Sequence[ArmRun]) -> Figure | None:
    """A bar an arm, its parts as linear means over rounds one after the other; below, those of the air alone."""
    budgets = {arm.name: mean_budget(arm) for arm in arms}
    known = {name: budget for name, budget in budgets.items() if budget is not None}
    if not known:
        return None
    aerial = {
        name: budget for name, budget in known.items() if _sum(budget, AIR) > 10.0 ** (ROUNDING_DB / 10.0)
    }
    panels = [("whole error", PARTS, known), ("the air's part of it", AIR, aerial)][: 2 if aerial else 1]
    heights = [0.75 + 0.34 * len(shown) for _, _, shown in panels]
    figure = new_figure(0.9 + sum(heights))
    every = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, parts, shown) in zip(every, panels, strict=True):
        _draw_bars(axes, parts, shown)
        axes.set_title(title, fontsize=10, loc="left")
    every[-1].set_xlabel("error energy over that of the mean update (linear)")
    seen = [part for part in PARTS if _is_seen(part, panels)]
    handles = [Patch(color=PART_COLOURS[part]) for part in seen]
    figure.legend(
        handles, [LABELS[part] for part in seen], loc="outside upper left", ncols=3, frameon=False, fontsize=9
    )
    return figure


def mean_budget(arm: ArmRun) -> dict[str, float] | None:
    """Linear mean over rounds of each part, None where the truth was not known."""
    budgets = [record["error_budget"] for record in arm.rounds if record.get("error_budget")]
    if not budgets:
        return None
    return {part: float(np.mean([budget[part] for budget in budgets])) for part in PARTS}


def _draw_bars(axes: Axes, parts: Sequence[str], shown: Mapping[str, Budget]) -> None:
    tidy(axes)
    places = np.arange(len(shown))
    ends = np.zeros(len(shown))
    for part in parts:
        widths = np.array([max(budget[part], 0.0) for budget in shown.values()])
        axes.barh(places, widths, left=ends, height=0.62, color=PART_COLOURS[part])
        ends += widths
    for place, end, budget in zip(places, ends, shown.values(), strict=True):
        axes.text(end, place, f" {to_db(_sum(budget, parts)):.1f} dB", va="center", fontsize=9)
    axes.set_yticks(places, list(shown))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0.0, 1.18 * ends.max())  # room for the figures


def _sum(budget: Budget, parts: Sequence[str]) -> float:
    return sum(budget[part] for part in parts)


def _is_seen(part: str, panels: Sequence[tuple[str, Sequence[str], Mapping[str, Budget]]]) -> bool:
    """Whether a part is wide enough to see in any panel."""
    return any(
        part in parts and budget[part] > FAINT * max(_sum(each, parts) for each in shown.values())
        for _, parts, shown in panels
        for budget in shown.values()
    )
