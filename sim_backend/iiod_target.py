"""What an IIOD server serves: attributes and buffers behind a Protocol, and the catalog that its XML declares."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Place(NamedTuple):
    """Where an attribute lives. kind: "device", "debug", "buffer", "input", "output"; channel: id, of the last two."""

    device: str
    kind: str
    channel: str = ""


class Buffer(Protocol):
    """Samples of one opened device, in its own format, channels interleaved.

    `close` may come from another thread while `read` or `write` wait; they then end at once (OSError or b"").
    """

    def read(self, num_bytes: int, timeout_s: float) -> bytes | bytearray | memoryview:
        """At least one and at most `num_bytes` bytes; b"" is the end. Raises TimeoutError, OSError.

        After a TimeoutError nothing is lost: the caller may ask again. What is returned must stay as it is
        until the next call.
        """
        ...

    def write(self, block: bytearray, timeout_s: float) -> None:
        """Take a pushed block whole, at most the buffer's length; the caller lets go of it. TimeoutError, OSError.

        After a TimeoutError nothing was taken: the caller may offer it again.
        """
        ...

    def close(self) -> None:
        """Stop the stream; twice is as good as once."""
        ...


class Target(Protocol):
    """A set of IIO devices. Every failure is an OSError whose errno goes to the client. Called from many threads."""

    def xml(self) -> bytes:
        """The context; the same at every call."""
        ...

    def read(self, place: Place, attribute: str) -> str:
        """Value without terminator. Names are ids that the XML declares, the attribute is declared there, too."""
        ...

    def write(self, place: Place, attribute: str, value: str) -> None:
        """Value without terminator."""
        ...

    def open_buffer(self, device: str, num_samples: int, mask: int, cyclic: bool) -> Buffer:
        """mask: bit i is the scan element at place i in order of index. EBUSY while somebody else has the device."""
        ...

    def set_buffers_count(self, device: str, count: int) -> None:
        """Kernel blocks of the next buffer."""
        ...

    def get_trigger(self, device: str) -> str:
        """Name of the device's trigger."""
        ...

    def set_trigger(self, device: str, name: str) -> None:
        """name: empty for none."""
        ...


@dataclass(frozen=True)
class Device:
    """What the XML says of a device. sizes: bytes of each scan element, in order of index.

    attributes: of "device", "debug", "buffer", and of each channel by (kind, id); channels: (kind, id or name) -> id.
    """

    id: str
    num_channels: int
    sizes: tuple[int, ...]
    channels: dict[tuple[str, str], str]
    attributes: dict[tuple[str, str], tuple[str, ...]]

    @property
    def num_words(self) -> int:
        """32-bit words of a channel mask."""
        return (self.num_channels + 31) // 32

    def frame_bytes(self, mask: int) -> int:
        """Bytes of one sample of all enabled scan elements, each aligned to its own size; 0 if there is none."""
        sizes = [size for place, size in enumerate(self.sizes) if mask >> place & 1]
        total = 0
        for size in sizes:
            total += -total % size + size
        return total + (-total % max(sizes) if sizes else 0)


def read_catalog(xml: bytes) -> dict[str, Device]:
    """Devices by id, and by name and label where these are not taken."""
    devices: dict[str, Device] = {}
    elements = ElementTree.fromstring(xml).findall("device")
    for element in elements:
        devices[element.attrib["id"]] = _device(element)
    for element in elements:
        for alias in (element.get("name"), element.get("label")):
            if alias:
                devices.setdefault(alias, devices[element.attrib["id"]])
    return devices


def _device(element: ElementTree.Element) -> Device:
    channels: dict[tuple[str, str], str] = {}
    attributes: dict[tuple[str, str], tuple[str, ...]] = {
        (kind, ""): tuple(child.attrib["name"] for child in element.findall(tag))
        for kind, tag in (
            ("device", "attribute"),
            ("debug", "debug-attribute"),
            ("buffer", "buffer-attribute"),
        )
    }
    scan: list[tuple[int, int]] = []
    for channel in element.findall("channel"):
        kind, name = channel.attrib["type"], channel.attrib["id"]
        channels[kind, name] = name
        attributes[kind, name] = tuple(child.attrib["name"] for child in channel.findall("attribute"))
        if (found := channel.find("scan-element")) is not None:
            scan.append((int(found.attrib["index"]), _element_bytes(found.attrib["format"])))
    for channel in element.findall("channel"):
        if alias := channel.get("name"):
            channels.setdefault((channel.attrib["type"], alias), channel.attrib["id"])
    sizes = tuple(size for _, size in sorted(scan))
    return Device(element.attrib["id"], len(element.findall("channel")), sizes, channels, attributes)


def _element_bytes(scan_format: str) -> int:
    """le:S12/16X2>>0 is two words of 16 bit."""
    length = scan_format.split("/")[1].split(">>")[0]
    bits, _, repeat = length.partition("X")
    return int(bits) // 8 * int(repeat or 1)
