"""Addresses that virtual radios are served at, one each: the next ones after a first, checked before all starts."""

import errno
import ipaddress
import os
import socket
from pathlib import Path

from server.config import ConfigError

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
                    f"{host} port {port} is taken{_by_whom(port)}, or give other addresses with --host"
                ) from error
            raise AddressError(
                f"cannot listen at {host} port {port}: {os.strerror(error.errno or 0)}; give addresses of this machine "
                "with --host"
            ) from error


def _by_whom(port: int) -> str:
    found = listener(port)
    if found is None:
        return " by a process of another user; stop it"
    pid, command = found
    return f" by process {pid} ({command}); stop it with kill {pid}"


def listener(port: int) -> tuple[int, str] | None:
    """(process, its command line) of one who listens at a port of this machine; None where that cannot be seen."""
    inodes = {
        f"socket:[{fields[9]}]"
        for table in ("tcp", "tcp6")
        for fields in _rows(Path("/proc/net", table))
        if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port
    }
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            links = {os.readlink(link) for link in (folder / "fd").iterdir()}
            if inodes & links:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                return int(folder.name), b" ".join(words).decode("ascii", "replace").strip()[:80]
        except OSError:  # another user's, or gone meanwhile
            continue
    return None


def _rows(table: Path) -> list[list[str]]:
    try:
        return [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:  # no such table on this system
        return []
