"""How fast a stream is served, by the wall clock: credit for pauses is bounded, and haste leaves no debt behind."""

import time
from collections.abc import Callable


class Pacer:
    """rate_hz: samples a second; credit: how many may be served at once after a pause."""

    def __init__(self, rate_hz: float, credit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz, self._credit_s, self._clock = rate_hz, credit / rate_hz, clock
        self._due_s = clock() - self._credit_s

    def spend(self, count: int) -> None:
        """`count` samples were served, whether they were due or not."""
        now_s, span_s = self._clock(), count / self._rate_hz
        self._due_s = min(max(self._due_s, now_s - self._credit_s), now_s) + span_s

    def wait_s(self) -> float:
        """Until more may be served."""
        return max(self._due_s - self._clock(), 0.0)
