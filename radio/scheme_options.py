"""What of a configuration belongs to a scheme itself, the same on every device and on the server."""

from dataclasses import dataclass

from radio.uplink import Support


@dataclass(frozen=True, kw_only=True)
class SchemeOptions:
    """keep: k/d; support: whose entries travel; value_bits: of a value, where values travel as bits;
    chips: pairs of elements a value, where energies are compared; abstain: times the rms of an update, the magnitude up
    to which a device does not vote."""

    keep: float = 0.04
    support: Support = "own"
    value_bits: int = 8
    chips: int = 1
    abstain: float = 0.0
