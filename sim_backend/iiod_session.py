"""One IIOD connection: the v0 text protocol, a command line in, an integer line out, payload where there is one."""

import errno
import logging
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from sim_backend.iiod_target import Buffer, Device, Place, Target
from sim_backend.iiod_wire import Gone, LineTooLong, Wire

MAX_VALUE = 1 << 16  # bytes of an attribute's value
MAX_BLOCK = 1 << 28  # bytes of a buffer's block
CHUNK = 1 << 20  # bytes asked of a buffer at a time
SLICE_S = 0.25  # how long to wait for a buffer before looking whether the client is still there
BUSY_S = 0.05  # how long OPEN waits for a device that somebody else has
KINDS = {"DEBUG": "debug", "BUFFER": "buffer", "INPUT": "input", "OUTPUT": "output"}
HELP = b"""Available commands:

\tHELP
\t\tPrint this help message
\tEXIT
\t\tClose the current session
\tPRINT
\t\tDisplays a XML string corresponding to the current IIO context
\tVERSION
\t\tGet the version of libiio in use
\tTIMEOUT <timeout_ms>
\t\tSet the timeout (in ms) for I/O operations
\tOPEN <device> <samples_count> <mask> [CYCLIC]
\t\tOpen the specified device with the given mask of channels
\tCLOSE <device>
\t\tClose the specified device
\tREAD <device> DEBUG|BUFFER|[INPUT|OUTPUT <channel>] [<attribute>]
\t\tRead the value of an attribute
\tWRITE <device> DEBUG|BUFFER|[INPUT|OUTPUT <channel>] [<attribute>] <bytes_count>
\t\tSet the value of an attribute
\tREADBUF <device> <bytes_count>
\t\tRead raw data from the specified device
\tWRITEBUF <device> <bytes_count>
\t\tWrite raw data to the specified device
\tGETTRIG <device>
\t\tGet the name of the trigger used by the specified device
\tSETTRIG <device> [<trigger>]
\t\tSet the trigger to use for the specified device
\tSET <device> BUFFERS_COUNT <count>
\t\tSet the number of kernel buffers for the specified device
"""
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass
class Served:
    """What the connections of one server share. timeout_s: as in iiod, the last TIMEOUT of any client holds for all."""

    target: Target
    catalog: Mapping[str, Device]
    version: str
    timeout_s: float | None = 1.0


@dataclass
class _Open:
    """An opened device on this connection."""

    buffer: Buffer
    frame_bytes: int
    block_bytes: int
    mask: bytes


