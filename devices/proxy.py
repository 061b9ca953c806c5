"""How the server reaches devices. The round code sees this protocol only."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Protocol

from devices.messages import Failed, Reply, Request
from devices.wire.json_log import about

END_S = 2.0
WORKERS = "device"  # what their threads are called
Handler = Callable[[Request], Reply]


class DeviceProxy(Protocol):
    """Asks many devices at once."""

    def ask(self, requests: Mapping[int, Request]) -> dict[int, Reply]:
        """One reply a request, in the order of the requests; a device that could not answer gives Failed."""
        ...

    def close(self) -> None:
        """Let the devices go."""
        ...


class LocalProxy:
    """Devices in this process, asked in parallel by `threads` workers. A device handles one request at a time.

    prepare_worker: called once in each worker, to keep numerical libraries to one thread.
    """

    def __init__(
        self, handlers: Mapping[int, Handler], threads: int, prepare_worker: Callable[[], None] | None = None
    ) -> None:
        self._handlers = dict(handlers)
        self._at_work: dict[int, tuple[Request, float]] = {}
        self._pool = ThreadPoolExecutor(threads, WORKERS, initializer=prepare_worker or (lambda: None))

    def ask(self, requests: Mapping[int, Request]) -> dict[int, Reply]:
        """A device's own error is its failure, not the server's; anything else is a bug and is raised."""
        futures = {
            device: self._pool.submit(copy_context().run, self._work, device, request)
            for device, request in requests.items()
        }
        return {device: future.result() for device, future in futures.items()}

    def at_work(self) -> dict[int, tuple[Request, float]]:
        """By device: what it is at, and since when, in seconds of Unix time."""
        return self._at_work.copy()

    def _work(self, device: int, request: Request) -> Reply:
        self._at_work[device] = request, time.time()
        try:
            return self._handlers[device](request)
        finally:
            del self._at_work[device]

    def close(self) -> None:
        """Stop the workers. What is running cannot be interrupted, and is waited for END_S at most."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + END_S
        while self._at_work and time.monotonic() < until:
            time.sleep(0.01)


def guarded(handle: Handler, device: int) -> Handler:
    """`handle`, with errors of computation and of radios turned into Failed."""

    def answer(request: Request) -> Reply:
        try:
            with about(device=device):
                return handle(request)
        except (ArithmeticError, RuntimeError, ValueError) as error:
            return Failed(f"device {device}, {type(request).__name__.lower()}: {error}")

    return answer
