"""A device process: says hello, is told what to host, answers, and comes back by itself whenever the link is lost."""

import logging
import os
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple, Protocol

import zmq

from devices.desk import Desk, Frames
from devices.proxy import Handler
from devices.wire import envelope
from devices.wire.envelope import (
    MAX_FRAME_BYTES,
    NO_ROUND,
    Ask,
    Beat,
    Facts,
    Hello,
    Leave,
    Pulse,
    Ready,
    Refused,
    Unable,
    Welcome,
)
from devices.wire.json_log import about, event
from devices.wire.keys import KeyPair
from devices.wire.log_limit import LimitedLog
from devices.wire.packing import Buffer, WireError

LOOK_S = 0.1  # between looks at the stop sign
LINGER_MS = 300
_log = logging.getLogger(__name__)


class ClientError(RuntimeError):
    """The server has no use for this process, or it cannot do what it is to do; one line."""


class Hosted(Protocol):
    """Devices that are there: their handlers, what their radios say of themselves, and their end."""

    handlers: dict[int, Handler]
    radios: tuple[Facts, ...]

    def close(self) -> None: ...


class Server(NamedTuple):
    """Where it is, and what it is known by: (own pair, its public key), or None on the loopback."""

    url: str
    keys: tuple[KeyPair, bytes] | None = None


