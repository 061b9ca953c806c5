"""A process's log as JSON lines, each with the process, and the round and the device that it speaks of.

A line is one object: `time` (UTC), `level`, `process`, `host`, `pid`, `round` (from 0, as in rounds.jsonl) and `device`
where there is one, `event` (a word for programs), `logger`, `message` (words for people), and `facts`, numbers and
names that belong to it. Rotation is the system's business: where the file was moved away, a line begins another one.
"""

import logging
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

NOTE = "note"  # the event of a line that names none
_subject: ContextVar[Mapping[str, int]] = ContextVar("subject", default=MappingProxyType({}))


@contextmanager
def about(**fields: int | None) -> Iterator[None]:
    """What this thread logs meanwhile speaks of this `round`, this `device`; None changes nothing."""
    given = {name: value for name, value in fields.items() if value is not None}
    token = _subject.set({**_subject.get(), **given})
    try:
        yield
    finally:
        _subject.reset(token)


def event(name: str, /, *, aloud: bool = True, **facts: Any) -> dict[str, Any]:
    """The `extra` of a logging call. aloud: whether a terminal hears of it, where it goes on as it should."""
    return {"event": name, "aloud": aloud, "facts": facts}


def is_aloud(record: logging.LogRecord) -> bool:
    """Whether a terminal is to hear of it."""
    return getattr(record, "aloud", True)


class JsonLine(logging.Formatter):
    """process: its name."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process, self._host = process, platform.node()

    def format(self, record: logging.LogRecord) -> str:
        """One line without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "host": self._host,
            "pid": os.getpid(),
            **_subject.get(),
            "event": getattr(record, "event", NOTE),
            "logger": record.name,
            "message": record.getMessage().encode("utf-8", "backslashreplace").decode(),
        }
        if facts := getattr(record, "facts", None):
            line["facts"] = facts
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class PlainLine(logging.Formatter):
    """For people: the message, after the round that it speaks of, counted from 1 as everywhere in a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """One line without its end, or several with an exception."""
        number = _subject.get().get("round")
        return ("" if number is None else f"round {number + 1}: ") + super().format(record)


class LogFile(WatchedFileHandler):
    """JSON lines at the end of a file. A disk that is full ends nothing: it is said on stderr, once."""

    def __init__(self, path: Path, process: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8")
        self.setFormatter(JsonLine(process))
        self._has_complained = False

    def emit(self, record: logging.LogRecord) -> None:
        """One line, at once."""
        try:
            super().emit(record)
        except OSError:  # the file was moved away, and no other can be begun
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Of what cannot be written."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_complained:
            self._has_complained = True
            sys.stderr.write(f"{self.baseFilename} cannot be written: {error.strerror}; lines are lost\n")

    def close(self) -> None:
        """What could not be written is let go."""
        with suppress(OSError):
            super().close()
