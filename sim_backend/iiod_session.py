"""One IIOD connection: the v0 text protocol, a command line in, an integer line out, payload where there is one."""

import errno
import logging
from collections.abc import Mapping

from sim_backend.iiod_buffers import Buffers, Shared
from sim_backend.iiod_syntax import (
    HELP,
    channel_mask,
    exactly,
    expect,
    keyword,
    locate,
    natural,
    split_words,
)
from sim_backend.iiod_target import Device
from sim_backend.iiod_values import MAX_VALUE, read_all, read_value, write_value
from sim_backend.iiod_wire import Gone, LineTooLong, Wire

log = logging.getLogger(__name__)


class Session:
    """Commands of one client until EXIT, or until it leaves; then its buffers are closed."""

    def __init__(self, wire: Wire, shared: Shared, catalog: Mapping[str, Device], version: str) -> None:
        self._wire, self._shared, self._catalog, self._version = wire, shared, catalog, version
        self._target = shared.target
        self._buffers = Buffers(wire, shared)
        self._commands = {
            "HELP": self._help, "EXIT": self._exit, "QUIT": self._exit, "VERSION": self._show_version,
            "PRINT": self._print, "TIMEOUT": self._set_timeout, "READ": self._read, "WRITE": self._write,
            "OPEN": self._open, "CLOSE": self._close, "READBUF": self._read_buffer,
            "WRITEBUF": self._write_buffer, "GETTRIG": self._get_trigger, "SETTRIG": self._set_trigger,
            "SET": self._set_count,
        }  # fmt: skip

    def run(self) -> None:
        """Blocks until the client is gone."""
        try:
            while True:
                self._obey_next()
        except Gone:
            return
        finally:
            self.close_buffers()

    def close_buffers(self) -> None:
        """Also from another thread: a read or write that waits ends."""
        self._buffers.close_all()

    def _obey_next(self) -> None:
        line = b""
        try:
            line = self._wire.read_line()
            if words := split_words(line):
                command = self._commands.get(keyword(words[0]))
                if command is None:
                    raise OSError(errno.EINVAL, words[0])
                command(words[1:])
        except LineTooLong:
            self._wire.reply(-errno.EINVAL)
        except TimeoutError:
            self._wire.reply(-errno.ETIMEDOUT)
        except OSError as error:
            self._wire.reply(-(error.errno or errno.EIO))
        except Gone:
            raise
        except Exception:
            log.exception("a command failed: %s", line.decode("ascii", "replace"))
            self._wire.reply(-errno.EIO)

    def _help(self, words: list[str]) -> None:
        exactly(words, 0)
        self._wire.send(HELP)

    def _exit(self, words: list[str]) -> None:
        exactly(words, 0)
        raise Gone

    def _show_version(self, words: list[str]) -> None:
        exactly(words, 0)
        self._wire.send(self._version.encode(), b"\n")

    def _print(self, words: list[str]) -> None:
        exactly(words, 0)
        self._wire.reply_with(self._target.xml())

    def _set_timeout(self, words: list[str]) -> None:
        milliseconds = natural(*exactly(words, 1))
        self._shared.timeout_s = milliseconds / 1e3 if milliseconds else None
        self._wire.reply(0)

    def _read(self, words: list[str]) -> None:
        device = self._device(words)
        place, rest = locate(device, words[1:])
        expect(len(rest) < 2)
        if rest:
            self._wire.reply_with(read_value(self._target, device, place, rest[0]))
        else:
            self._wire.reply_with(read_all(self._target, device, place))

    def _write(self, words: list[str]) -> None:
        """The payload is taken off the wire whatever the answer is: the next command begins behind it."""
        expect(len(words) > 1)
        num_bytes = natural(words[-1])
        if num_bytes > MAX_VALUE:
            self._wire.reply(-errno.ENOMEM)
            raise Gone  # what follows is no command, and there is too much of it
        payload = self._wire.read_exactly(num_bytes)
        device = self._device(words)
        place, rest = locate(device, words[1:-1])
        (attribute,) = exactly(rest, 1)
        write_value(self._target, device, place, attribute, payload)
        self._wire.reply(num_bytes)

    def _open(self, words: list[str]) -> None:
        cyclic = len(words) == 4 and keyword(words[3]) == "CYCLIC"
        name, count, mask = exactly(words[:3] if cyclic else words, 3)
        device = self._device([name])
        self._buffers.open(device, natural(count), channel_mask(mask, device), cyclic)
        self._wire.reply(0)

    def _close(self, words: list[str]) -> None:
        self._buffers.close(self._device(exactly(words, 1)))
        self._wire.reply(0)

    def _read_buffer(self, words: list[str]) -> None:
        name, count = exactly(words, 2)
        self._buffers.read(self._device([name]), natural(count))

    def _write_buffer(self, words: list[str]) -> None:
        name, count = exactly(words, 2)
        self._buffers.write(self._device([name]), natural(count))

    def _get_trigger(self, words: list[str]) -> None:
        name = self._target.get_trigger(self._device(exactly(words, 1)).id)
        if name:
            self._wire.reply_with(name.encode())
        else:
            self._wire.reply(0)

    def _set_trigger(self, words: list[str]) -> None:
        expect(len(words) in (1, 2))
        self._target.set_trigger(self._device(words).id, words[1] if len(words) == 2 else "")
        self._wire.reply(0)

    def _set_count(self, words: list[str]) -> None:
        name, what, count = exactly(words, 3)
        expect(keyword(what) == "BUFFERS_COUNT")
        self._buffers.set_count(self._device([name]), natural(count))
        self._wire.reply(0)

    def _device(self, words: list[str]) -> Device:
        expect(bool(words))
        device = self._catalog.get(words[0])
        if device is None:
            raise OSError(errno.ENODEV, words[0])
        return device
