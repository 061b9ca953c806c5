"""Attributes as IIOD carries them: text with a terminator one by one, all of a place packed."""

import errno
import struct

from sim_backend.iiod_target import Device, Place, Target

MAX_VALUE = 1 << 16  # bytes of an attribute's value


def read_value(target: Target, device: Device, place: Place, attribute: str) -> bytes:
    """With its terminator, or nothing at all. ENOENT for one that is not declared, EIO for one that is too long."""
    _check_declared(device, place, attribute)
    value = target.read(place, attribute).encode()
    if len(value) >= MAX_VALUE:
        raise OSError(errno.EIO, "value too long")
    return value + b"\0" if value else b""


def read_all(target: Target, device: Device, place: Place) -> bytes:
    """Of each attribute the big-endian length or error, then the value, padded to four bytes."""
    parts = []
    for attribute in device.attributes[place.kind, place.channel]:
        try:
            value = read_value(target, device, place, attribute)
            parts.append(struct.pack(">i", len(value)) + value + bytes(-len(value) % 4))
        except OSError as error:
            parts.append(struct.pack(">i", -(error.errno or errno.EIO)))
    return b"".join(parts)


def write_value(target: Target, device: Device, place: Place, attribute: str, payload: bytearray) -> None:
    """Up to the terminator, where there is one. EINVAL for what is not ASCII."""
    _check_declared(device, place, attribute)
    try:
        value = payload.partition(b"\0")[0].decode("ascii")
    except UnicodeDecodeError as error:
        raise OSError(errno.EINVAL, "not text") from error
    target.write(place, attribute, value)


def _check_declared(device: Device, place: Place, attribute: str) -> None:
    if attribute not in device.attributes[place.kind, place.channel]:
        raise OSError(errno.ENOENT, attribute)