@dataclass
class Session:
    """Commands of one client until EXIT, or until it leaves; then its buffers are closed."""

    wire: Wire
    served: Served
    _open: dict[str, _Open] = field(default_factory=dict)

    def run(self) -> None:
        """Blocks until the client is gone."""
        try:
            while True:
                try:
                    line = self.wire.read_line()
                except LineTooLong:
                    self._reply(-errno.EINVAL)
                    continue
                if words := line.split():
                    self._obey(words)
        except Gone:
            return
        finally:
            self.close_buffers()

    def close_buffers(self) -> None:
        """Also from another thread: a read or write that waits ends."""
        for opened in list(self._open.values()):
            opened.buffer.close()

    def _obey(self, line: list[bytes]) -> None:
        words = [word.decode("ascii", "replace") for word in line]
        keyword = words[0]
        if keyword not in (keyword.upper(), keyword.lower()):
            self._reply(-errno.EINVAL)
            return
        command = getattr(self, f"_do_{keyword.lower()}", None) if keyword.isalpha() else None
        try:
            if command is None:
                raise OSError(errno.EINVAL, keyword)
            command(words[1:])
        except TimeoutError:
            self._reply(-errno.ETIMEDOUT)
        except OSError as error:
            self._reply(-(error.errno or errno.EIO))
        except Gone:
            raise
        except Exception:
            log.exception("a command failed: %s", " ".join(words))
            self._reply(-errno.EIO)

    def _do_help(self, words: list[str]) -> None:
        _expect(not words)
        self.wire.send(HELP)

    def _do_exit(self, words: list[str]) -> None:
        _expect(not words)
        raise Gone

    _do_quit = _do_exit

    def _do_version(self, words: list[str]) -> None:
        _expect(not words)
        self.wire.send(self.served.version.encode(), b"\n")

    def _do_print(self, words: list[str]) -> None:
        _expect(not words)
        self._reply_with(self.served.target.xml())

    def _do_timeout(self, words: list[str]) -> None:
        milliseconds = _natural(*_exactly(words, 1))
        self.served.timeout_s = milliseconds / 1e3 if milliseconds else None
        self._reply(0)

    def _do_read(self, words: list[str]) -> None:
        device = self._device(words)
        place, rest = _place(device, words[1:])
        _expect(len(rest) < 2)
        if rest:
            value = self._value(device, place, rest[0])
            if len(value) > MAX_VALUE:
                raise OSError(errno.EIO, "value too long")
            self._reply_with(value)
        else:
            self._reply_with(b"".join(self._packed(device, place)))

    def _packed(self, device: Device, place: Place) -> list[bytes]:
        """Each attribute: big-endian length or error, then the value, padded to four bytes."""
        parts = []
        for attribute in device.attributes[_key(place)]:
            try:
                value = self._value(device, place, attribute)
                parts.append(struct.pack(">i", len(value)) + value + bytes(-len(value) % 4))
            except OSError as error:
                parts.append(struct.pack(">i", -(error.errno or errno.EIO)))
        return parts

    def _value(self, device: Device, place: Place, attribute: str) -> bytes:
        if attribute not in device.attributes[_key(place)]:
            raise OSError(errno.ENOENT, attribute)
        value = self.served.target.read(place, attribute).encode()
        return value + b"\0" if value else b""

    def _do_write(self, words: list[str]) -> None:
        """The payload is taken off the wire whatever the answer is: the next command begins behind it."""
        _expect(len(words) > 1)
        num_bytes = _natural(words[-1])
        if num_bytes > MAX_VALUE:
            self._reply(-errno.ENOMEM)
            raise Gone  # what follows is no command, and there is too much of it
        payload = self.wire.read_exactly(num_bytes)
        device = self._device(words)
        place, rest = _place(device, words[1:-1])
        (attribute,) = _exactly(rest, 1)
        if attribute not in device.attributes[_key(place)]:
            raise OSError(errno.ENOENT, attribute)
        try:
            value = payload.partition(b"\0")[0].decode("ascii")
        except UnicodeDecodeError as error:
            raise OSError(errno.EINVAL, "not text") from error
        self.served.target.write(place, attribute, value)
        self._reply(num_bytes)

    def _do_open(self, words: list[str]) -> None:
        cyclic = len(words) == 4 and words[3] in ("CYCLIC", "cyclic")
        name, count, mask_text = _exactly(words[:3] if cyclic else words, 3)
        device = self._device([name])
        num_samples = _natural(count)
        if len(mask_text) != 8 * device.num_words or not set(mask_text) <= set("0123456789abcdefABCDEF"):
            raise OSError(errno.EINVAL, "mask")
        mask = int(mask_text, 16)
        frame_bytes = device.frame_bytes(mask)
        if not num_samples or not frame_bytes or mask >> len(device.sizes):
            raise OSError(errno.EINVAL, "no samples, no channel, or one that is not there")
        if num_samples * frame_bytes > MAX_BLOCK:
            raise OSError(errno.ENOMEM, "block too large")
        if device.id in self._open:
            raise OSError(errno.EBUSY, device.id)
        buffer = self._open_patiently(device.id, num_samples, mask, cyclic)
        shown = f"{mask:0{8 * device.num_words}x}\n".encode()
        self._open[device.id] = _Open(buffer, frame_bytes, num_samples * frame_bytes, shown)
        self._reply(0)

    def _open_patiently(self, device: str, num_samples: int, mask: int, cyclic: bool) -> Buffer:
        """A client that has just left may still hold the device for a moment."""
        until = time.monotonic() + BUSY_S
        while True:
            try:
                return self.served.target.open_buffer(device, num_samples, mask, cyclic)
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > until:
                    raise
            time.sleep(BUSY_S / 10)

    def _do_close(self, words: list[str]) -> None:
        opened = self._open.pop(self._device(_exactly(words, 1)).id, None)
        if opened is None:
            raise OSError(errno.ENXIO, "not open on this connection")
        opened.buffer.close()
        self._reply(0)

    def _do_readbuf(self, words: list[str]) -> None:
        opened, remaining = self._opened(words)
        head = opened.mask
        while remaining >= opened.frame_bytes:
            wanted = min(remaining - remaining % opened.frame_bytes, CHUNK)
            wanted -= wanted % opened.frame_bytes
            chunk = self._patiently(partial(opened.buffer.read, wanted))
            if not len(chunk):
                break
            self.wire.send(b"%d\n" % len(chunk), head, chunk)
            head = b""
            remaining -= len(chunk)
        if remaining:
            self._reply(0)

    def _do_writebuf(self, words: list[str]) -> None:
        opened, num_bytes = self._opened(words)
        self._reply(0)
        failure: OSError | None = None
        remaining = num_bytes
        while remaining:
            block = self.wire.read_exactly(min(remaining, opened.block_bytes))
            remaining -= len(block)
            if failure is None:  # otherwise only taken off the wire
                try:
                    self._patiently(partial(opened.buffer.write, block))
                except OSError as error:
                    failure = error
        if failure is not None:
            raise failure
        self._reply(num_bytes)

    def _do_gettrig(self, words: list[str]) -> None:
        name = self.served.target.get_trigger(self._device(_exactly(words, 1)).id)
        if name:
            self._reply_with(name.encode())
        else:
            self._reply(0)

    def _do_settrig(self, words: list[str]) -> None:
        _expect(len(words) in (1, 2))
        self.served.target.set_trigger(self._device(words).id, words[1] if len(words) == 2 else "")
        self._reply(0)

    def _do_set(self, words: list[str]) -> None:
        name, what, count = _exactly(words, 3)
        _expect(what in ("BUFFERS_COUNT", "buffers_count"))
        self.served.target.set_buffers_count(self._device([name]).id, _natural(count))
        self._reply(0)

    def _device(self, words: list[str]) -> Device:
        _expect(bool(words))
        device = self.served.catalog.get(words[0])
        if device is None:
            raise OSError(errno.ENODEV, words[0])
        return device

    def _opened(self, words: list[str]) -> tuple[_Open, int]:
        name, count = _exactly(words, 2)
        opened = self._open.get(self._device([name]).id)
        if opened is None:
            raise OSError(errno.EBADF, "not open on this connection")
        return opened, _natural(count)

    def _patiently(self, attempt: Callable[[float], T]) -> T:
        """Until the client's timeout, in slices: a client that leaves meanwhile is noticed."""
        limit_s = self.served.timeout_s
        until = None if limit_s is None else time.monotonic() + limit_s
        while True:
            left_s = SLICE_S if until is None else min(SLICE_S, max(until - time.monotonic(), 0.0))
            try:
                return attempt(left_s)
            except TimeoutError:
                self.wire.check_peer()
                if until is not None and time.monotonic() >= until:
                    raise

    def _reply(self, code: int) -> None:
        self.wire.send(b"%d\n" % code)

    def _reply_with(self, payload: bytes) -> None:
        self.wire.send(b"%d\n" % len(payload), payload, b"\n")


def _expect(condition: bool) -> None:
    """EINVAL, as for every error of syntax."""
    if not condition:
        raise OSError(errno.EINVAL, "syntax")


def _exactly(words: list[str], count: int) -> list[str]:
    _expect(len(words) == count)
    return words


def _natural(word: str) -> int:
    """A decimal number, 0 to 2^31 - 1."""
    _expect(word.isascii() and word.isdigit() and len(word) <= 10)
    number = int(word)
    _expect(number < 1 << 31)
    return number


def _place(device: Device, words: list[str]) -> tuple[Place, list[str]]:
    """Where the words point to, and those that are left."""
    kind = KINDS.get(words[0].upper() if words and words[0].islower() else words[0]) if words else None
    if kind is None:
        return Place(device.id, "device"), words
    if kind in ("debug", "buffer"):
        return Place(device.id, kind), words[1:]
    _expect(len(words) > 1)
    channel = device.channels.get((kind, words[1]))
    if channel is None:
        raise OSError(errno.ENXIO, words[1])
    return Place(device.id, kind, channel), words[2:]


def _key(place: Place) -> tuple[str, str]:
    return place.kind, place.channel
