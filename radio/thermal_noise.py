"""Noise that a receiver cannot be without."""

from radio.decibel import to_db

BOLTZMANN_J_PER_K = 1.380649e-23  # exact in the SI
STANDARD_K = 290.0  # T0, the source temperature at which noise figures are stated


def noise_dbm(bandwidth_hz: float, noise_figure_db: float) -> float:
    """Noise power k T0 B F in a bandwidth, in dBm referred to the receiver's input.

    k T0 is -174 dBm/Hz. F is the IEEE's noise factor: noise at the output over the part of it that the source, a
    resistor at T0 = 290 K, is to blame for. Friis, Noise Figures of Radio Receivers, Proc. IRE 32(7), 1944.
    """
    return to_db(BOLTZMANN_J_PER_K * STANDARD_K * bandwidth_hz / 1e-3) + noise_figure_db
