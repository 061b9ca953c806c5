"""What no single key of an inventory can say: which entries exclude each other, and which need each other."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from devices.wire.keys import check_name
from server.config import ConfigError
from server.door import check_bind
from server.lab import DeviceEntry, Lab, Share

RADIO = re.compile(r"ip:[A-Za-z0-9._-]+(:[0-9]{1,5})?")


def check(lab: Lab) -> None:
    """ConfigError or KeyFileError, with value, limit and remedy."""
    server, shares = lab.server, lab.shares()
    _check_url(server.url)
    check_bind(lab.bind, bool(server.keys), "server.bind" if server.bind else "server.url", "server.keys")
    for entry in lab.devices:
        check_name(entry.name)
        if entry.radio and entry.count != 1:
            raise ConfigError(
                f"{entry.name} has a radio and count = {entry.count}; a device with a radio is a process of its own"
            )
    for share in shares:
        _check_radio(share)
    _check_distinct("name", [(share.name, share.name) for share in shares])
    _check_distinct(
        "radio", [(share.name, f"{share.radio} at {share.host}") for share in shares if share.radio]
    )
    _check_distinct("serial", [(share.name, share.serial) for share in shares if share.serial])
    if bool(server.radio) != any(entry.radio for entry in lab.devices):
        raise ConfigError(
            "radios are needed on both sides, server.radio that receives and one of a device at least; add what is "
            "missing, or leave all of them out for a simulated air"
        )
    _check_numbers(lab.devices)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme == "tcp" and bool(parts.hostname) and bool(parts.port) and not parts.path
    except ValueError:  # of a port
        is_whole = False
    if not is_whole:
        raise ConfigError(
            f"server.url = {url!r} is not of the form tcp://ADDRESS:PORT; write for example tcp://10.0.0.1:5750"
        )


def _check_radio(share: Share) -> None:
    if share.radio and not RADIO.fullmatch(share.radio):
        raise ConfigError(
            f"{share.name} has radio = {share.radio!r}; write ip:HOST, as an address on USB changes with the order of "
            "plugging in, and a Pluto on USB has a network address too"
        )
    if share.serial and not share.radio:
        raise ConfigError(f"{share.name} has a serial and no radio; add radio, or leave serial out")


def _check_distinct(what: str, held: Sequence[tuple[str, Any]]) -> None:
    owners: dict[Any, str] = {}
    for name, value in held:
        if value in owners:
            raise ConfigError(f"{owners[value]} and {name} have one {what}, {value}; give each its own")
        owners[value] = name


def _check_numbers(entries: Sequence[DeviceEntry]) -> None:
    owners: dict[int, str] = {}
    for entry in entries:
        for number in range(entry.first, entry.first + entry.count) if entry.first is not None else ():
            if number in owners:
                raise ConfigError(
                    f"{owners[number]} and {entry.name} both host device {number}; change first or count of one"
                )
            owners[number] = entry.name
