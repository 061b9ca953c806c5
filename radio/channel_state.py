"""What the server feeds back to a device after sounding."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from radio.correction import Correction


@dataclass(frozen=True, eq=False)
class ChannelState:
    """What a device is told of its channel: element j of the payload sees gains[j % len(gains)].

    gains: (num_active,) or (1,), complex, as seen with `correction` applied.
    correction: what the device has to undo of its clock and delay; nothing where no waveform is involved.
    """

    gains: NDArray[np.complex128]
    correction: Correction = field(default_factory=Correction)

    def over(self, num_elements: int) -> NDArray[np.complex128]:
        """(num_elements,) the gain of every resource element."""
        return np.resize(self.gains, num_elements)

    def compensation(self, num_elements: int) -> NDArray[np.complex128]:
        """(num_elements,) exp(-j arg h) of every resource element: aligns a device with the others in the air."""
        return np.resize(np.exp(-1j * np.angle(self.gains)), num_elements)
