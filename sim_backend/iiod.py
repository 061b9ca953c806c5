"""An IIOD server: the IIO devices of a Target over TCP, as libiio 0.x clients expect them.

The protocol has neither authentication nor encryption: it stays on loopback unless told otherwise.
"""

import ipaddress
import logging
import socket
import threading
import time
from types import TracebackType

from sim_backend.iiod_buffers import Shared
from sim_backend.iiod_session import Session
from sim_backend.iiod_target import Target, read_catalog
from sim_backend.iiod_wire import Wire

PORT = 30431
VERSION = "0.21.565bf68"  # clients insist on seven characters behind the minor version
MAX_CONNECTIONS = 128
CLOSE_S = 5.0  # how long closing may take
log = logging.getLogger(__name__)


class IiodServer:
    """`with IiodServer(target, "127.0.0.2"):` serves until the block ends. One address a radio, on the usual port:

    clients lose the port when they clone a context. port: 0 for any that is free; `port` then says which.
    """

    def __init__(
        self,
        target: Target,
        host: str,
        port: int = PORT,
        *,
        version: str = VERSION,
        beyond_loopback: bool = False,
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback and not beyond_loopback:
            raise ValueError(
                f"IIOD has no authentication and would listen on {host}; use an address in 127.0.0.0/8, "
                "or pass beyond_loopback=True on a network that you trust"
            )
        self.host, self.port = host, port
        self._shared, self._catalog, self._version = Shared(target), read_catalog(target.xml()), version
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, tuple[socket.socket, Session]] = {}
        self._listening: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    @property
    def uri(self) -> str:
        """For clients."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ip:{host}" if self.port == PORT else f"ip:{host}:{self.port}"

    def __enter__(self) -> "IiodServer":
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listening = socket.create_server((self.host, self.port), family=family, backlog=MAX_CONNECTIONS)
        self.port = self._listening.getsockname()[1]
        self._acceptor = threading.Thread(
            target=self._accept, args=(self._listening,), name=f"iiod {self.host}", daemon=True
        )
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, end every connection, wait for the threads; RuntimeError if one outlives the deadline."""
        listening, self._listening = self._listening, None
        if listening is None or self._acceptor is None:
            return
        until = time.monotonic() + CLOSE_S
        _shut(listening)  # wakes accept
        self._acceptor.join(CLOSE_S)
        listening.close()
        with self._lock:
            connections = dict(self._connections)
        for connection, session in connections.values():
            _shut(connection)
            session.close_buffers()
        for thread in connections:
            thread.join(max(until - time.monotonic(), 0.0))
        if left := [thread.name for thread in (self._acceptor, *connections) if thread.is_alive()]:
            raise RuntimeError(
                f"{len(left)} threads of IIOD at {self.host} still run after {CLOSE_S:g} s ({left[0]}); "
                "close() of a buffer must end its read and write"
            )

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, peer = listening.accept()
            except OSError:
                if self._listening is None:
                    return
                log.exception("accept at %s failed", self.host)
                time.sleep(0.1)  # out of descriptors: others may free some
                continue
            with self._lock:
                if self._listening is None or len(self._connections) >= MAX_CONNECTIONS:
                    connection.close()
                    continue
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                session = Session(Wire(connection), self._shared, self._catalog, self._version)
                thread = threading.Thread(
                    target=self._serve,
                    args=(connection, session),
                    name=f"iiod {self.host} {peer[1]}",
                    daemon=True,
                )
                self._connections[thread] = connection, session
                try:
                    thread.start()
                except RuntimeError:  # out of threads: this client is refused, others may end some
                    log.exception("a connection to %s has no thread", self.host)
                    del self._connections[thread]
                    connection.close()

    def _serve(self, connection: socket.socket, session: Session) -> None:
        try:
            with connection:
                session.run()
        except Exception:  # a fault of one connection ends that one
            log.exception("a connection to %s failed", self.host)
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]


def _shut(connection: socket.socket) -> None:
    """Wakes whoever waits on a socket; one that the other side has ended already is no failure."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        log.debug("shutdown: %s", error)
