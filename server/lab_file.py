"""`lab.toml`, one file for all hosts of a lab: strictly read, checked as a whole."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from devices.wire.keys import KeyFileError
from server.config import ConfigError
from server.lab import DeviceEntry, Lab, ServerEntry
from server.lab_checks import check
from server.strict_tables import Table, explain, read_tables, refuse_unknown_keys

PAGE = "docs/lab.md"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class _File:
    server: ServerEntry
    device: tuple[DeviceEntry, ...]


@dataclass(frozen=True, kw_only=True)
class _OneDevice:
    device: DeviceEntry


@dataclass(frozen=True, kw_only=True)
class _OneServer:
    server: ServerEntry


def load_lab(path: Path) -> Lab:
    """An inventory file. ConfigError: `path`, what is wrong, what to do."""
    tables = read_tables(path)
    try:
        lab = _build(path, tables)
        check(lab)
    except (ConfigError, KeyFileError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return lab


def _build(path: Path, tables: Table) -> Lab:
    refuse_unknown_keys(tables, _File, "")
    entries = tables.get("device", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError("device must be an array of tables; write [[device]]")
    if not entries or "server" not in tables:
        raise ConfigError("a lab has a table [server] and at least one [[device]]; add what is missing")
    server = _convert({"server": tables["server"]}, _OneServer, "[server]").server
    devices = []
    for number, entry in enumerate(entries, start=1):
        where = f"[[device]] {number}, {entry.get('name', 'without a name')!r}"
        refuse_unknown_keys(entry, DeviceEntry, "device")
        devices.append(_convert({"device": entry}, _OneDevice, where).device)
    return Lab(path, server, tuple(devices))


def _convert(tables: Table, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(tables, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {explain(error, tables, kind, PAGE)}") from error
