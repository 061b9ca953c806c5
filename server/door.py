"""The server's socket: CurveZMQ with a list of those who are let in, or the loopback without keys.

A stranger gets no further than the handshake, and causes one log line a minute at most. Nothing larger than a frame is
read of anybody, and there are never many more connections than devices. The list is read again at each knock, so that a
line added or deleted counts from the next connection on.
"""

import ipaddress
import logging
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from devices.wire.envelope import MAX_FRAME_BYTES
from devices.wire.keys import KeyFileError, KeyPair, read_allowed, read_server_keys
from devices.wire.log_limit import LimitedLog
from devices.wire.packing import Buffer
from server.addresses import AddressError
from server.config import ConfigError
from server.turnstile import Turnstile

ZAP = "inproc://zeromq.zap.01"  # where libzmq asks whether to let somebody in, RFC 27
MAX_WAITING = 256  # messages a connection
HANDSHAKE_MS, LINGER_MS = 5_000, 500
MAX_AT_ONCE = 200  # messages read of a kind before other things get their turn
MAX_STRANGERS = 128  # connections beyond one a device
KEEPALIVE_S = (
    30  # without a sign from a peer's system, after which its connection is probed, and ended if it is dead
)
WAKE = "inproc://wake"
_HANDSHAKES = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "ended during the handshake",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "does not speak the protocol, or has no key or a wrong one of the server",
}  # who is not on the list is told of with the key
_log = logging.getLogger(__name__)


class Letter(NamedTuple):
    """routing: the connection; user: the name its key stands for, empty without keys."""

    routing: bytes
    user: str
    frames: list[Buffer]


