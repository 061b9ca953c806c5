"""Messages of `devices.messages` to frames and back: a typed body, and one raw frame an array.

A body is MessagePack of the message's fields, in which a number stands for each array: its place among the frames.
Arrays are little-endian and in C order; type and shape are announced in the parcel and checked against the frame
before anything is allocated.
"""

import math
import typing
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.messages import Reply, Request, Sound
from radio.uplink import Slot

DTYPES = {name: np.dtype(name) for name in ("<f4", "<f8", "<c8", "<c16", "<i4", "|u1")}
MAX_DIMENSIONS = 2
MAX_ARRAYS = 64

Buffer = bytes | memoryview


class WireError(ValueError):
    """Frames that are no message; the text says which part and why."""


class ArrayHead(msgspec.Struct, frozen=True, array_like=True):
    """dtype: a key of DTYPES."""

    dtype: str
    shape: tuple[int, ...]


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """A message without its arrays' values. kind: its class, `Sound` with that of its slot."""

    kind: str
    body: msgspec.Raw
    arrays: tuple[ArrayHead, ...] = ()


_SLOTS: dict[str, type] = {f"Sound.{slot.__name__}": slot for slot in typing.get_args(Slot)}
_KINDS: dict[str, type] = _SLOTS | {
    message.__name__: message
    for message in (*typing.get_args(Request), *typing.get_args(Reply))
    if message is not Sound
}


def pack(message: Request | Reply) -> tuple[Parcel, list[Buffer]]:
    """(parcel, frames of its arrays). Bits are kept; arrays that are shared or strided come out whole."""
    content: Any = message.slot if isinstance(message, Sound) else message
    kind = f"Sound.{type(content).__name__}" if isinstance(message, Sound) else type(message).__name__
    heads: list[ArrayHead] = []
    frames: list[Buffer] = []

    def lift(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            dtype = value.dtype.newbyteorder("<")
            if dtype.str not in DTYPES:
                raise WireError(f"{kind}: arrays of {value.dtype} do not travel; known: {', '.join(DTYPES)}")
            heads.append(ArrayHead(dtype.str, value.shape))
            frames.append(np.ascontiguousarray(value, dtype).reshape(-1).view(np.uint8).data)
            return len(frames) - 1
        if isinstance(value, np.integer | np.floating):
            return value.item()
        raise NotImplementedError(f"{kind}: a {type(value).__name__} cannot travel")

    body = msgspec.msgpack.encode(content, enc_hook=lift)
    return Parcel(kind, msgspec.Raw(body), tuple(heads)), frames


def unpack(parcel: Parcel, frames: Sequence[Buffer]) -> Request | Reply:
    """Inverse of `pack`; arrays are copies of their own. WireError."""
    kind = _KINDS.get(parcel.kind)
    if kind is None:
        raise WireError(f"unknown kind of message {parcel.kind[:40]!r}; known: {', '.join(sorted(_KINDS))}")
    _check_frames(parcel, frames)
    used: set[int] = set()

    def lower(wanted: Any, place: Any) -> NDArray[Any]:
        if typing.get_origin(wanted) is not np.ndarray or type(place) is not int:
            raise WireError(f"{parcel.kind}: {place!r} is no {wanted}")
        if not 0 <= place < len(frames) or place in used:
            raise WireError(f"{parcel.kind}: array {place} of {len(frames)} is missing or used twice")
        used.add(place)
        head, (scalar,) = parcel.arrays[place], typing.get_args(typing.get_args(wanted)[1])
        dtype = DTYPES[head.dtype]
        families = (np.complexfloating, np.floating, np.signedinteger, np.unsignedinteger)
        family = next(each for each in families if issubclass(scalar, each))
        if not np.issubdtype(dtype, family):  # precision is the sender's: bits are kept
            raise WireError(f"{parcel.kind}: an array of {dtype} where {scalar.__name__} is due")
        values = np.empty(head.shape, dtype.newbyteorder("="))
        values[...] = np.frombuffer(frames[place], dtype).reshape(head.shape)
        return values

    content: Any
    try:
        content = msgspec.msgpack.decode(parcel.body, type=kind, dec_hook=lower)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        cause = error.__cause__
        raise WireError(str(cause) if isinstance(cause, WireError) else f"{parcel.kind}: {error}") from error
    if len(used) < len(frames):
        raise WireError(f"{parcel.kind}: {len(frames)} arrays, of which the body names {len(used)}")
    return Sound(content) if parcel.kind in _SLOTS else content


def _check_frames(parcel: Parcel, frames: Sequence[Buffer]) -> None:
    if not len(parcel.arrays) == len(frames) <= MAX_ARRAYS:
        raise WireError(
            f"{parcel.kind}: {len(parcel.arrays)} arrays announced, {len(frames)} came, {MAX_ARRAYS} are allowed"
        )
    for head, frame in zip(parcel.arrays, frames, strict=True):
        if head.dtype not in DTYPES:
            raise WireError(f"{parcel.kind}: arrays of {head.dtype[:10]!r}; known: {', '.join(DTYPES)}")
        if len(head.shape) > MAX_DIMENSIONS or any(length < 0 for length in head.shape):
            raise WireError(
                f"{parcel.kind}: an array of shape {head.shape[:4]}; at most {MAX_DIMENSIONS} dimensions"
            )
        size, found = math.prod(head.shape) * DTYPES[head.dtype].itemsize, memoryview(frame).nbytes
        if size != found:
            raise WireError(f"{parcel.kind}: an array of shape {head.shape} takes {size} bytes, {found} came")
