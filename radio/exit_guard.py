"""Radios end silent however the process ends, as far as a process can see to it: not when it is killed with SIGKILL.

A `with` block or `close()` is the ordinary way. For what passes them by there is this: radios still open when the
interpreter exits are closed then, and SIGTERM and SIGHUP, which by default end a process on the spot, become an
ordinary exit. A program that handles these signals itself keeps its handlers.
"""

import atexit
import os
import signal
import threading
from types import FrameType
from typing import Protocol


class Closable(Protocol):
    """A radio."""

    def close(self) -> None: ...


_open: dict[int, set[Closable]] = {}  # by process: a forked one must not close its parent's
_lock = threading.Lock()


def guard(radio: Closable) -> None:
    """Close it at the latest when the interpreter exits. Until then it is not garbage, whoever else forgets it:

    what libiio has allocated must be freed in order, which a garbage collector does not know.
    """
    with _lock:
        if os.getpid() not in _open:
            _open[os.getpid()] = set()
            atexit.register(_close_all)
        _open[os.getpid()].add(radio)
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(signum) is signal.SIG_DFL:
                signal.signal(signum, _exit)


def release(radio: Closable) -> None:
    """It is closed."""
    with _lock:
        _open.get(os.getpid(), set()).discard(radio)


def _exit(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(
        128 + signum
    )  # what a shell would report; `with` blocks unwind, then the interpreter exits


def _close_all() -> None:
    failures = []
    for radio in list(_open.get(os.getpid(), ())):
        try:
            radio.close()
        except Exception as error:  # the others are to be silent all the same
            failures.append(str(error))
    if failures:
        raise RuntimeError("; ".join(failures))
