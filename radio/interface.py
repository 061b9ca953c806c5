"""The waist of the system: samples on a timeline.

Samples are complex64 and |I|, |Q| <= 1 is full scale; every index counts samples of that radio's own clock
within an epoch. A reconnect, a retune of the clock, an under- or overflow begins a new epoch.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.complex64]
EPOCH_LEN = 1 << 44
"""Indices an epoch: ten days at 20 Msamples/s. A float64 still tells them apart in epoch 500."""


class RadioError(RuntimeError):
    """A radio cannot do what was asked of it."""


class LateError(RadioError):
    """A burst was to start at an instant that has passed."""


class FullScaleError(RadioError):
    """Samples that a converter would clip."""


class OverrunError(RadioError):
    """Samples asked for are older than what the receive ring holds."""


class EpochError(RadioError):
    """An index belongs to an epoch that has ended."""


@dataclass(frozen=True, kw_only=True)
class RadioConfig:
    """What the hardware accepted, read back."""

    sample_rate_hz: float
    center_hz: float
    tx_gain_db: float = 0.0
    rx_gain_db: float = 0.0
    xo_correction_hz: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RadioStatus:
    """A radio's health; counts are since it was opened."""

    epoch: int
    serial: str
    firmware: str
    temperature_c: float | None = None
    underflows: int = 0
    overflows: int = 0


class Burst(NamedTuple):
    """Samples and the index of the transmitter's clock at which the first of them leaves."""

    samples: Samples
    start_index: int


class Radio(Protocol):
    """A front end."""

    @property
    def config(self) -> RadioConfig:
        """What the hardware accepted, read back."""
        ...

    def configure(self, **settings: float) -> RadioConfig:
        """Write settings, read them back, compare; may start a new epoch. RadioError if one did not take."""
        ...

    def status(self) -> RadioStatus:
        """Epoch, identity, temperature, under- and overflow counts."""
        ...

    def now(self) -> int:
        """Earliest index that can still be scheduled."""
        ...

    def transmit(self, samples: Samples, at: int) -> None:
        """First sample leaves at index `at`. Raises LateError, FullScaleError."""
        ...

    def receive(self, at: int, num_samples: int, deadline_s: float) -> Samples:
        """`num_samples` from index `at`, which may lie in the past as far as the ring reaches (at least 1 s).

        Blocks to the deadline. Raises TimeoutError, OverrunError; never returns samples with a hole.
        """
        ...

    def close(self) -> None:
        """Stop transmitting, whatever happened before."""
        ...


def peak_amplitude(samples: Samples) -> float:
    """Highest |I| or |Q|: what a converter sees."""
    return float(np.abs(samples.view(np.float32)).max(initial=0.0))


def check_full_scale(samples: Samples) -> None:
    """Refuse what a converter would clip: clipping is silent and ruins every other device's symbol."""
    peak = peak_amplitude(samples)
    if not peak <= 1.0:
        raise FullScaleError(f"samples exceed full scale: peak {peak:.2f} > 1.00; raise link.backoff_db")
