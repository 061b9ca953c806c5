"""REED, resource-element energy difference: signed aggregation that needs no phases, no common carrier, no instant.

A value v of a device is sent as energy: scale^2 |v| / (C P) on one element of each of C pairs (`chips`), the first of a
pair for v > 0, the second for v < 0; P = `channel.mean_power` is the calibrated mean of the device's |h|^2. Phases are
random (`radio/energy_pairs.py`). On the average over them energies of devices add, noise has the same on both elements
of a pair, and sum over chips (|y+|^2 - |y-|^2) / (scale^2 s) is the mean over s devices. All is sent: with real values
of finite energy nothing is withheld. At a mean power of 1 an element scale^2 grows with the number of elements, C.
Chen and Bozorgasl, arXiv 2605.07263: pairs, calibration, chips, moments for independent Rayleigh fades. Derived by us:
the form below for any law of fading, one gain a device, and wrong calibration.

Moments of the estimate, of each parameter. w_i = E|h_i|^2 / P_i, 1 if calibrated; S+ and S- the sums of w_i |v_i| over
devices with v_i > 0 and v_i < 0, Q = sum_i (w_i v_i)^2; nu = sigma^2 / scale^2, sigma^2 = E|n|^2; f = Var|h|^2 /
(E|h|^2)^2: 1 for Rayleigh fading, (2K + 1) / (K + 1)^2 for Rician, 0 for none. Devices fade independently.

    mean       sum_i w_i v_i / s, so unbiased if calibrated
    variance   ((S+^2 + S-^2 - Q) / C    self-noise: cross terms between devices that meet on an element
                + f Q                    fading, one gain a device in a round; f Q / C where chips fade independently
                + 2 nu (S+ + S-)         noise times signal
                + 2 C nu^2) / s^2        noise times noise

For f = 1 and independent fades the first two are (S+^2 + S-^2) / C, and all of it is that of a difference of 2 C
exponential variables. Under the power limit nu falls as 1 / C, so that everything but block fading does. The self-noise
stays at any SNR: for s independent updates with first and second absolute moments m1, m2 of their values it is
(s - 1) m1^2 / (2 C m2) of the energy of their mean.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.energy_pairs import energy_differences, lay_on_pairs
from radio.uplink import Plan, Reception


@dataclass(frozen=True)
class Reed:
    """chips: pairs of elements for each parameter."""

    COHERENT: ClassVar[bool] = False

    chips: int = 1

    def num_elements(self, dimension: int, measurements: float) -> int:
        """Two a chip and parameter, whatever the number of measurements: nothing is compressed."""
        return 2 * self.chips * dimension

    def encode(
        self, update: NDArray[np.floating], channel: ChannelState, plan: Plan
    ) -> tuple[NDArray[np.complex64], NDArray[np.floating]]:
        """update: (dimension,). returns: amplitudes (num_elements,), and the update, all of which is sent."""
        energies = np.abs(update, dtype=np.float64) / (self.chips * channel.mean_power)
        values = np.copysign(plan.scale * np.sqrt(energies), update)
        return lay_on_pairs(np.tile(values, self.chips), channel.device, plan), update

    def decode(self, reception: Reception, plan: Plan) -> NDArray[np.float64]:
        """returns: (dimension,) the mean over plan.devices."""
        differences = energy_differences(reception.amplitudes, plan).reshape(self.chips, plan.dimension)
        return differences.sum(axis=0) / (plan.scale**2 * len(plan.devices))
