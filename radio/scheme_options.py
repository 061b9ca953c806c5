"""What of a configuration belongs to a scheme itself, the same on every device and on the server."""

from dataclasses import dataclass

from radio.uplink import Support


@dataclass(frozen=True, kw_only=True)
class SchemeOptions:
    """keep: k/d; support: whose entries travel; value_bits: of a value, where values travel as bits."""

    keep: float = 0.04
    support: Support = "own"
    value_bits: int = 8
