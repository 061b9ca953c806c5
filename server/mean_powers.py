"""Mean powers of channels, measured round by round: all the calibration that schemes without phases need.

Where a model of the channel is stated its mean power, 1, serves: a round's own |h|^2 would be inversion. Elsewhere a
device's mean power is that over all soundings so far in which it was heard, and over the subcarriers.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.uplink import Emissions, Plan, Reception, Slot, Sounding, Uplink
from server.clocks import HEARD

TABLE = "mean_powers"  # name of what is saved


def measured_power(sounding: Sounding, device: int) -> float:
    """Mean of |h|^2 over subcarriers, without the noise that is in it; 0 for a device that was not heard."""
    noise = sounding.gain_errors.get(device, sounding.error_variances[device])
    power = float(np.mean(np.abs(sounding.channels[device].gains) ** 2))
    return power - noise if power > HEARD * noise else 0.0


def heard(sounding: Sounding) -> tuple[int, ...]:
    """Devices whose channel carries energy, whatever is known of its phase."""
    return tuple(device for device in sounding.channels if measured_power(sounding, device) > 0.0)


class CalibratedUplink:
    """An uplink whose soundings tell each device's mean power so far, which is part of what later rounds depend on."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink
        self._sums: dict[int, tuple[float, int]] = {}  # of powers, and how many there are

    def sound(self, slot: Slot, sent: Emissions) -> Slot | Sounding:
        """As beneath; a sounding counts, whatever comes of its round. Raises SyncError."""
        outcome = self._uplink.sound(slot, sent)
        if not isinstance(outcome, Sounding):
            return outcome
        channels = dict(outcome.channels)
        for device in heard(outcome):
            power, count = self._sums.get(device, (0.0, 0))
            self._sums[device] = power + measured_power(outcome, device), count + 1
            mean = self._sums[device][0] / self._sums[device][1]
            channels[device] = replace(channels[device], mean_power=mean)
        return replace(outcome, channels=channels)

    def save(self) -> dict[str, NDArray[Any]]:
        """A row (device, sum, count) a device, beside what is saved beneath."""
        rows = [(device, *sums) for device, sums in sorted(self._sums.items())]
        return {**self._uplink.save(), TABLE: np.array(rows, dtype=np.float64).reshape(-1, 3)}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Inverse of `save`."""
        self._uplink.restore(saved)
        self._sums = {int(device): (float(power), int(count)) for device, power, count in saved[TABLE]}

    def slot(self, round_index: int, devices: tuple[int, ...]) -> Slot:
        """As beneath."""
        return self._uplink.slot(round_index, devices)

    def payload_index(self, sounding: Sounding) -> int:
        """As beneath."""
        return self._uplink.payload_index(sounding)

    def collect(self, plan: Plan, sent: Emissions) -> Reception:
        """As beneath. Raises SyncError."""
        return self._uplink.collect(plan, sent)

    def close(self) -> None:
        """As beneath."""
        self._uplink.close()
