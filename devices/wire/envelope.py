"""What processes tell each other: a first frame with version and typed content, then the frames of arrays.

The first frame is MAGIC, the version (two bytes, little-endian) and MessagePack. Content of another version is not
looked at. Both ways: who keeps quiet for `lost_s` is taken for lost, so beats fill the pauses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from devices.messages import DeviceSettings
from devices.wire.packing import FRAME_BYTES, Buffer, Parcel, WireError
from radio.hardware_correction import DeviceCorrection
from radio.interface import RadioConfig
from radio.pluto_timeline import StreamShape
from radio.safety import SafetyLimits

MAGIC = b"airm"
VERSION = 2
PREFIX = MAGIC + VERSION.to_bytes(2, "little")
MAX_FRAME_BYTES = FRAME_BYTES  # that are read at all
NO_ROUND = -1
Facts = dict[str, str | int | float | None]
MAX_COUNT = 10_000  # devices of a process


@dataclass(frozen=True, kw_only=True)
class RadioSetup:
    """How devices have to set their radios. corrections: by device, of those for which a profile has some."""

    config: RadioConfig
    limits: SafetyLimits
    shape: StreamShape
    trigger: Literal["none", "external"] = "none"
    corrections: dict[int, DeviceCorrection] = field(default_factory=dict)

    def config_of(self, device: int) -> RadioConfig:
        """A device's own gain."""
        own = self.corrections.get(device)
        return self.config if own is None else replace(self.config, tx_gain_db=own.tx_gain_db)


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """beat_s: between signs of life; lost_s: without one, after which the other side is taken for lost."""

    beat_s: float = 1.0
    lost_s: float = 5.0


class Envelope(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """Whatever travels between processes."""


class Hello(Envelope, frozen=True):
    """A device process presents itself. incarnation: other after each start; count: devices it can host; first: the
    number it wants for the first of them, -1 for any; radios: how many it has; facts: versions and the like."""

    name: str
    incarnation: str
    count: int
    first: int = -1
    radios: int = 0
    facts: dict[str, str] = {}


class Welcome(Envelope, frozen=True):
    """Which devices a process hosts, and all that they have to know. run: this start of the server."""

    run: str
    numbers: tuple[int, ...]
    settings: DeviceSettings
    pulse: Pulse
    radio: RadioSetup | None = None


class Ready(Envelope, frozen=True):
    """The devices that were asked for are there. radios: what each says of itself."""

    run: str
    radios: tuple[Facts, ...] = ()


class Unable(Envelope, frozen=True):
    """The devices that were asked for cannot be had."""

    run: str
    reason: str


class Refused(Envelope, frozen=True):
    """The server has no use for this process."""

    reason: str


class Ask(Envelope, frozen=True):
    """number: rises with every request to a device; the same number is the same request."""

    run: str
    device: int
    number: int
    round: int
    parcel: Parcel


class Answer(Envelope, frozen=True):
    """To the request of that number."""

    run: str
    device: int
    number: int
    round: int
    parcel: Parcel


class Beat(Envelope, frozen=True):
    """Still there."""


class Unknown(Envelope, frozen=True):
    """The server does not know who sent this; say hello."""


class Leave(Envelope, frozen=True):
    """A process goes. over: the server has no more work for anybody; otherwise it may come back."""

    over: bool = False


Content = Hello | Welcome | Ready | Unable | Refused | Ask | Answer | Beat | Unknown | Leave


def _parts_of(value: Any) -> list[float]:
    """Of a complex number, which MessagePack has nothing for."""
    if isinstance(value, complex):
        return [value.real, value.imag]
    raise NotImplementedError(f"{type(value).__name__} does not travel")


def _from_parts(kind: type, value: Any) -> complex:
    """Inverse of `_parts_of`."""
    if kind is complex and isinstance(value, list) and [type(part) for part in value] == [float, float]:
        return complex(*value)
    raise ValueError(f"expected a complex number as [re, im], got {value!r}")


_DECODER = msgspec.msgpack.Decoder(Content, dec_hook=_from_parts)


def seal(envelope: Content, arrays: Sequence[Buffer] = ()) -> list[Buffer]:
    """Frames to send."""
    return [PREFIX + msgspec.msgpack.encode(envelope, enc_hook=_parts_of), *arrays]


def unseal(frames: Sequence[Buffer]) -> tuple[Content, Sequence[Buffer]]:
    """(envelope, frames of arrays); inverse of `seal`. WireError."""
    if not frames:
        raise WireError("a message without frames")
    head = memoryview(frames[0])
    if bytes(head[: len(MAGIC)]) != MAGIC or len(head) < len(PREFIX):
        raise WireError(f"a message begins with {bytes(head[:8])!r} and not with {MAGIC!r}")
    if head[: len(PREFIX)] != PREFIX:
        found = int.from_bytes(head[len(MAGIC) : len(PREFIX)], "little")
        raise WireError(
            f"wire version {found}, this side speaks {VERSION}; install the same release on both sides"
        )
    if head.nbytes > MAX_FRAME_BYTES:
        raise WireError(f"a head of {head.nbytes} bytes, {MAX_FRAME_BYTES} are allowed")
    try:
        envelope = _DECODER.decode(head[len(PREFIX) :])
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError) as error:
        raise WireError(f"a head that cannot be read: {error}") from error
    return envelope, frames[1:]
