"""A profile as a run applies it: what each radio undoes of its hardware, and which radio that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from radio.hardware_correction import DeviceCorrection, ReceiveCorrection
from radio.radio_identity import RECEIVER, place_of


@dataclass(frozen=True, kw_only=True)
class AppliedProfile:
    """path: of the file; sha256: of what it holds; made_at_s: since 1970. devices: by number. for_any_radio: for those
    of an air that is made from the profile, which have other serial numbers."""

    path: str
    sha256: str
    made_at_s: float
    receiver_serial: str
    receive: ReceiveCorrection
    devices: Mapping[int, DeviceCorrection]
    for_any_radio: bool = False

    @property
    def serials(self) -> dict[str, str]:
        """By place, as `radio.radio_identity` calls them."""
        own = {place_of(device): each.serial for device, each in self.devices.items()}
        return {RECEIVER: self.receiver_serial} | own

    @property
    def levels(self) -> dict[int, float]:
        """By device: what is left of an amplitude once its samples are turned down."""
        return {device: each.transmit.factor for device, each in self.devices.items()}

    def facts(self) -> dict[str, Any]:
        """For a run's manifest."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "made_at_s": self.made_at_s,
            "levels_db": {str(d): each.transmit.level_db for d, each in self.devices.items()},
            "tx_gains_db": {str(d): each.tx_gain_db for d, each in self.devices.items()},
        }
