"""What a receiver heard in one go, and what was sent to it meanwhile: the unit of recordings and of measurements."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from radio.interface import RadioConfig, Samples


@dataclass(frozen=True, kw_only=True)
class SentBurst:
    """A device's burst, as its receiver expects it.

    start_index: where its first sample is to arrive, on the receiver's clock. label: which burst, in a word.
    tx_gain_db: of the device's radio; level: amplitude of a resource element of power 1, or of a tone, full scale is 1.
    band_hz: its edges over the carrier; None: the whole sampled bandwidth.
    """

    device: int
    start_index: int
    num_samples: int
    label: str
    tx_gain_db: float = 0.0
    level: float = 1.0
    band_hz: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Capture:
    """Samples without a hole.

    start_index: of the first, on the receiver's own clock. config: the receiver's. step: what the capture was made for.
    sent: what reaches into it, whether it was heard or not. facts: JSON values that whoever evaluates the capture
    needs. unix_s: host's clock when the samples were handed over, now by default.
    """

    samples: Samples
    start_index: int
    config: RadioConfig
    step: str
    sent: tuple[SentBurst, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    unix_s: float = field(default_factory=time.time)

    @property
    def end_index(self) -> int:
        """Of the receiver's clock, behind the last sample."""
        return self.start_index + len(self.samples)