class Client:
    """open_devices: makes what a welcome asks for, or raises ClientError. told_to_end: asked again and again."""

    def __init__(
        self,
        server: Server,
        hello: Hello,
        open_devices: Callable[[Welcome], Hosted],
        told_to_end: Callable[[], bool],
        num_workers: int = 1,
        prepare_worker: Callable[[], None] = lambda: None,
    ) -> None:
        self._server, self._hello, self._open_devices = server, hello, open_devices
        self._told_to_end = told_to_end
        self._pool = ThreadPoolExecutor(num_workers, "device", initializer=prepare_worker)
        self._opener = ThreadPoolExecutor(1, "open")
        self._answers: queue.SimpleQueue[Frames] = queue.SimpleQueue()
        self._noise = LimitedLog(_log)
        self._pulse = Pulse()
        self._welcome: Welcome | None = None
        self._past_runs: set[str] = set()
        self._opening: Future[Hosted] | None = None
        self._hosted: Hosted | None = None
        self._desk: Desk | None = None
        self._known = self._over = False

    def serve(self) -> bool:
        """Until the server has no more work, or `told_to_end`; whether no device is at work any more.

        ClientError if the server refuses this process, or what it asks for cannot be had.
        """
        context = zmq.Context()
        woken, self._wake_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            while not self._over and not self._told_to_end():
                socket = self._connect(context)
                try:
                    self._talk(socket, woken)
                finally:
                    socket.close(LINGER_MS)
            return not (self._desk is not None and self._desk.is_busy)
        finally:
            self._let_go()
            context.term()
            for pool in (self._pool, self._opener):
                pool.shutdown(wait=False, cancel_futures=True)

    def _connect(self, context: "zmq.Context[zmq.Socket[bytes]]") -> "zmq.Socket[bytes]":
        socket = context.socket(zmq.DEALER)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL, 100)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2_000)
        socket.setsockopt(zmq.IPV6, int("[" in self._server.url))
        if self._server.keys is not None:
            pair, server_public = self._server.keys
            socket.curve_publickey, socket.curve_secretkey = pair
            socket.curve_serverkey = server_public
        try:
            socket.connect(self._server.url)
        except zmq.ZMQError as error:
            socket.close(0)
            raise ClientError(
                f"--server {self._server.url}: {error.strerror}; write it as tcp://ADDRESS:PORT"
            ) from error
        return socket

    def _talk(self, socket: "zmq.Socket[bytes]", woken: int) -> None:
        """Over one connection, until it or everything is over."""
        self._known, heard_s, beaten_s = False, time.monotonic(), float("-inf")
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(woken, zmq.POLLIN)
        while not self._over:
            if self._told_to_end():
                _log.info("told to end", extra=event("stop", aloud=False))
                self._send(socket, envelope.seal(Leave()))
                return
            ready = dict(poller.poll(round(1e3 * min(LOOK_S, self._pulse.beat_s))))
            if woken in ready:
                os.read(woken, 4096)
            if socket in ready:
                heard_s = time.monotonic()
                self._read(socket, [part.buffer for part in socket.recv_multipart(copy=False)])
            self._finish_opening(socket)
            while not self._answers.empty():
                self._send(socket, self._answers.get())
            now = time.monotonic()
            if now - heard_s > self._pulse.lost_s:
                self._noise.warn(
                    "lost", f"{self._hello.name}: no sign of {self._server.url}; trying again", "lost"
                )
                return
            if now - beaten_s >= self._pulse.beat_s:
                beaten_s = now
                self._send(socket, envelope.seal(Beat() if self._known else self._hello))

    def _read(self, socket: "zmq.Socket[bytes]", frames: Sequence[Buffer]) -> None:
        try:
            content, arrays = envelope.unseal(frames)
        except WireError as error:
            self._noise.warn("frames", f"a message from {self._server.url} was dropped: {error}")
            return
        match content:
            case Welcome():
                self._follow(socket, content)
            case Ask():
                self._take(content, arrays)
            case Refused(reason):
                raise ClientError(f"{self._server.url} refused {self._hello.name}: {reason}")
            case envelope.Unknown():
                self._known = False
                self._send(socket, envelope.seal(self._hello))
            case Leave(over):
                what = "has no more work" if over else "has gone, and may come back"
                _log.info("%s %s", self._server.url, what, extra=event("departure", aloud=False, over=over))
                self._over, self._known = over, False

    def _take(self, ask: Ask, arrays: Sequence[Buffer]) -> None:
        if self._welcome is None or ask.run != self._welcome.run:
            self._noise.warn("old run", "a request of a run that is over was dropped")
        elif self._desk is None or not self._desk.take(ask, arrays):
            with about(round=None if ask.round == NO_ROUND else ask.round, device=ask.device):
                self._noise.warn(
                    "stale", f"request {ask.number} to device {ask.device} is old, or not for here; dropped"
                )

    def _follow(self, socket: "zmq.Socket[bytes]", welcome: Welcome) -> None:
        """The same welcome again finds all in place, and one of an earlier run is late."""
        if welcome.run in self._past_runs:
            self._noise.warn("old welcome", "a welcome to a run that is over was dropped")
            return
        self._known = True
        if welcome == self._welcome and (self._desk is not None or self._opening is not None):
            if self._hosted is not None:
                self._send(socket, envelope.seal(Ready(welcome.run, self._hosted.radios)))
            return
        self._let_go()
        numbers, run = welcome.numbers, welcome.run
        _log.info(
            "welcome as devices %s of run %s", numbers, run, extra=event("welcome", devices=numbers, run=run)
        )
        if self._welcome is not None and self._welcome.run != welcome.run:
            self._past_runs.add(self._welcome.run)
        self._welcome, self._pulse = welcome, welcome.pulse
        self._opening = self._opener.submit(self._open_devices, welcome)

    def _finish_opening(self, socket: "zmq.Socket[bytes]") -> None:
        if self._opening is None or not self._opening.done() or self._welcome is None:
            return
        opening, self._opening = self._opening, None
        try:
            self._hosted = opening.result()
        except ClientError as error:
            self._send(socket, envelope.seal(Unable(self._welcome.run, str(error))))
            raise
        _log.info("ready", extra=event("ready", aloud=False, radios=self._hosted.radios))
        self._desk = Desk(self._hosted.handlers, self._pool, self._answer)
        self._send(socket, envelope.seal(Ready(self._welcome.run, self._hosted.radios)))

    def _let_go(self) -> None:
        """Of what an earlier welcome asked for."""
        if self._opening is not None:
            with suppress(ClientError):
                self._hosted = self._opening.result()
            self._opening = None
        if self._desk is not None:
            self._desk.close()
            self._desk = None
        if self._hosted is not None:
            self._hosted.close()
            self._hosted = None

    def _answer(self, frames: Frames) -> None:
        """From any worker. A full pipe wakes as well; the pipe lives as long as the process, as a worker may."""
        self._answers.put(frames)
        with suppress(BlockingIOError):
            os.write(self._wake_fd, b"\0")

    def _send(self, socket: "zmq.Socket[bytes]", frames: Sequence[Buffer]) -> None:
        try:
            socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            self._noise.warn("full", f"{self._server.url} does not read; a message was dropped")
