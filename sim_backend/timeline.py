"""Air time: what moves it, who holds it back, and what its passing does to virtual radios. Under the engine's lock."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from sim_backend.monitor import Monitor
from sim_backend.stream_state import LAG_S, StreamState

Pace = Literal["virtual", "real"]
STEP_S = 0.05  # of air time at most between computations
TICK_S = 1e-3  # of wall time at least between two looks at the wall clock
IDLE_S = 60.0  # between looks when nothing is to be done


class Timeline:
    """clock: wall time in s, for pace "real". on_loss: told of radios that lose samples with blocks to spare.

    others: further instants that somebody waits for.
    """

    def __init__(
        self,
        monitor: Monitor,
        stations: Sequence[StreamState],
        pace: Pace,
        patience_s: float,
        clock: Callable[[], float],
        on_loss: Callable[[int], None],
        others: Callable[[], Iterable[float]] = tuple,
    ) -> None:
        self._monitor, self._stations, self._patience_s = monitor, stations, patience_s
        self._clock, self._on_loss, self._others = clock, on_loss, others
        self.is_real = pace == "real"
        self.now_s = 0.0
        self._origin_s = clock()

    def catch_up(self) -> None:
        """Let time pass to the wall clock's, where that drives. RadioError when the air is over."""
        self._monitor.check()
        if self.is_real:
            self._advance(self._clock() - self._origin_s)

    def move(self) -> float:
        """Let time pass as far as it may; returns for how long to wait then, 0 if something has changed."""
        return self._look() if self.is_real else self._step()

    def _look(self) -> float:
        """Pace "real": wall time until something can be due."""
        waits_s = [station.read_time(1) - self.now_s for station in self._stations if station.rx]
        waits_s += [instant - self.now_s for instant in self._others()]
        return min(max(min(waits_s), TICK_S), STEP_S) if waits_s else IDLE_S

    def _step(self) -> float:
        """Pace "virtual": to the next instant that somebody waits for, unless somebody holds time."""
        goals = [goal for station in self._stations for goal in station.goals()] + list(self._others())
        holders = [holder for station in self._stations for holder in station.holders()]
        if not goals:
            for _, stream in holders:
                stream.held_since = None
            return IDLE_S
        goal_s = max(min(min(goals), self.now_s + STEP_S), math.nextafter(self.now_s, math.inf))
        limit_s = min((instant for instant, _ in holders), default=math.inf)
        if min(goal_s, limit_s) > self.now_s:
            self._advance(min(goal_s, limit_s))
            self._monitor.notify()
            return 0.0
        wall_s = time.monotonic()
        pause_s = self._patience_s
        for instant, stream in holders:
            if instant > self.now_s:
                stream.held_since = None
                continue
            if stream.held_since is None:
                stream.held_since = wall_s
            left_s = stream.held_since + self._patience_s - wall_s
            if left_s <= 0.0:
                stream.may_hold = False
                return 0.0
            pause_s = min(pause_s, left_s)
        return pause_s

    def _advance(self, to_s: float) -> None:
        if to_s <= self.now_s:
            return
        heard = any(station.rx for station in self._stations)
        self.now_s = to_s
        for radio, station in enumerate(self._stations):
            station.emit(to_s, heard)
            lost = station.deal(to_s - LAG_S)
            if lost and station.rx is not None and station.rx.num_ready < station.rx.num_blocks:
                self._on_loss(radio)
