"""Messages of `devices.messages` to frames and back: a typed body, and the raw frames of its arrays.

A body is MessagePack of the message's fields, in which a number stands for each array: its place among those of the
parcel. Arrays are little-endian and in C order, a frame each, or several where one would be larger than FRAME_BYTES: a
receiver that takes no larger frame has to find little memory for whom it does not know yet. Type and shape are
announced in the parcel and checked against the frames before anything is allocated. An array that a message names
twice travels once.
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
FRAME_BYTES = 1 << 20  # a whole number of every type's values
MAX_ARRAY_BYTES = 1 << 28  # 64 million parameters

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
for _kind in _KINDS.values():
    # msgspec lets a second thread use what it has only begun to learn of a type, and that process ends with SIGSEGV.
    # The workers of a device process begin with the same kind of message at once; so all is learnt before they are.
    msgspec.msgpack.Decoder(_kind)


def pack(message: Request | Reply) -> tuple[Parcel, list[Buffer]]:
    """(parcel, frames of its arrays, which share their memory). Bits are kept; strided arrays come out whole."""
    content: Any = message.slot if isinstance(message, Sound) else message
    kind = f"Sound.{type(content).__name__}" if isinstance(message, Sound) else type(message).__name__
    heads: list[ArrayHead] = []
    frames: list[Buffer] = []
    places: dict[int, int] = {}  # of arrays, which the message keeps alive, by identity

    def lift(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            if id(value) in places:
                return places[id(value)]
            dtype = value.dtype.newbyteorder("<")
            if dtype.str not in DTYPES:
                raise WireError(f"{kind}: arrays of {value.dtype} do not travel; known: {', '.join(DTYPES)}")
            heads.append(ArrayHead(dtype.str, value.shape))
            whole = np.ascontiguousarray(value, dtype).reshape(-1).view(np.uint8).data
            frames.extend(whole[at : at + FRAME_BYTES] for at in _starts(len(whole)))
            return places.setdefault(id(value), len(heads) - 1)
        if isinstance(value, np.integer | np.floating):
            return value.item()
        raise NotImplementedError(f"{kind}: a {type(value).__name__} cannot travel")

    body = msgspec.msgpack.encode(content, enc_hook=lift)
    return Parcel(kind, msgspec.Raw(body), tuple(heads)), frames


def unpack(parcel: Parcel, frames: Sequence[Buffer]) -> Request | Reply:
    """Inverse of `pack`; arrays are copies, aligned as numpy does it. WireError."""
    kind = _KINDS.get(parcel.kind)
    if kind is None:
        raise WireError(f"unknown kind of message {parcel.kind[:40]!r}; known: {', '.join(sorted(_KINDS))}")
    parts = _frames_by_array(parcel, frames)
    values: dict[int, NDArray[Any]] = {}
    num_named = 0

    def lower(wanted: Any, place: Any) -> NDArray[Any]:
        nonlocal num_named
        num_named += 1
        if typing.get_origin(wanted) is not np.ndarray or type(place) is not int:
            raise WireError(f"{parcel.kind}: {place!r} is no {wanted}")
        if not 0 <= place < len(parts) or num_named > MAX_ARRAYS:
            raise WireError(
                f"{parcel.kind}: array {place} of {len(parts)} is missing, or more than {MAX_ARRAYS} are named"
            )
        head, (scalar,) = parcel.arrays[place], typing.get_args(typing.get_args(wanted)[1])
        dtype = DTYPES[head.dtype]
        families = (np.complexfloating, np.floating, np.signedinteger, np.unsignedinteger)
        family = next(each for each in families if issubclass(scalar, each))
        if not np.issubdtype(dtype, family):  # precision is the sender's: bits are kept
            raise WireError(f"{parcel.kind}: an array of {dtype} where {scalar.__name__} is due")
        if place not in values:
            flat = np.empty(math.prod(head.shape), dtype.newbyteorder("="))
            for at, part in zip(_starts(flat.nbytes), parts[place], strict=True):
                piece = np.frombuffer(part, dtype)
                flat[at // dtype.itemsize :][: len(piece)] = piece
            values[place] = flat.reshape(head.shape)
        return values[place]

    content: Any
    try:
        content = msgspec.msgpack.decode(parcel.body, type=kind, dec_hook=lower)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        cause = error.__cause__
        raise WireError(str(cause) if isinstance(cause, WireError) else f"{parcel.kind}: {error}") from error
    if len(values) < len(parts):
        raise WireError(f"{parcel.kind}: {len(parts)} arrays, of which the body names {len(values)}")
    return Sound(content) if parcel.kind in _SLOTS else content


def _starts(num_bytes: int) -> range:
    """Where the frames of an array begin; one without values has an empty one."""
    return range(0, max(num_bytes, 1), FRAME_BYTES)


def _frames_by_array(parcel: Parcel, frames: Sequence[Buffer]) -> list[Sequence[Buffer]]:
    if len(parcel.arrays) > MAX_ARRAYS:
        raise WireError(f"{parcel.kind}: {len(parcel.arrays)} arrays announced, {MAX_ARRAYS} are allowed")
    parts: list[Sequence[Buffer]] = []
    used = 0
    for head in parcel.arrays:
        if head.dtype not in DTYPES:
            raise WireError(f"{parcel.kind}: arrays of {head.dtype[:10]!r}; known: {', '.join(DTYPES)}")
        if len(head.shape) > MAX_DIMENSIONS or any(length < 0 for length in head.shape):
            raise WireError(
                f"{parcel.kind}: an array of shape {head.shape[:4]}; at most {MAX_DIMENSIONS} dimensions"
            )
        size = math.prod(head.shape) * DTYPES[head.dtype].itemsize
        if size > MAX_ARRAY_BYTES:
            raise WireError(f"{parcel.kind}: an array of {size} bytes, {MAX_ARRAY_BYTES} are allowed")
        wanted = [min(FRAME_BYTES, size - at) for at in _starts(size)]
        part = frames[used : used + len(wanted)]
        found = [memoryview(frame).nbytes for frame in part]
        if wanted != found:
            raise WireError(
                f"{parcel.kind}: an array of shape {head.shape} takes {size} bytes, {sum(found)} came"
            )
        parts.append(part)
        used += len(wanted)
    if used < len(frames):
        raise WireError(f"{parcel.kind}: {len(parts)} arrays announced, {len(frames)} frames came")
    return parts
