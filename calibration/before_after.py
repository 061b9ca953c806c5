"""What correcting changed: a table for the report, and a line for the terminal."""

import math
from collections.abc import Iterable

from calibration.corrections import SIGNIFICANT
from calibration.page import Html, element, row, table
from calibration.profile import ComplexEntry, Entry, Profile
from calibration.words import shown
from radio.decibel import to_db

HEADINGS = {"image": "image (dB)", "leakage": "leakage (dBFS)", "gain_db": "gain (dB)", "evm_db": "EVM (dB)"}
LEAD = (
    "What was found is undone in the samples that are sent and received, and measured again: strong devices are turned "
    "down to a common level, and what a mixer adds and an amplifier takes is sent in advance the other way round. A "
    "run does the same where radio.profile names this profile's file. EVM is all in a burst that no channel explains, "
    "noise included, over the rest. Each number before and after."
)
ARROW = " \N{RIGHTWARDS ARROW} "
LINE = {"image": "image", "leakage": "leakage", "evm_db": "EVM"}


def before_after_section(profile: Profile) -> tuple[Html, ...]:
    """Heading, words and a row a device; nothing where nothing was measured again."""
    if not _is_verified(profile):
        return ()
    rows = []
    for each in profile.devices:
        if each.after is not None:
            cells = [_pair(name, getattr(each, name), getattr(each.after, name)) for name in HEADINGS]
            rows.append(
                row(f"{each.device}  {each.uri or each.serial}", [f"{abs(each.after.level_db):.2f}", *cells])
            )
    if (after := profile.receiver.after) is not None:
        image = _pair("image", profile.receiver.image, after.image)
        offset = _pair("dc", profile.receiver.dc, after.dc)
        rows.append(row("receiver", ["", image, f"{offset} (DC)" if offset else "", "", ""]))
    head = ("", "down by (dB)", *HEADINGS.values())
    return (
        element("h2", "Corrections"),
        element("p", LEAD, class_="faint"),
        table(head, rows),
        element("p", f"C{summary(profile)[1:]}."),
    )


def summary(profile: Profile) -> str:
    """One line, of the worst device each; empty where nothing was measured again."""
    if not _is_verified(profile):
        return ""
    parts = []
    spreads = profile.gain_spread_db, profile.gain_spread_after_db
    if spreads[0] is not None and spreads[1] is not None:
        parts.append(f"gain spread {spreads[0]:.1f} to {spreads[1]:.1f} dB")
    verified = [each for each in profile.devices if each.after is not None]
    for name, word in LINE.items():
        if not any(_is_there(getattr(each, name)) for each in verified):
            continue
        before = _worst_db(getattr(each, name) for each in verified)
        after = _worst_db(getattr(each.after, name) for each in verified)
        if math.isfinite(before) and math.isfinite(after):
            parts.append(f"{word} {before:.1f} to {after:.1f} dB")
    return f"corrected, worst device: {', '.join(parts)}"


def _is_verified(profile: Profile) -> bool:
    return any(each.after is not None for each in profile.devices)


def _is_there(entry: Entry | ComplexEntry | None) -> bool:
    return isinstance(entry, Entry) or (entry is not None and abs(entry.value) > SIGNIFICANT * entry.std)


def _worst_db(entries: Iterable[Entry | ComplexEntry | None]) -> float:
    found = [
        to_db(abs(entry.value) ** 2) if isinstance(entry, ComplexEntry) else entry.value
        for entry in entries
        if entry is not None
    ]
    return max(found, default=math.nan)


def _pair(name: str, before: Entry | ComplexEntry | None, after: Entry | ComplexEntry | None) -> str:
    return ARROW.join(shown(name, each).split(" (")[0] for each in (before, after) if each is not None)
