"""The wire of one IIOD connection: bounded lines and exact payloads in, replies out, over a blocking socket."""

import select
import socket

MAX_LINE = 4096  # bytes; the longest command that clients send is 200
RECEIVE = 1 << 16


class Gone(Exception):
    """The client has left, or the server is closing."""


class LineTooLong(Exception):
    """A line longer than MAX_LINE; what there was of it is thrown away up to its end."""


class Wire:
    """Reads and writes; every failure of the socket is Gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._pending = bytearray()

    def read_line(self) -> bytes:
        """Next line without its end. Raises Gone, LineTooLong."""
        too_long = False
        searched = 0
        while True:
            end = self._pending.find(b"\n", searched)
            if end >= 0:
                line = bytes(self._pending[:end])
                del self._pending[: end + 1]
                if too_long or len(line) > MAX_LINE:
                    raise LineTooLong
                return line.rstrip(b"\r")
            searched = len(self._pending)
            if searched > MAX_LINE:
                too_long = True
                self._pending.clear()  # an endless line takes no memory
                searched = 0
            self._pending += self._receive(RECEIVE)

    def read_exactly(self, num_bytes: int) -> bytearray:
        """The next `num_bytes` bytes, whatever they are; the caller has checked the number. Raises Gone."""
        payload = bytearray(num_bytes)
        view = memoryview(payload)
        have = min(num_bytes, len(self._pending))
        view[:have] = self._pending[:have]
        del self._pending[:have]
        while have < num_bytes:
            try:
                got = self._socket.recv_into(view[have:])
            except OSError as error:
                raise Gone from error
            if not got:
                raise Gone
            have += got
        return payload

    def send(self, *parts: bytes | bytearray | memoryview) -> None:
        """All parts, one after the other, without joining them first. Raises Gone."""
        views = [memoryview(part).cast("B") for part in parts if len(part)]
        try:
            while views:
                sent = self._socket.sendmsg(views)
                while views and sent >= len(views[0]):
                    sent -= len(views.pop(0))
                if sent:
                    views[0] = views[0][sent:]
        except OSError as error:
            raise Gone from error

    def reply(self, code: int) -> None:
        """The integer line."""
        self.send(b"%d\n" % code)

    def reply_with(self, payload: bytes) -> None:
        """The integer line with the payload's length, the payload, and a line end."""
        self.send(b"%d\n" % len(payload), payload, b"\n")

    def check_peer(self) -> None:
        """Gone if the client has closed its end, whatever it had still to say. From any thread, and never waits."""
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLRDHUP)
        except ValueError as error:  # closed here, too
            raise Gone from error
        if poll.poll(0):
            raise Gone

    def _receive(self, num_bytes: int) -> bytes:
        try:
            received = self._socket.recv(num_bytes)
        except OSError as error:
            raise Gone from error
        if not received:
            raise Gone
        return received
