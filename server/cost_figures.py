"""What arms gain for what they spend, all overlaid: accuracy against channel uses and energy, results against SNR."""

import math
from collections.abc import Sequence
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from calibration.figure_style import add_legend, make_logarithmic_across, new_figure, style, tidy
from server.families import SNR, families
from server.run_reader import ArmRun

COSTS = (("channel_uses", "channel uses so far"), ("transmit_energy", "transmit energy so far"))
AT_SNR = (
    ("accuracy_after", "accuracy after\nadaptation"),
    ("nmse_db", "NMSE decoded (dB)"),
    ("nmse_full_db", "NMSE whole update (dB)"),
)


def cost_figure(arms: Sequence[ArmRun]) -> Figure | None:
    """Accuracy over what payloads have cost by then; only where arms differ in it."""
    present = [(key, label) for key, label in COSTS if _differ(arms, key)]
    if not present:
        return None
    figure = new_figure(2.9 * len(present))
    panels = [figure.add_subplot(len(present), 1, place + 1) for place in range(len(present))]
    for (key, label), axes in zip(present, panels, strict=True):
        for index, arm in enumerate(arms):
            _draw_cost(axes, arm, key, index)
        make_logarithmic_across(axes)
        axes.set_xlabel(label)
        axes.set_ylabel("accuracy after adaptation")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        tidy(axes)
    add_legend(figure, *panels)
    return figure


def error_cost_figure(arms: Sequence[ArmRun]) -> Figure | None:
    """Where each arm lies between error and channel uses a round; only where arms differ in these."""
    placed = [(index, arm, _mean_cost(arm, "channel_uses")) for index, arm in enumerate(arms)]
    if not _differ(arms, "channel_uses"):
        return None
    figure = new_figure(5.0)
    panels = [figure.add_subplot(2, 1, 1)]
    panels.append(figure.add_subplot(2, 1, 2, sharex=panels[0]))
    for (key, label), axes in zip(AT_SNR[1:], panels, strict=True):
        for index, arm, uses in placed:
            error_db = arm.numbers().get(key)
            if error_db is not None and uses > 0.0 and not arm.is_exact(key.removesuffix("_db")):
                look = style(index)
                axes.plot([uses], [error_db], look.marker, color=look.colour, markersize=8, label=arm.name)
        make_logarithmic_across(axes)
        axes.set_ylabel(label)
        tidy(axes)
    panels[-1].set_xlabel("channel uses a round")
    add_legend(figure, *panels)
    return figure


def snr_figure(arms: Sequence[ArmRun]) -> Figure | None:
    """Accuracy and errors over SNR, a line a family; only where a family has several."""
    groups = families(arms)
    if max((len(family) for family in groups), default=0) < 2:
        return None
    shown = [(key, label) for key, label in AT_SNR if any(arm.numbers().get(key) is not None for arm in arms)]
    figure = new_figure(2.4 * len(shown))
    panels = [figure.add_subplot(len(shown), 1, place + 1) for place in range(len(shown))]
    for (key, label), axes in zip(shown, panels, strict=True):
        for index, family in enumerate(groups):
            points = sorted(
                (arm.setting(*SNR), arm.numbers()[key])
                for arm in family
                if arm.numbers().get(key) is not None and not arm.is_exact(key.removesuffix("_db"))
            )
            if points:
                look = style(index)
                axes.plot(
                    *zip(*points, strict=True), color=look.colour, linestyle=look.line, marker=look.marker,
                    markersize=5, linewidth=1.6, label=family[0].name,
                )  # fmt: skip
        axes.set_ylabel(label)
        axes.set_xticks(sorted({arm.setting(*SNR) for family in groups if len(family) > 1 for arm in family}))
        if key.startswith("accuracy"):
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        tidy(axes)
    panels[-1].set_xlabel("SNR (dB)")
    add_legend(figure, *panels)
    return figure


def _draw_cost(axes: Axes, arm: ArmRun, key: str, index: int) -> None:
    spent = [0.0, *accumulate(float(record.get(key, 0.0)) for record in arm.rounds)]
    points = [
        (spent[done], record["accuracy_after"])
        for done, record in arm.evaluations()
        if "accuracy_after" in record and done < len(spent) and spent[done] > 0.0
    ]
    if points:
        look = style(index)
        axes.plot(
            *zip(*points, strict=True), color=look.colour, linestyle=look.line, marker=look.marker, markersize=4,
            linewidth=1.6, label=arm.name,
        )  # fmt: skip


def _mean_cost(arm: ArmRun, key: str) -> float:
    spent = [float(record[key]) for record in arm.rounds if key in record]
    return math.fsum(spent) / len(spent) if spent else 0.0


def _differ(arms: Sequence[ArmRun], key: str) -> bool:
    """Whether arms spend amounts that are a tenth apart or more."""
    spent = [cost for cost in (_mean_cost(arm, key) for arm in arms) if cost > 0.0]
    return len(spent) > 1 and max(spent) > 1.1 * min(spent)
