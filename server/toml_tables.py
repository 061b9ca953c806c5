"""An experiment back to nested tables, and those to TOML."""

import dataclasses
import typing
from typing import Any

import msgspec

from server.config import Experiment
from server.strict_tables import Table


def to_tables(experiment: Experiment) -> Table:
    """The resolved configuration as nested tables of TOML values; inverse of `build`."""
    as_given = dataclasses.replace(experiment, measured=None, applied=None)
    return typing.cast(Table, _listed(dataclasses.asdict(as_given)))


def to_toml(tables: Table) -> str:
    """Nested tables of numbers, strings and lists of them, as TOML."""
    lines = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_toml_value(value)}" for key, value in table.items()]
        lines.append("")
    return "\n".join(lines)


def _listed(value: Any) -> Any:
    """Lists for tuples, as TOML has them; TOML has nothing for None, which is what a key that is left out says."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items() if item is not None}
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()  # TOML's basic strings are JSON's
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return repr(value)
