"""What `airmeta replay` does: what a recording holds decides who evaluates it again."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from radio.recording import Recording, RecordingError, read_recording
from server import replayed_calibration
from server.replay import Replayed
from server.replayed_round import replay_round
from server.round_facts import KIND

KINDS: Mapping[str, Callable[[Recording], Replayed]] = {
    KIND: replay_round,
    replayed_calibration.KIND: replayed_calibration.replay_calibration,
}
"""By `airmeta:kind`."""


def replay_recording(path: Path) -> Replayed:
    """RecordingError for what cannot be read, or be evaluated by this version."""
    recording = read_recording(path)
    kind = recording.about.kind
    if kind not in KINDS:
        raise RecordingError(
            f"{recording.path} records a {kind}, which this version cannot replay; known: {', '.join(KINDS)}"
        )
    return KINDS[kind](recording)


def print_replay(console: Console, replayed: Replayed) -> None:
    """A row a quantity, what there is to know, and the verdict."""
    table = Table(box=None, pad_edge=False)
    for heading in ("quantity", "live", "replayed"):
        table.add_column(heading)
    for row in replayed.rows:
        again = "same" if row.is_same else f"[red]{_shown(row.replayed, exactly=True)}[/]"
        table.add_row(row.name, _shown(row.live, exactly=not row.is_same), again)
    console.print(replayed.title, highlight=False, markup=False, soft_wrap=True)
    console.print(table, highlight=False)
    for note in replayed.notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    different = sum(not row.is_same for row in replayed.rows)
    verdict = (
        f"{different} of {len(replayed.rows)} quantities differ" if different else "identical, bit for bit"
    )
    console.print(verdict if replayed.rows else "nothing to compare", highlight=False, soft_wrap=True)


def _shown(value: Any, exactly: bool) -> str:
    """exactly: with all digits."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return repr(value) if exactly else f"{value:.6g}"
    if isinstance(value, Mapping) and "sha256" in value:
        return f"{_shown(value['norm'], exactly)} ({value['sha256'][:12]})"
    if isinstance(value, Mapping):
        parts = [f"{name} {_shown(each, exactly)}" for name, each in value.items() if each]
        return ", ".join(parts) or "none"
    if isinstance(value, list):
        return ", ".join(_shown(each, exactly) for each in value)
    return str(value)
