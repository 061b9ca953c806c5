"""An inventory: what a lab is made of. Its keys are told in docs/lab.md."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from msgspec import Meta

from devices.messages import Count
from server.config import ConfigError

SERVER = "server"  # the server among the names; no device can be called that


@dataclass(frozen=True, kw_only=True)
class ServerEntry:
    """The table `server`. url: where devices connect; bind: what the server listens at, unless that is the same;
    keys: folder of the keys, from this file's own on; radio, serial: of the receiver."""

    url: str
    bind: str = ""
    keys: str = ""
    radio: str = ""
    serial: str = ""


@dataclass(frozen=True, kw_only=True)
class DeviceEntry:
    """One of the tables `device`, a process. host: where it runs, beside the server if empty; radio: as that host
    reaches it; count: of its devices, one if it has a radio; first: number of the first, the lowest free if None."""

    name: str
    host: str = ""
    radio: str = ""
    serial: str = ""
    count: Count = 1
    first: Annotated[int, Meta(ge=0)] | None = None


class Share(NamedTuple):
    """What a host has to do with one process: its name, its host, and its radio, if it has one."""

    name: str
    host: str
    radio: str
    serial: str


@dataclass(frozen=True)
class Lab:
    """A checked inventory. path: of its file."""

    path: Path
    server: ServerEntry
    devices: tuple[DeviceEntry, ...]

    @property
    def bind(self) -> str:
        """What the server listens at."""
        return self.server.bind or self.server.url

    @property
    def keys(self) -> Path | None:
        """Folder of the keys, None in a lab without."""
        return self.path.parent / self.server.keys if self.server.keys else None

    def device(self, name: str) -> DeviceEntry:
        """The process of a name. ConfigError."""
        found = next((entry for entry in self.devices if entry.name == name), None)
        if found is None:
            known = ", ".join(entry.name for entry in self.devices)
            raise ConfigError(f"--id {name} is not in {self.path}; known: {known}; add a [[device]] to it")
        return found

    def shares(self) -> tuple[Share, ...]:
        """The server's, then the device processes' in order."""
        at = urlsplit(self.server.url).hostname or ""
        entries = (Share(d.name, d.host or at, d.radio, d.serial) for d in self.devices)
        return (Share(SERVER, at, self.server.radio, self.server.serial), *entries)
