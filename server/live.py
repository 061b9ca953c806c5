"""The server's end of an uplink whose radios keep their own time: clocks are met, the schedule is made as time goes.

Nothing ties the indices of one radio to those of another. So each device is met first: it sends its preamble as soon as
it can, alone, and calls that instant 0; where the server hears it is what ties both clocks, until the epoch of one of
the two radios ends. Then a device is met anew, and so is one that could not send or was not heard.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from calibration.tracking import Track
from radio.correction import Correction
from radio.rebased import RebasedRadio
from radio.schedule import Schedule
from radio.sounding import MeetingSlot, SoundingSlot
from radio.uplink import Emissions, Plan, Reception, Slot, Sounding, SyncError
from server.receiver import RadioUplink


@dataclass(frozen=True, kw_only=True)
class LiveSchedule(Schedule):
    """now: the receiver's. ahead_s: from the server's decision to the first sample of what it decided: command, samples
    that are on their way to the transmitters, and their delay. round_s has no effect: the next round begins when the
    last one has been worked off."""

    now: Callable[[], int]
    ahead_s: float
    meeting_s: float

    def start_index(self, round_index: int) -> int:
        """As soon as can be."""
        return self.now() + self._samples(self.ahead_s)

    def after(self, end_index: int) -> int:
        """A gap later, or as soon as can be."""
        return max(super().after(end_index), self.start_index(0))

    @property
    def meeting_len(self) -> int:
        """Samples within which a device that is asked to send is heard."""
        return self._samples(self.meeting_s)


class LiveUplink(RadioUplink):
    """receiver: of samples on a clock of its own; devices transmit on radios of theirs."""

    def __init__(
        self, receiver: RebasedRadio, schedule: LiveSchedule, backoff_db: float, center_hz: float
    ) -> None:
        super().__init__(receiver, {}, schedule, backoff_db, center_hz)
        self._rebased, self._live = receiver, schedule

    @property
    def origin(self) -> int:
        """Where the receiver's clock was met."""
        return self._rebased.origin

    def slot(self, round_index: int, devices: tuple[int, ...]) -> Slot:
        """A meeting if there is somebody to meet. RadioError while the receiver's link is lost and stays so."""
        self._rebased.configure()
        if self._rebased.has_ended:
            self._rebased.restart()
            self._clocks.forget(self._clocks.known)
        self._num_turns = 0
        unmet = tuple(device for device in devices if device not in self._clocks.known)
        if unmet:
            return self._meeting(round_index, unmet, devices)
        return self._first_slot(round_index, devices)

    def sound(self, slot: Slot, sent: Emissions) -> Slot | Sounding:
        """Hold a slot, and forget who was to send in it and did not, or could not be heard. Raises SyncError."""
        self._clocks.forget(device for device in slot.devices if device not in sent)
        if isinstance(slot, MeetingSlot):
            return self._meet(slot, sent)
        unsure, outcome = self._clocks.unsure(slot.devices), None
        try:
            outcome = super().sound(slot, sent)
            return outcome
        finally:  # who was not sure before and is not heard now either is not where its clock puts it
            heard = outcome.devices if isinstance(outcome, SoundingSlot) else ()
            still = self._clocks.unsure(slot.devices) - set(heard)
            self._clocks.forget(unsure & still if self._schedule.free_clocks else still)

    def collect(self, plan: Plan, sent: Emissions) -> Reception:
        """As over any radios; `start_index` of what was received is the radio's own."""
        self._clocks.forget(device for device in plan.devices if device not in sent)
        reception = super().collect(plan, sent)
        return replace(reception, start_index=reception.start_index + self._rebased.origin)

    def save(self) -> dict[str, NDArray[Any]]:
        """Nothing: when a run is continued, all clocks are others."""
        return {}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Nothing was saved."""

    def _meeting(self, round_index: int, unmet: tuple[int, ...], sounding: tuple[int, ...]) -> MeetingSlot:
        return MeetingSlot(
            round=round_index,
            devices=unmet[:1],
            start_index=self._rebased.now(),
            waiting=unmet[1:],
            sounding=sounding,
        )

    def _meet(self, slot: MeetingSlot, sent: Emissions) -> Slot:
        (device,) = slot.devices
        self._num_turns += 1
        if device in sent and (track := self._first_track(slot)) is not None:
            self._clocks.learn(device, track)
        if slot.waiting:
            return self._meeting(slot.round, slot.waiting, slot.sounding)
        met = tuple(device for device in slot.sounding if device in self._clocks.known)
        if not met:
            raise SyncError(
                f"round {slot.round}: none of {len(slot.sounding)} devices was heard within "
                f"{self._live.meeting_s:g} s of being asked to send; check the receiver's gain, cable and center_hz, "
                "or raise radio.meeting_s"
            )
        return self._first_slot(slot.round, met)

    def _first_track(self, slot: MeetingSlot) -> Track | None:
        """What a device's first preamble tells, if it is heard."""
        path = self._search(slot.start_index, self._live.meeting_len, slot.devices)
        if path is None:
            return None
        cfo_hz = path.cfo_hz if self._schedule.free_clocks else 0.0
        correction = Correction(
            delay_samples=path.delay_samples, cfo_hz=cfo_hz, drift=-cfo_hz / self._center_hz
        )
        return Track(
            correction=correction, cfo_std_hz=path.cfo_std_hz, delay_std_samples=path.delay_std_samples
        )
