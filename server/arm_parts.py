"""What an arm needs: its parts beside the radios, and the link that the radios make."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from devices.messages import DeviceSettings
from devices.proxy import Handler
from radio.interface import Radio
from radio.schedule import Schedule
from radio.tee_radio import TeeRadio
from radio.uplink import Scheme, Truth, Uplink
from server.config import Arm


class Parts(NamedTuple):
    """What an arm needs beside its radios. dimension: of the model; where devices are processes of their own it is
    None, as only they know, and there are no handlers."""

    arm: Arm
    settings: DeviceSettings
    handlers: Mapping[int, Handler]
    scheme: Scheme
    schedule: Schedule
    dimension: int | None

    def num_elements(self, dimension: int) -> int:
        """Resource elements of a payload. ValueError for more than a round carries."""
        experiment = self.arm.experiment
        num_elements = self.scheme.num_elements(dimension, experiment.update.measurements)
        if experiment.link.backend == "waveform":
            self.schedule.check(experiment.num_active, num_elements)
        return num_elements


class Link(NamedTuple):
    """An uplink, the truth behind it if known, E|h| of its model, and its radios as the manifest lists them.

    radio_of: radios of devices that transmit by themselves. tee: what the receiver is heard by, where rounds are
    recorded.
    """

    uplink: Uplink
    truth: Truth | None
    mean_gain: float | None
    radios: list[dict[str, Any]]
    radio_of: Mapping[int, Radio]
    tee: TeeRadio | None = None
