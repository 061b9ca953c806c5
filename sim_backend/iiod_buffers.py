"""Buffers of one IIOD connection: opened, streamed through, closed; a client that has left lets go of them."""

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from sim_backend.iiod_syntax import show_mask
from sim_backend.iiod_target import Buffer, Device, Target
from sim_backend.iiod_wire import Gone, Wire

MAX_BLOCK = 1 << 28  # bytes of a buffer's block
CHUNK = 1 << 20  # bytes asked of a buffer at a time
SLICE_S = 0.25  # how long to wait for a buffer before looking whether the client is still there
BUSY_S = 0.05  # how long to wait for a device that somebody else has: 500 times 100 us, as in iiod
T = TypeVar("T")


@dataclass
class Shared:
    """What the connections of one server share about buffers.

    timeout_s: as in iiod, the last TIMEOUT of any client holds for all. holders: who has which device.
    """

    target: Target
    timeout_s: float | None = 1.0
    holders: dict[str, "Buffers"] = field(default_factory=dict)


@dataclass
class _Open:
    buffer: Buffer
    frame_bytes: int
    block_bytes: int
    mask: bytes


class Buffers:
    """Every failure is an OSError for the client, or Gone if there is none any more."""

    def __init__(self, wire: Wire, shared: Shared) -> None:
        self._wire, self._shared = wire, shared
        self._open: dict[str, _Open] = {}

    def open(self, device: Device, num_samples: int, mask: int, cyclic: bool) -> None:
        """EBUSY if somebody has the device and keeps it."""
        frame_bytes = device.frame_bytes(mask)
        if not num_samples:
            raise OSError(errno.EINVAL, "no samples")
        if num_samples * frame_bytes > MAX_BLOCK:
            raise OSError(errno.ENOMEM, "block too large")
        if device.id in self._open:
            raise OSError(errno.EBUSY, device.id)
        buffer = self._when_free(
            device, lambda: self._shared.target.open_buffer(device.id, num_samples, mask, cyclic)
        )
        self._open[device.id] = _Open(
            buffer, frame_bytes, num_samples * frame_bytes, show_mask(mask, device) + b"\n"
        )
        self._shared.holders[device.id] = self

    def set_count(self, device: Device, count: int) -> None:
        """Kernel blocks of the next buffer. EBUSY as for `open`."""
        self._when_free(device, lambda: self._shared.target.set_buffers_count(device.id, count))

    def close(self, device: Device) -> None:
        """ENXIO if it is not open on this connection."""
        opened = self._open.pop(device.id, None)
        if opened is None:
            raise OSError(errno.ENXIO, "not open on this connection")
        self._let_go(device.id, opened)

    def close_all(self) -> None:
        """Also from another thread: a read or write that waits ends."""
        for name, opened in list(self._open.items()):
            self._let_go(name, opened)

    def read(self, device: Device, num_bytes: int) -> None:
        """Chunks as they come, each behind its length; the mask with the first only; 0 where the stream has ended."""
        opened, remaining = self._opened(device), num_bytes
        head = opened.mask
        while remaining >= opened.frame_bytes:
            wanted = min(remaining, max(CHUNK, opened.frame_bytes))
            wanted -= wanted % opened.frame_bytes
            chunk = self._patiently(partial(opened.buffer.read, wanted))
            if not len(chunk):
                break
            self._wire.send(b"%d\n" % len(chunk), head, chunk)
            head = b""
            remaining -= len(chunk)
        if remaining:
            self._wire.reply(0)

    def write(self, device: Device, num_bytes: int) -> None:
        """Answers 0, takes the bytes off the wire whatever becomes of them, pushes them block by block."""
        opened = self._opened(device)
        self._wire.reply(0)
        failure: OSError | None = None
        remaining = num_bytes
        while remaining:
            block = self._wire.read_exactly(min(remaining, opened.block_bytes))
            remaining -= len(block)
            if failure is None:
                try:
                    self._patiently(partial(opened.buffer.write, block))
                except OSError as error:
                    failure = error
        if failure is not None:
            raise failure
        self._wire.reply(num_bytes)

    def let_go_if_left(self) -> None:
        """Another connection wants what this one has: it gets it if this one's client has left."""
        try:
            self._wire.check_peer()
        except Gone:
            self.close_all()

    def _let_go(self, name: str, opened: _Open) -> None:
        opened.buffer.close()
        if self._shared.holders.get(name) is self:
            self._shared.holders.pop(name, None)

    def _opened(self, device: Device) -> _Open:
        if device.id not in self._open:
            raise OSError(errno.EBADF, "not open on this connection")
        return self._open[device.id]

    def _when_free(self, device: Device, attempt: Callable[[], T]) -> T:
        """A client that has just left may still hold the device for a moment."""
        until = time.monotonic() + BUSY_S
        while True:
            try:
                return attempt()
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > until:
                    raise
            if (holder := self._shared.holders.get(device.id)) is not None:
                holder.let_go_if_left()
            self._wire.check_peer()
            time.sleep(BUSY_S / 20)

    def _patiently(self, attempt: Callable[[float], T]) -> T:
        """Until the client's timeout, in slices: a client that leaves meanwhile is noticed."""
        limit_s = self._shared.timeout_s
        until = None if limit_s is None else time.monotonic() + limit_s
        while True:
            left_s = SLICE_S if until is None else min(SLICE_S, max(until - time.monotonic(), 0.0))
            try:
                return attempt(left_s)
            except TimeoutError:
                self._wire.check_peer()
                if until is not None and time.monotonic() >= until:
                    raise
