"""What a person sees in the terminal: progress while a run goes on, tables when it is over."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from radio.decibel import to_db
from server.board import DeviceNow
from server.doctor import Finding
from server.status import ArmStatus, seconds_left

Record = dict[str, Any]
STATE_COLOURS = {
    "waiting": "cyan",
    "running": "green",
    "silent": "yellow",
    "stopped": "red",
    "complete": "green",
}
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
            errors = {"NMSE": record.get("nmse"), "air": record.get("nmse_air")}
            if shown_errors := [f"{name} {to_db(error):.1f} dB" for name, error in errors.items() if error]:
                latest["nmse"] = ", ".join(shown_errors)
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


def print_status(console: Console, statuses: Sequence[ArmStatus]) -> None:
    """One row an arm, then one row a device of the arm that runs, or ran last."""
    table = Table(box=None, pad_edge=False)
    for heading in (
        "arm",
        "state",
        "rounds",
        "failed",
        "latest",
        "left",
        "accuracy",
        "NMSE",
        "NMSE air",
    ):
        table.add_column(heading, justify="left" if heading in ("arm", "state") else "right", no_wrap=True)
    for status in statuses:
        accuracy, left_s = status.latest.get("accuracy"), seconds_left(status)
        table.add_row(
            status.name,
            f"[{STATE_COLOURS[status.state]}]{status.state}[/]",
            f"{status.rounds}/{status.planned}",
            str(status.failed),
            "-" if status.quiet_s is None else f"{_span(status.quiet_s)} ago",
            "-" if left_s is None else _span(left_s),
            "-" if accuracy is None else f"{accuracy:.3f}",
            _ratio(status.latest.get("nmse")),
            _ratio(status.latest.get("nmse_air")),
        )
    console.print(table, highlight=False)
    for status in statuses:
        if status.repeats:
            console.print(
                f"{status.name}: begun again for want of a quorum: {status.repeats} times", markup=False
            )
        if status.last_failure:
            console.print(
                f"{status.name}: last failure in {status.last_failure}", highlight=False, markup=False
            )
    begun = [status for status in statuses if status.devices]
    if begun:
        _print_devices(console, begun[-1])


def _print_devices(console: Console, status: ArmStatus) -> None:
    table = Table(box=None, pad_edge=False)
    is_live = any(device.now for device in status.devices)
    headings = ("device", *(("process", "now") if is_live else ()))
    for heading in (
        *headings,
        f"in round {status.rounds}" * bool(status.rounds),
        "sent in",
        "last sent in",
        "",
    ):
        table.add_column(heading, justify="right" if heading == "device" else "left")
    for device in status.devices:
        table.add_row(
            str(device.device),
            *((device.now.process or "-", _presence(device.now)) if device.now else [""] * is_live * 2),
            device.state or "-",
            f"{device.num_sent} rounds",
            "-" if device.last_sent is None else f"round {device.last_sent + 1}",
            device.reason,
        )
    console.print()
    console.print(table, highlight=False, markup=False)


def _presence(now: DeviceNow) -> str:
    """In words: what it is at, or since when it is there, or not."""
    what: str = now.presence
    since = now.since
    if now.working_on is not None:
        what, since = f"at {now.working_on}", now.asked
    return what if since is None else f"{what} for {_span(max(time.time() - since, 0.0))}"


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


def _span(seconds: float) -> str:
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.1f} h"


def _ratio(error: float | None) -> str:
    return "-" if not error else _decibels(to_db(error))


EXACT_DB = -150.0  # errors below this are those of floating point


def _decibels(level_db: float | None) -> str:
    return "-" if level_db is None or level_db < EXACT_DB else f"{level_db:.1f} dB"
