"""How a thread tells the main one that there is something to look at, when a signal may interrupt the wait.

Not `threading.Condition`: a KeyboardInterrupt between its giving up of the lock and its wait leaves the lock to be
released twice, and the RuntimeError of that in its place. One C call has no such gap.
"""

import threading
from contextlib import suppress


class Bell:
    """For one who waits. Rung twice is as good as once."""

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """Let the one who waits, or will wait next, go on."""
        with suppress(RuntimeError):  # it is ringing already
            self._silent.release()

    def wait(self, timeout_s: float) -> None:
        """Until it has rung since the last wait, or the time is over."""
        self._silent.acquire(timeout=timeout_s)
