"""A verdict as a section of a calibration's report, and as lines in the terminal."""

import math

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from calibration.figure_style import new_figure, style, tidy
from calibration.page import Html, element, row, table
from calibration.shown import Shown
from radio.decibel import to_db
from server.verdict import CAUSES, Appraisal, Verdict, milliseconds

LEAST_DB = -50.0  # of a cause, below which nobody asks
HEADINGS = ("scheme", "support", "error of the mean", "of whole updates", "uses a value")


def section(verdict: Verdict) -> list[Html]:
    """What is predicted, recommended, and was measured."""
    found = verdict.measured
    trial = (
        f"It could not be tried over the radios: {verdict.untried}."
        if found is None
        else f"Tried over the radios: {_pair(_of(verdict), found)}"
        + (f"; with what the profile corrects {_pair(*verdict.corrected)}" if verdict.corrected else "")
        + "."
    )
    hold = "" if verdict.hold is None else f" {_sentence(verdict.hold.words(verdict.gap_s))}"
    return [
        element("h2", "What these radios can do"),
        element("p", f"Recommended: {verdict.recommended}. {_sentence(verdict.why)} {trial}{hold}"),
        element(
            "p",
            f"Predicted by rounds of {milliseconds(verdict.gap_s)} between sounding and payload over an air made from "
            "this profile; known vectors, the same for all schemes.",
            class_="faint",
        ),
        table(HEADINGS, [row(each.scheme, _cells(each)) for each in verdict.predicted]),
    ]


def budget_figure(verdict: Verdict) -> Shown:
    """The causes, each alone, largest first."""
    parts = sorted(verdict.budget.items(), key=lambda pair: -pair[1])
    shown = [(name, to_db(part)) for name, part in parts if part > 10.0 ** (LEAST_DB / 10.0)]
    figure: Figure = new_figure(1.3 + 0.32 * max(len(shown), 1))
    axes = figure.add_subplot()
    names, levels = [name for name, _ in shown][::-1], [level for _, level in shown][::-1]
    axes.barh(names, [level - LEAST_DB for level in levels], left=LEAST_DB, color=style(0).colour, height=0.6)
    for place, level in enumerate(levels):
        axes.text(level + 0.5, place, f"{level:.1f} dB", va="center", fontsize=9)
    top = max([*levels, -20.0])
    axes.set_xlim(LEAST_DB, top + 9.0)
    axes.set_xlabel(f"error of {verdict.recommended} that a cause makes alone (dB)")
    tidy(axes)
    meant = "; ".join(f"{name}: {CAUSES[name]}" for name, _ in shown)
    return Shown("budget", "Error budget", f"{_sentence(meant)} Below {LEAST_DB:g} dB: the others.", figure)


def print_verdict(console: Console, verdict: Verdict) -> None:
    """A row a scheme, the recommendation, and predicted against measured."""
    shown = Table(box=None, pad_edge=False)
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading in ("scheme", "support") else "right")
    for each in verdict.predicted:
        shown.add_row(each.scheme, *_cells(each))
    console.print()
    console.print(shown, highlight=False)
    console.print(f"recommended: {verdict.recommended}; {verdict.why}", highlight=False, soft_wrap=True)
    for words, pair in (
        ("tried over the radios", verdict.measured and (_of(verdict), verdict.measured)),
        ("with what the profile corrects", verdict.corrected),
    ):
        if pair:
            console.print(f"{words}: {_pair(*pair)}", highlight=False, soft_wrap=True)
    if verdict.untried:
        console.print(f"not tried over the radios: {verdict.untried}", highlight=False, soft_wrap=True)
    if verdict.hold is not None:
        console.print(verdict.hold.words(verdict.gap_s), highlight=False, soft_wrap=True)


def _of(verdict: Verdict) -> Appraisal:
    return next(each for each in verdict.predicted if each.scheme == verdict.recommended)


def _pair(predicted: Appraisal, measured: Appraisal) -> str:
    failed = f", {100.0 * measured.failed:.0f} % of the rounds failed" if measured.failed else ""
    return f"predicted {_level(predicted.nmse_db)}, measured {_level(measured.nmse_db)}{failed}"


def _cells(each: Appraisal) -> list[str]:
    failed = f" ({100.0 * each.failed:.0f} % failed)" if each.failed else ""
    uses = "-" if each.uses_per_value is None else f"{each.uses_per_value:.2g}"
    exact = each.nmse_db is not None and each.nmse_db < -150.0
    error = "none" if exact else _level(each.nmse_db)
    return [each.support, error + failed, _level(each.nmse_full_db), uses]


def _level(level_db: float | None) -> str:
    return "-" if level_db is None or not math.isfinite(level_db) else f"{level_db:.1f} dB"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
