"""What the server tells a device after sounding."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.correction import Correction
from radio.ofdm import OfdmConfig
from radio.resource_map import element_subcarriers
from radio.truncation import is_used


@dataclass(frozen=True, eq=False)
class ChannelState:
    """What a device is told of its channel.

    gains: complex, as seen with `correction` applied: (num_active,) in order of frequency where `ofdm` is given,
    else (1,), the same for every element, or (num_elements,), one for each.
    correction: what the device has to undo of its clock and delay; nothing where no waveform is involved.
    power_budget: mean power of a resource element that the device may use, 1 unless budgets differ.
    device: number of the device, so that its random draws differ from others'.
    mean_power: calibrated mean of |h|^2: all that a non-coherent scheme knows of a channel.
    """

    gains: NDArray[np.complex128]
    correction: Correction = field(default_factory=Correction)
    ofdm: OfdmConfig | None = None
    power_budget: float = 1.0
    device: int = 0
    mean_power: float = 1.0

    def over(self, num_elements: int) -> NDArray[np.complex128]:
        """(num_elements,) the gain of every resource element."""
        return self._on_elements(self.gains, num_elements)

    def compensation(self, num_elements: int) -> NDArray[np.complex128]:
        """(num_elements,) exp(-j arg h) of every resource element: aligns a device with the others in the air."""
        return self._on_elements(self._turned_back(), num_elements)

    def subcarrier_compensation(self, ofdm: OfdmConfig) -> NDArray[np.complex128]:
        """(num_active,) exp(-j arg h) of every active subcarrier: aligns a device's pilots with the others'."""
        return np.broadcast_to(self._turned_back(), (ofdm.num_active,))

    def _turned_back(self) -> NDArray[np.complex128]:
        return np.exp(-1j * np.angle(self.gains))

    def used(self, num_elements: int, threshold: float) -> NDArray[np.bool_]:
        """(num_elements,) whether a device that leaves weak elements empty uses each resource element."""
        return self._on_elements(is_used(self.gains, threshold), num_elements)

    def _on_elements(self, values: NDArray[Any], num_elements: int) -> NDArray[Any]:
        if self.ofdm is not None and len(values) > 1:
            return values[element_subcarriers(num_elements, self.ofdm)]
        if len(values) not in (1, num_elements):
            raise ValueError(
                f"{len(values)} gains for {num_elements} elements; give one, one for each element, or those of the "
                "active subcarriers with their OfdmConfig"
            )
        return np.broadcast_to(values, (num_elements,))
