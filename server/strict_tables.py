"""Strict reading of nested tables: what is unknown, not a number or of another type is named as the file spells it."""

import dataclasses
import math
import re
import tomllib
import typing
from pathlib import Path
from typing import Any, Literal

import msgspec

from server.config import NO_TABLE, ConfigError

Table = dict[str, Any]
CONFIGURATION = "docs/configuration.md"


def read_tables(path: Path) -> Table:
    """Of a TOML file. ConfigError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error


def refuse_unknown_keys(table: Any, kind: Any, where: str) -> None:
    """ConfigError that names the known keys, unless every key is a field of dataclass `kind`, or of one within it."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where} = {table!r} is not a table; write [{where}] and its keys below")
    known = {f.name: f.type for f in dataclasses.fields(kind) if NO_TABLE not in f.metadata}
    for key, value in table.items():
        if key not in known:
            place, what = (f"{where}.{key}", "key") if where else (key, "table")
            raise ConfigError(f"unknown {what} {place}; known: {', '.join(known)}")
        if dataclasses.is_dataclass(known[key]):
            refuse_unknown_keys(value, known[key], key)


def refuse_non_finite(value: Any, where: str) -> None:
    """ConfigError for a number that is infinite or none."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where} = {value} is not a finite number; give one")
    if isinstance(value, dict):
        for key, item in value.items():
            refuse_non_finite(item, f"{where}.{key}" if where else key)
    if isinstance(value, list):
        for item in value:
            refuse_non_finite(item, where)


def explain(error: msgspec.ValidationError, tables: Table, kind: Any, page: str = CONFIGURATION) -> str:
    """msgspec's finding with the key spelt as in the file and the value that was found. page: where keys are told."""
    text = str(error)
    match = re.search(r" - at `\$\.([\w.]+)(?:\[[^\]]*\])?`$", text)
    if not match:
        return text.replace("`", "")
    key = match[1]
    value: Any = tables
    for step in key.split("."):
        value = value[step] if isinstance(value, dict) and step in value else value
    finding = text[: match.start()].replace("`", "").replace(" | null", "")
    if isinstance(value, dict):
        return finding  # of a table as a whole: its message names the key
    finding += _choices(key, kind)
    return f"{key} = {value!r}: {finding[0].lower()}{finding[1:]}; see {page}"


def _choices(key: str, kind: Any) -> str:
    """What a key of fixed words can be, as the end of a message; empty for other keys."""
    table, _, name = key.partition(".")
    kind = typing.get_type_hints(typing.get_type_hints(kind)[table]).get(name)
    kinds = (kind, *typing.get_args(kind))  # a key that may be absent is a union
    words = next((typing.get_args(words) for words in kinds if typing.get_origin(words) is Literal), ())
    if not words:
        return ""
    return f"; choose {'a number or ' if float in kinds else ''}one of: {', '.join(words)}"
