"""One lock for all that the simulated air's threads share, and waiting on it that ends when the air does."""

import threading
import time
from collections.abc import Callable

from radio.interface import RadioError


class Monitor:
    """`with monitor:` holds the lock. After `close` or `fail` everybody who waits or checks gets a RadioError."""

    def __init__(self) -> None:
        self._cond = threading.Condition()
        self._failure: Exception | None = None
        self.closed = False

    def __enter__(self) -> None:
        self._cond.acquire()

    def __exit__(self, *error: object) -> None:
        self._cond.release()

    # All that follows is called by who holds the lock.

    @property
    def is_over(self) -> bool:
        """Whether the air is closed or has failed."""
        return self.closed or self._failure is not None

    def close(self) -> None:
        """Nothing more is to be done."""
        self.closed = True
        self.notify()

    def fail(self, failure: Exception) -> None:
        """What everybody is told from now on."""
        self._failure = failure
        self.notify()

    def check(self) -> None:
        """RadioError when it is over."""
        if self._failure is not None:
            raise RadioError(f"the simulated air failed: {self._failure}") from self._failure
        if self.closed:
            raise RadioError("the simulated air is closed")

    def notify(self) -> None:
        """Something has changed: let all who wait look."""
        self._cond.notify_all()

    def pause(self, seconds: float) -> None:
        """Let go of the lock until something changes."""
        self._cond.wait(seconds)

    def wait(self, ready: Callable[[], bool], deadline_s: float, what: str) -> None:
        """Pause until something is so. TimeoutError."""
        limit_s = time.monotonic() + deadline_s
        while not ready():
            left_s = limit_s - time.monotonic()
            if left_s <= 0.0:
                raise TimeoutError(f"waited {deadline_s:g} s for {what}")
            self.pause(left_s)
            self.check()

    def release(self) -> None:
        """For a while; `acquire` follows."""
        self._cond.release()

    def acquire(self) -> None:
        """Undoes `release`."""
        self._cond.acquire()
