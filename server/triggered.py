"""The server's end of an uplink whose radios an edge releases, on a trigger line that all of them share.

Every slot and every payload has an edge of its own, and index 0 of what is sent is the edge. Nobody knows beforehand
when it comes: the receiver looks for what it released. In a sounding that is the first device's preamble; in the
payload the common one, which, with the phases of all channels compensated, arrives where the sounding's window begins.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from radio.interface import Radio, Samples
from radio.schedule import Schedule
from radio.sounding import SoundingSlot
from radio.uplink import Emissions, Plan, Reception, Slot, Sounding, SyncError
from server.receiver import RadioUplink

COMMON = -1  # whose identity is the common preamble's


@dataclass(frozen=True, kw_only=True)
class EdgeSchedule(Schedule):
    """Everything begins at its edge. search_s: within which the edge comes, once all radios are armed."""

    search_s: float

    def start_index(self, round_index: int) -> int:
        """The edge."""
        return 0

    def after(self, end_index: int) -> int:
        """The next edge."""
        return 0


class TriggeredUplink(RadioUplink):
    """release: makes an edge, or does nothing where edges come by themselves."""

    def __init__(
        self,
        receiver: Radio,
        schedule: EdgeSchedule,
        backoff_db: float,
        center_hz: float,
        release: Callable[[], None],
    ) -> None:
        super().__init__(receiver, {}, schedule, backoff_db, center_hz)
        self._edges, self._release = schedule, release
        self._base = 0  # the receiver's index of the last edge, by the clock that the schedule means
        self._sounded_at = 0  # of the sounding's

    @property
    def origin(self) -> int:
        """The last edge."""
        return self._base

    def sound(self, slot: Slot, sent: Emissions) -> Slot | Sounding:
        """Find the edge's slot, then as ever. Raises SyncError."""
        assert isinstance(slot, SoundingSlot)  # an edge needs no acquisition
        if sounded := tuple(device for device in slot.devices if device in sent):
            self._base = self._sounded_at = self._find_edge(sounded, "sounding")
        return super().sound(slot, sent)

    def collect(self, plan: Plan, sent: Emissions) -> Reception:
        """Find the edge's frame, then as ever. Raises SyncError."""
        start = self._find_edge((COMMON,), "payload")
        self._base = start - plan.start_index - self._offset
        reception = super().collect(plan, sent)
        return replace(
            reception,
            start_index=reception.start_index + self._base,
            delayed_samples=start - self._sounded_at - plan.start_index,
        )

    def save(self) -> dict[str, NDArray[Any]]:
        """Nothing lasts longer than a round."""
        return {}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Nothing was saved."""

    def _find_edge(self, identities: tuple[int, ...], what: str) -> int:
        """Receiver's index of the preamble of the first of these that is heard at all."""
        self._base, begin = 0, self._receiver.now()
        self._release()
        length = round(self._edges.search_s * self._ofdm.sample_rate_hz)
        path = self._search(begin, length, identities)
        if path is not None:
            return round(path.delay_samples)
        raise SyncError(
            f"no {what} preamble within {self._edges.search_s:g} s of arming; see that the trigger line has edges, "
            "check the receiver's gain, cable and center_hz, or raise radio.meeting_s"
        )

    def _receive(self, at: int, num_samples: int) -> Samples:
        return super()._receive(at + self._base, num_samples)
