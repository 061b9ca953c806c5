"""One TOML file in, frozen, checked arms out."""

import copy
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from radio.numerologies import PRESETS
from server.config import Arm, ConfigError, Experiment
from server.config_checks import check
from server.strict_tables import Table, explain, read_tables, refuse_non_finite, refuse_unknown_keys


def load_arms(path: Path, overrides: Sequence[str] = ()) -> list[Arm]:
    """Arms of a TOML file: `overrides` ("table.key=value") change the base tables, an arm's own lie on top.

    Raises ConfigError.
    """
    base = read_tables(path)
    arm_tables = base.pop("arm", [])
    for override in overrides:
        _merge(base, _parse_override(override))
    if not arm_tables:
        return [Arm("", build(base))]
    return [_build_arm(base, table, arm_tables) for table in _checked_arms(arm_tables)]


def build(tables: Table) -> Experiment:
    """A checked experiment from nested tables. Raises ConfigError."""
    tables = copy.deepcopy(tables)
    refuse_unknown_keys(tables, Experiment, "")
    refuse_non_finite(tables, "")
    task = tables.get("task", {})
    for key in ("path", "test_path"):
        if isinstance(task.get(key), str):  # one path or several
            task[key] = [task[key]] if task[key] else []
    radio = tables.get("radio", {})
    if preset := PRESETS.get(str(radio.get("preset", "")), {}):
        tables["radio"] = dict(preset) | radio  # what the file gives wins
    try:
        experiment = msgspec.convert(tables, Experiment)
    except msgspec.ValidationError as error:
        raise ConfigError(explain(error, tables, Experiment)) from error
    check(experiment)
    return experiment


def _checked_arms(arm_tables: Any) -> list[Table]:
    if not isinstance(arm_tables, list) or not all(isinstance(table, dict) for table in arm_tables):
        raise ConfigError("arm must be an array of tables; write [[arm]]")
    names = [table.get("name") for table in arm_tables]
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ConfigError(f"arm name {name!r} cannot name a folder; use letters, digits, '.', '_', '-'")
    if len(set(names)) < len(names):
        raise ConfigError(f"arm names must differ, got {', '.join(map(str, names))}")
    return arm_tables


def _build_arm(base: Table, arm_table: Table, arm_tables: list[Table]) -> Arm:
    name = arm_table["name"]
    merged = copy.deepcopy(base)
    _merge(merged, {key: value for key, value in arm_table.items() if key != "name"})
    try:
        return Arm(name, build(merged))
    except ConfigError as error:
        raise ConfigError(f"arm {name!r}: {error}") from error


def _parse_override(text: str) -> Table:
    key, equals, value = text.partition("=")
    if not equals or key.count(".") != 1 or not all(key.split(".")):
        raise ConfigError(f"--set {text!r} is not of the form table.key=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value  # a bare word or a path needs no quotes
    table, name = key.split(".")
    return {table.strip(): {name.strip(): parsed}}


def _merge(base: Table, over: Table) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value
