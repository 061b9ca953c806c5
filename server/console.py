"""What a person sees in the terminal: progress while a run goes on, tables when it is over."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from radio.decibel import to_db
from server.doctor import Finding

Record = dict[str, Any]
COLOURS = {"ok": "green", "missing": "yellow", "wrong": "red"}


@contextmanager
def progress_of(console: Console, name: str, num_rounds: int) -> Iterator[Callable[[Record], None]]:
    """A progress bar with time left, latest accuracy and NMSE; yields what is to be told of every round.

    Where the console is no terminal there is a line an evaluation instead. Failed rounds are shown in either.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[latest]}"),
    )
    latest = {"accuracy": "", "nmse": ""}
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=num_rounds, latest="")

        def on_round(record: Record) -> None:
            if record.get("nmse_air"):
                latest["nmse"] = (
                    f"NMSE {to_db(record['nmse']):.1f} dB, air {to_db(record['nmse_air']):.1f} dB"
                )
            if "accuracy_after" in record:
                latest["accuracy"] = f"accuracy {record['accuracy_after']:.3f}"
            shown = "  ".join(text for text in latest.values() if text)
            if "failed" in record:
                console.print(
                    f"{name} round {record['round'] + 1} failed: {record['failed']}",
                    style="yellow",
                    highlight=False,
                )
            if "accuracy_after" in record and not console.is_terminal:
                console.print(f"{name} round {record['round'] + 1}: {shown}", highlight=False)
            progress.update(task, completed=record["round"] + 1, latest=shown)

        yield on_round


def print_summaries(console: Console, summaries: Mapping[str, Record]) -> None:
    """One row an arm."""
    table = Table(box=None, pad_edge=False)
    for heading in ("arm", "accuracy", "95 % interval", "untrained", "NMSE", "NMSE air", "wall"):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    for name, summary in summaries.items():
        low, high = summary["accuracy_after_ci95"]
        table.add_row(
            name,
            f"{summary['accuracy_after']:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{summary['accuracy_untrained']:.3f}",
            _decibels(summary["nmse_db"]),
            _decibels(summary["nmse_air_db"]),
            f"{summary['wall_s']:.0f} s",
        )
    console.print(table)


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """One line a finding, and one more for what is to be mended."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        table.add_row(finding.name, f"[{COLOURS[finding.verdict]}]{finding.verdict}[/]", finding.detail)
        if finding.verdict != "ok":
            table.add_row("", "", f"needed for {finding.needed_for}; {finding.remedy}")
    console.print(table, highlight=False)


def print_air(console: Console, uris: Sequence[str], facts: Mapping[str, str]) -> None:
    """One row a virtual radio, the one that receives first, then what is between them."""
    table = Table(box=None, pad_edge=False)
    for heading in ("radio", "uri", "as radio.uris has them"):
        table.add_column(heading)
    for number, uri in enumerate(uris):
        table.add_row(str(number), uri, f"device {number - 1}" if number else "receiver")
    console.print(table, highlight=False)
    for name, fact in facts.items():
        console.print(f"{name}: {fact}", highlight=False, markup=False, soft_wrap=True)


EXACT_DB = -150.0  # errors below this are those of floating point


def _decibels(level_db: float | None) -> str:
    return "-" if level_db is None or level_db < EXACT_DB else f"{level_db:.1f} dB"
