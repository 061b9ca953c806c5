"""What commands take from an inventory, where their flags do not say otherwise."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from server.config import Arm, ConfigError
from server.lab import SERVER, Lab, Share


class ServerTerms(NamedTuple):
    """settings: as of --set, the inventory's first, so that a flag's count."""

    bind: str
    keys: Path | None
    settings: list[str]


@dataclass(frozen=True)
class DeviceTerms:
    """first: -1 for the lowest numbers that are free; count: that of `uris`, where there are any."""

    url: str
    count: int
    first: int
    uris: tuple[str, ...]
    keys: Path | None


def server_terms(
    lab: Lab | None, bind: str | None, keys: Path | None, settings: Sequence[str] | None, default_bind: str
) -> ServerTerms:
    """Of `airmeta server`."""
    if lab is None:
        return ServerTerms(bind or default_bind, keys, list(settings or ()))
    receiver = [f"radio.uris={json.dumps([lab.server.radio])}"] if lab.server.radio else []
    return ServerTerms(bind or lab.bind, keys or lab.keys, [*receiver, *(settings or ())])


def device_terms(
    lab: Lab | None,
    name: str,
    url: str | None,
    count: int | None,
    first: int,
    uris: Sequence[str],
    keys: Path | None,
) -> DeviceTerms:
    """Of `airmeta device`. ConfigError."""
    if lab is not None:
        entry = lab.device(name)
        url, keys = url or lab.server.url, keys or lab.keys
        uris = uris or ([entry.radio] if entry.radio else [])
        count = entry.count if count is None and not uris else count
        first = entry.first if first < 0 and entry.first is not None else first
    if url is None:
        raise ConfigError("where the server is remains open; give --server URL, or --lab FILE, which says it")
    if uris and count not in (None, len(uris)):
        raise ConfigError(
            f"--count {count} with {len(uris)} radios; a device with a radio needs one of its own"
        )
    return DeviceTerms(url, len(uris) or count or 1, first, tuple(uris), keys)


def check_arms(lab: Lab, arms: Sequence[Arm]) -> None:
    """ConfigError unless the lab has the devices that every arm asks for; with radios those over radios."""
    with_radios = sum(1 for entry in lab.devices if entry.radio)
    without = sum(entry.count for entry in lab.devices if not entry.radio)
    for arm in arms:
        fleet = arm.experiment.fleet
        if arm.experiment.link.backend == "pluto":
            _check_enough(lab, with_radios, "devices with radios", fleet.devices, "fleet.devices")
            _check_enough(lab, without, "devices without radios", fleet.held_out, "fleet.held_out")
        else:
            needed = fleet.devices + fleet.held_out
            _check_enough(lab, with_radios + without, "devices", needed, "fleet.devices + fleet.held_out")


def _check_enough(lab: Lab, found: int, what: str, needed: int, key: str) -> None:
    if found < needed:
        raise ConfigError(
            f"{lab.path} has {found} {what}, {key} = {needed} are needed; add to it, or ask for fewer with --set"
        )


def share_of(lab: Lab, name: str) -> Share:
    """The server's or a device process's. ConfigError."""
    if name != SERVER:
        lab.device(name)
    return next(share for share in lab.shares() if share.name == name)
