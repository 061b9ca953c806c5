"""Key files of the control plane (CurveZMQ, Curve25519).

A folder holds `server.key` and `NAME.key` (public and secret key, for their owner's eyes: mode 0600), `server.pub`,
which devices know the server by, and `allowed`, one line `NAME PUBLIC_KEY` a device that the server lets in. A device's
host needs `server.pub` and its own `NAME.key`; the server's needs `server.key` and `allowed`.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

import zmq

SERVER_KEY, SERVER_PUBLIC, ALLOWED = "server.key", "server.pub", "allowed"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
KEY = re.compile(rb"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")  # Z85, https://rfc.zeromq.org/spec/32


class KeyFileError(ValueError):
    """A key file that is missing, readable by others or damaged; one line with the remedy."""


class KeyPair(NamedTuple):
    """Z85 text, 40 characters each."""

    public: bytes
    secret: bytes


def make_keys(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Key pairs for the server and each name that has none yet, and their lines in the list of those allowed.

    Returns the files made. Keys that exist are never replaced. KeyFileError, OSError.
    """
    for name in names:
        check_name(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    if not (folder / SERVER_KEY).exists():
        pair = _new_pair(folder / SERVER_KEY)
        _write(folder / SERVER_PUBLIC, pair.public + b"\n", 0o644)
        made += [folder / SERVER_KEY, folder / SERVER_PUBLIC]
    allowed = folder / ALLOWED
    if not allowed.exists():
        _write(allowed, b"", 0o600)
        made.append(allowed)
    for name in names:
        if not (folder / f"{name}.key").exists():
            pair = _new_pair(folder / f"{name}.key")
            with allowed.open("ab") as lines:
                lines.write(name.encode() + b" " + pair.public + b"\n")
            made.append(folder / f"{name}.key")
    return made


def check_name(name: str) -> None:
    """KeyFileError for one that cannot name a device and its files."""
    if not NAME.fullmatch(name) or name == "server":
        raise KeyFileError(
            f"a device cannot be called {name[:80]!r}; use up to 64 letters, digits, '.', '_', '-', and not 'server'"
        )


def read_server_keys(folder: Path) -> KeyPair:
    """The server's own."""
    return _read_pair(folder / SERVER_KEY)


def read_device_keys(folder: Path, name: str) -> tuple[KeyPair, bytes]:
    """(a device's own, the server's public key)."""
    check_name(name)
    pair, path = _read_pair(folder / f"{name}.key"), folder / SERVER_PUBLIC
    public = _read(path).strip()
    if not KEY.fullmatch(public):
        raise KeyFileError(f"{path} holds no public key; copy it from where airmeta keys made it")
    return pair, public


def read_allowed(folder: Path) -> dict[bytes, str]:
    """{public key: name} of those who are let in."""
    path = folder / ALLOWED
    names: dict[bytes, str] = {}
    for number, line in enumerate(_read(path).splitlines(), start=1):
        if not line.strip() or line.startswith(b"#"):
            continue
        name, _, key = line.strip().partition(b" ")
        text = name.decode("ascii", "replace")
        if not NAME.fullmatch(text) or not KEY.fullmatch(key):
            raise KeyFileError(f"{path} line {number} is not of the form NAME PUBLIC_KEY; mend or delete it")
        if key in names:
            raise KeyFileError(f"{path} line {number} has the key of {names[key]} again; delete one of them")
        names[key] = text
    return names


def _new_pair(path: Path) -> KeyPair:
    pair = KeyPair(*zmq.curve_keypair())
    _write(path, b"public " + pair.public + b"\nsecret " + pair.secret + b"\n", 0o600)
    return pair


def _read_pair(path: Path) -> KeyPair:
    content = _read(path)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise KeyFileError(f"{path} has mode {mode:03o}, others may read it; chmod 600 {path}")
    words = dict(line.partition(b" ")[::2] for line in content.splitlines())
    public, secret = words.get(b"public", b""), words.get(b"secret", b"")
    if not (KEY.fullmatch(public) and KEY.fullmatch(secret)) or zmq.curve_public(secret) != public:
        raise KeyFileError(f"{path} holds no key pair; remove it and make a new one with airmeta keys")
    return KeyPair(public, secret)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(
            f"{path}: {error.strerror}; make it with airmeta keys {path.parent}, or copy it from where it was made"
        ) from error


def _write(path: Path, content: bytes, mode: int) -> None:
    """Never readable by others, not even for the moment before its mode is set."""
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        os.fchmod(out, mode)
        os.write(out, content)
        os.fsync(out)
    finally:
        os.close(out)
