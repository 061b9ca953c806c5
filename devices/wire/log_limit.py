"""Log lines that strangers can cause, kept few: one a subject and interval, the next says how many were left out."""

import logging
import time
from collections.abc import Callable

from devices.wire.json_log import event

INTERVAL_S = 60.0
MAX_SUBJECTS = 256


class LimitedLog:
    """A warning at most once in `interval_s` for each subject."""

    def __init__(
        self, log: logging.Logger, interval_s: float = INTERVAL_S, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._log, self._interval_s, self._now = log, interval_s, now
        self._said: dict[str, tuple[float, int]] = {}  # subject: when last, how many since

    def warn(self, subject: str, text: str, name: str = "refused") -> None:
        """subject: what is counted together, of which there must be few; others share one line. name: of the event."""
        if subject not in self._said and len(self._said) >= MAX_SUBJECTS:
            subject = "others"
        now = self._now()
        at, withheld = self._said.get(subject, (-self._interval_s + now, 0))
        if now - at < self._interval_s:
            self._said[subject] = at, withheld + 1
            return
        self._said[subject] = now, 0
        more = f" (and {withheld} more in the last {now - at:.0f} s)" if withheld else ""
        self._log.warning("%s%s", text, more, extra=event(name, withheld=withheld))
