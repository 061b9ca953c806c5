"""How a process learns that it is to end: by SIGTERM as by SIGINT, or because whoever started it has ended."""

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """SIGTERM unwinds as Ctrl-C does, and while that goes on a second one of either changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ends_with(pipe: int) -> Callable[[], bool]:
    """Whether the other end of a pipe has been closed, which the kernel does for a process that ends."""

    def ended() -> bool:
        readable, _, _ = select.select([pipe], [], [], 0.0)
        return bool(readable) and os.read(pipe, 4096) == b""

    return ended