def check_bind(url: str, with_keys: bool, what: str = "--bind", keys: str = "--keys DIR") -> None:
    """ConfigError unless `url` is tcp://ADDRESS:PORT and, without keys, of the loopback. what, keys: their names."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme != "tcp" or port is None or parts.path:
            raise ValueError
        address = ipaddress.ip_address("0.0.0.0" if host == "*" else host)
    except ValueError as error:
        raise ConfigError(
            f"{what} {url} is not of the form tcp://ADDRESS:PORT; write for example tcp://127.0.0.1:5750"
        ) from error
    if not with_keys and not address.is_loopback:
        raise ConfigError(
            f"{what} {url} reaches beyond the loopback, where only devices with keys may connect; "
            f"make keys with airmeta keys DIR and give {keys}, or bind to 127.0.0.1"
        )


class Door:
    """Belongs to the thread that opened it, but for `wake`. num_devices: that there are to be, in as many processes at
    most. AddressError, KeyFileError."""

    def __init__(self, bind: str, keys: Path | None, num_devices: int) -> None:
        self._keys, self._noise = keys, LimitedLog(_log)
        most_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = min(num_devices + MAX_STRANGERS, most_files // 2)
        self._connections: set[int] = set()
        pair = None if keys is None else read_server_keys(keys)
        if keys is not None and not read_allowed(keys):
            raise KeyFileError(f"{keys}/allowed lists nobody; make keys with airmeta keys {keys} NAME ...")
        try:
            self._turnstile = Turnstile(*_host_and_port(bind))
        except OSError as error:
            raise AddressError(f"cannot listen at {bind}: {error.strerror}; choose another --bind") from error
        self._context = zmq.Context()
        self._open(bind, pair)

    def _open(self, bind: str, pair: KeyPair | None) -> None:
        self._zap = self._context.socket(zmq.REP)
        self._zap.bind(ZAP)
        self._woken = self._context.socket(zmq.PULL)
        self._woken.bind(WAKE)
        router = self._router = self._context.socket(zmq.ROUTER)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        router.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        router.setsockopt(zmq.RCVHWM, MAX_WAITING)
        router.setsockopt(zmq.SNDHWM, MAX_WAITING)
        router.setsockopt(zmq.LINGER, LINGER_MS)
        router.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        router.setsockopt(zmq.IPV6, int("[" in bind))
        router.setsockopt(zmq.TCP_KEEPALIVE, 1)
        router.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_S)
        router.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_S // 3)
        router.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
        if pair is not None:
            router.curve_server = True
            router.curve_publickey, router.curve_secretkey = pair
            router.setsockopt_string(zmq.ZAP_DOMAIN, "airmeta")
        events = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
        for event in _HANDSHAKES:
            events |= event
        self._monitor = router.get_monitor_socket(events)
        router.setsockopt(zmq.USE_FD, self._turnstile.descriptor)
        router.bind(bind)
        self.url = router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._poller = zmq.Poller()
        for socket in (router, self._zap, self._woken, self._monitor):
            self._poller.register(socket, zmq.POLLIN)

    def poll(self, timeout_s: float) -> list[Letter]:
        """What came within the time, which ends early when something came or somebody called `wake`."""
        ready = dict(self._poller.poll(round(1e3 * timeout_s)))
        if self._zap in ready:
            self._let_in()
        if self._monitor in ready:
            self._hear_of_connections()
        if self._woken in ready:
            for _ in self._all_received(self._woken):
                pass
        letters: list[Letter] = []
        for parts in self._all_received(self._router):
            user = parts[-1].get("User-Id") if self._keys is not None else ""
            letters.append(Letter(parts[0].bytes, str(user), [part.buffer for part in parts[1:]]))
        return letters

    def waker(self) -> "zmq.Socket[bytes]":
        """A socket for another thread, a byte into which ends `poll`."""
        socket = self._context.socket(zmq.PUSH)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(WAKE)
        return socket

    def send(self, routing: bytes, frames: Sequence[Buffer]) -> bool | None:
        """Whether it is on its way; None if there is no such connection any more, False if it has too much to do.

        Large frames are not copied: what many devices are sent is in memory once, and must not change afterwards."""
        try:
            self._router.send_multipart([routing, *frames], zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return None
        return True

    def complain(self, subject: str, text: str) -> None:
        """One line of those that others can cause."""
        self._noise.warn(subject, text)

    def close(self) -> None:
        """Nothing listens any more; what is on its way has LINGER_MS to leave."""
        self._turnstile.hand_over()
        self._router.disable_monitor()
        for socket in (self._monitor, self._zap, self._woken):
            socket.close(0)
        self._router.close(LINGER_MS)
        self._context.term()

    def _let_in(self) -> None:
        assert self._keys is not None  # libzmq asks in a domain only, and there is none without keys
        for parts in self._all_received(self._zap):
            version, number, _, address, _, mechanism, *credentials = (part.bytes for part in parts)
            try:
                names = read_allowed(self._keys)
            except KeyFileError as error:
                names = {}
                self.complain("list", f"nobody is let in: {error}")
            key = z85.encode(credentials[0]) if mechanism == b"CURVE" and len(credentials[0]) == 32 else b""
            name = names.get(key)
            if name is None:
                self.complain("list", f"{address.decode()} was not let in: key {key.decode()} is not allowed")
            code, text = (b"200", b"OK") if name else (b"400", b"not allowed")
            self._zap.send_multipart([version, number, code, text, (name or "").encode(), b""])

    def _hear_of_connections(self) -> None:
        for parts in self._all_received(self._monitor):
            event: dict[str, Any] = dict(parse_monitor_message([part.bytes for part in parts]))
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._connections.add(event["value"])
            elif event["event"] == zmq.EVENT_DISCONNECTED:
                self._connections.discard(event["value"])
            elif what := _HANDSHAKES.get(event["event"]):
                self.complain(what, f"a stranger at {self.url} {what}")
        is_crowded = len(self._connections) >= self._most
        if is_crowded:
            self.complain(
                "crowd", f"{len(self._connections)} connections at {self.url}; nobody else until some end"
            )
        self._turnstile.set_open(not is_crowded)

    def _all_received(self, socket: "zmq.Socket[bytes]") -> Iterator[list[zmq.Frame]]:
        """What has come, up to MAX_AT_ONCE."""
        for _ in range(MAX_AT_ONCE):
            try:
                yield socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return


def _host_and_port(bind: str) -> tuple[str, int]:
    parts = urlsplit(bind)
    host = parts.hostname or ""
    return "" if host == "*" else host, parts.port or 0
