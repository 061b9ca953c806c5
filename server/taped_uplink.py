"""An uplink that remembers of a round what it takes to decode it again."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from radio.sounding import AcquisitionSlot, SoundingSlot
from radio.tee_radio import Heard, TeeRadio
from radio.uplink import Emissions, Plan, Reception, Slot, Sounding, SyncError, Uplink
from server.receiver import RadioUplink


class TapedSlot(NamedTuple):
    """sent: devices that were to be heard. origin, lateness: of the uplink, afterwards. failed: why there is no
    outcome."""

    slot: AcquisitionSlot | SoundingSlot
    sent: tuple[int, ...]
    origin: int
    lateness: int
    heard: tuple[Heard, ...]
    outcome: Slot | Sounding | None
    failed: str = ""


class TapedPayload(NamedTuple):
    """As `TapedSlot`."""

    plan: Plan
    sent: tuple[int, ...]
    origin: int
    lateness: int
    heard: tuple[Heard, ...]
    reception: Reception | None
    failed: str = ""


class TapedUplink:
    """As the uplink beneath. radios: the one of radios in or beneath it; tee: what that one hears by.

    What failed for another reason than what was heard cannot be decoded again, and is not kept; nor are meetings, whose
    searches are long, and which leave nothing but a clock's origin.
    """

    def __init__(self, uplink: Uplink, radios: RadioUplink, tee: TeeRadio) -> None:
        self._uplink, self._radios, self._tee = uplink, radios, tee
        self.slots: list[TapedSlot] = []
        self.payload: TapedPayload | None = None

    def forget(self) -> None:
        """What was kept, when its round is over."""
        self.slots, self.payload = [], None

    def slot(self, round_index: int, devices: tuple[int, ...]) -> Slot:
        """As beneath; a round that is begun again is kept from here on."""
        self.forget()
        return self._uplink.slot(round_index, devices)

    def sound(self, slot: Slot, sent: Emissions) -> Slot | Sounding:
        """As beneath. Raises SyncError."""
        self._tee.take()
        try:
            outcome = self._uplink.sound(slot, sent)
        except SyncError as error:
            self._keep(slot, sent, None, str(error))
            raise
        self._keep(slot, sent, outcome)
        return outcome

    def payload_index(self, sounding: Sounding) -> int:
        """As beneath."""
        return self._uplink.payload_index(sounding)

    def collect(self, plan: Plan, sent: Emissions) -> Reception:
        """As beneath. Raises SyncError."""
        self._tee.take()
        try:
            reception = self._uplink.collect(plan, sent)
        except SyncError as error:
            self.payload = TapedPayload(plan, tuple(sent), *self._now(), None, str(error))
            raise
        self.payload = TapedPayload(plan, tuple(sent), *self._now(), reception)
        return reception

    def save(self) -> dict[str, NDArray[Any]]:
        """As beneath."""
        return self._uplink.save()

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """As beneath."""
        self._uplink.restore(saved)

    def close(self) -> None:
        """As beneath."""
        self._uplink.close()

    def _keep(self, slot: Slot, sent: Emissions, outcome: Slot | Sounding | None, failed: str = "") -> None:
        if isinstance(slot, AcquisitionSlot | SoundingSlot):
            self.slots.append(TapedSlot(slot, tuple(sent), *self._now(), outcome, failed))

    def _now(self) -> tuple[int, int, tuple[Heard, ...]]:
        return self._radios.origin, self._radios.lateness, self._tee.take()
