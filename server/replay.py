"""What a replay comes to: quantities as they were found live beside those found again."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from devices.wire.provenance import versions

Value = Any  # of JSON
DECIDING = ("numpy", "scipy")  # whose versions may change bits


class Row(NamedTuple):
    """A quantity; None where one side has none."""

    name: str
    live: Value
    replayed: Value

    @property
    def is_same(self) -> bool:
        """Bit for bit, as JSON keeps the bits of a float."""
        return bool(self.live == self.replayed)


@dataclass(frozen=True)
class Replayed:
    """title: what was recorded. notes: what a reader has to know to judge the rows."""

    title: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        """Whether there was something to compare, and all of it is the same."""
        return bool(self.rows) and all(row.is_same for row in self.rows)


def compare(name: str, live: Mapping[str, Value], replayed: Mapping[str, Value]) -> list[Row]:
    """A row for each value of nested mappings, named by its path; plain values that lie together are one."""
    left, right = _flat(name, live), _flat(name, replayed)
    return [Row(path, left.get(path), right.get(path)) for path in dict.fromkeys((*right, *left))]


def differing_versions(recorded: Mapping[str, str | None]) -> list[str]:
    """What of the software that decides over bits is another here, in words."""
    here = versions(DECIDING) | {"python": platform.python_version()}
    return [
        f"recorded with {name} {recorded[name]}, here is {version}: last bits may differ"
        for name, version in here.items()
        if recorded.get(name, version) != version
    ]


def _flat(name: str, values: Mapping[str, Value]) -> dict[str, Value]:
    flat: dict[str, Value] = {}
    for key, value in values.items():
        path = f"{name} {key}"
        is_nested = isinstance(value, Mapping) and any(
            isinstance(each, Mapping | list) for each in value.values()
        )
        flat |= _flat(path, value) if is_nested else {path: value}
    return flat
