"""What a receiver heard in one stretch of time, and what it was meant to hear: all that an estimate is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from radio.interface import RadioConfig, Samples


@dataclass(frozen=True, kw_only=True)
class SentBurst:
    """A burst of a device as it was meant to arrive, by what was known of its clock.

    start: sample of the capture at which its first sample arrives, to a fraction. departure: index of the device's own
    clock at which it leaves. label: its waveform by name.
    tx_gain_db: of the transmitter while it left. level: amplitude, in full scales, of a resource element of power 1,
    or of the waveform's unit.
    """

    device: int
    start: float
    num_samples: int
    label: str
    departure: int = 0
    tx_gain_db: float = 0.0
    level: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Capture:
    """samples: (num_samples,) complex64 from `start_index` of the receiver's clock. step: what it was made for.
    receiver: settings while it lasted. facts: what else belongs to it, as JSON can hold it."""

    step: str
    samples: Samples
    start_index: int
    receiver: RadioConfig
    sent: tuple[SentBurst, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
