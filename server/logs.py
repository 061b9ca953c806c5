"""Where a command's log goes: words on stderr for whoever started it, JSON lines in a file for later."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devices.wire.json_log import LogFile, PlainLine, is_aloud

ROOMS = ("radio", "calibration", "sim_backend", "devices", "server")


def speak_on_stderr() -> None:
    """Once a process: what it has to say, but for what its terminal shows anyway."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainLine())
    handler.addFilter(is_aloud)
    logging.getLogger().addHandler(handler)
    _open_rooms()


@contextmanager
def kept_log(path: Path | None, process: str) -> Iterator[None]:
    """All of it in a file too, at its end, until the context ends; nowhere if there is no path. OSError."""
    if path is None:
        yield
        return
    kept = LogFile(path, process)
    root = logging.getLogger()
    root.addHandler(kept)
    _open_rooms()
    try:
        yield
    finally:
        root.removeHandler(kept)
        kept.close()


def _open_rooms() -> None:
    """Of libraries warnings alone are heard, of our rooms what goes on as well."""
    for room in ROOMS:
        logging.getLogger(room).setLevel(logging.INFO)
