"""Addresses of this machine: consecutive ones for virtual radios, checked before all starts, and whose they are."""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from server.config import ConfigError

Place = tuple[Any, ...]  # of a family, as socket takes it
LISTENING = "0A"  # state of a socket in /proc/net/tcp


class AddressError(OSError):
    """An address that cannot be served at; one line with the remedy."""


def consecutive(first: str, count: int, beyond_loopback: bool = False) -> tuple[str, ...]:
    """`count` addresses from `first` on. ConfigError where one leaves the loopback without leave."""
    try:
        addresses = [ipaddress.ip_address(first) + place for place in range(count)]
    except ValueError as error:
        raise ConfigError(
            f"--host {first}: {count} addresses from there on do not exist; give an IP address such as 127.0.0.2"
        ) from error
    outside = next((address for address in addresses if not address.is_loopback), None)
    if outside is not None and not beyond_loopback:
        raise ConfigError(
            f"--host {first} --radios {count} reaches {outside}, which is not in 127.0.0.0/8, and the protocol has "
            "neither authentication nor encryption; choose loopback addresses, or add --beyond-loopback on a network "
            "that you trust"
        )
    return tuple(map(str, addresses))


def check_free(hosts: tuple[str, ...], port: int) -> None:
    """AddressError for the first that cannot be listened at; it names the process that does, where that can be seen."""
    for host in hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            socket.create_server((host, port), family=family).close()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise AddressError(
                    f"{host} port {port} is taken{_by_whom(host, port)}, or give other addresses with --host"
                ) from error
            raise AddressError(
                f"cannot listen at {host} port {port}: {os.strerror(error.errno or 0)}; give addresses of this machine "
                "with --host"
            ) from error


def resolve(host: str) -> list[tuple[int, Place]]:
    """(family, socket address with port 0) of a name or an address. AddressError for a name that has none."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise AddressError(f"{host} has no address: {error.strerror}; write an IP address") from error
    return [(family, place) for family, _, _, _, place in found]


def is_of_this_machine(host: str) -> bool:
    """Whether one could listen there. AddressError for a name that has no address."""
    return any(_can_bind(family, place) for family, place in resolve(host))


def _can_bind(family: int, place: Place) -> bool:
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind(place)
        return True
    return False


def _by_whom(host: str, port: int) -> str:
    found = listener(host, port)
    if found is None:
        return " by a process of another user; stop it"
    pid, command = found
    return f" by process {pid} ({command}); stop it with kill {pid}"


def listener(host: str, port: int) -> tuple[int, str] | None:
    """(process, its command line) of one who listens there or everywhere; None where that cannot be seen."""
    address = ipaddress.ip_address(host).packed
    inodes = {
        f"socket:[{inode}]"
        for held, held_port, inode in _listening()
        if held_port == port and (held == address or not any(held))
    }
    for folder in Path("/proc").glob("[0-9]*"):
        if inodes & set(_links(folder / "fd")):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            return int(folder.name), b" ".join(words).decode("ascii", "replace").strip()[:80]
    return None


def _listening() -> Iterator[tuple[bytes, int, str]]:
    """(address, port, inode) of each listening socket."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == LISTENING:
                words, _, held_port = fields[1].partition(":")
                packed = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
                yield packed, int(held_port, 16), fields[9]


def _links(folder: Path) -> Iterator[str]:
    """What a process has open; nothing of another user's, or of one that ends meanwhile."""
    with suppress(OSError):
        for link in list(folder.iterdir()):
            with suppress(OSError):
                yield os.readlink(link)
