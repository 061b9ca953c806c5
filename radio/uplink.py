"""The second waist: amplitudes of resource elements. Above it nothing knows how they travelled.

Power 1 is the nominal power of a resource element, on every uplink.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.interface import Burst, Samples
from radio.sounding import AcquisitionSlot, MeetingSlot, SoundingSlot

Estimator = Literal["oamp", "iht", "adjoint"]
Normalise = Literal["devices", "transmitters"]
Support = Literal["own", "shared-random", "shared-vote"]


class SyncError(RuntimeError):
    """A burst was not found where it had to be."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What a round's payload is; decided by the server, broadcast before anyone encodes.

    `scale` multiplies amplitudes (sqrt(rho)/eta in Air-meta-pFL); a draft plan has scale 1 and tells devices what
    to measure the power of. `mean_gain` is E|h| of the channel's model. `threshold`: |h|^2 below which a device that
    inverts its channel leaves an element empty; `normalise`: whether the sum on an element is divided by the number of
    devices, or of those that used it. `aim`: what a scheme that controls power by the channel wants to arrive of a
    value of 1, before `scale`; 0 in a draft that asks for the energy of the values. `vote_step`: by how much the
    parameters follow a vote, where devices vote. `support`: (num_kept,) rising, the entries that travel where devices
    share them. `start_index`: when the frame is to arrive, in samples of the receiver's nominal clock.
    """

    round: int
    seed: int
    devices: tuple[int, ...]
    dimension: int
    num_elements: int
    num_kept: int
    estimator: Estimator = "oamp"
    scale: float = 1.0
    mean_gain: float = 1.0
    threshold: float = 0.0
    normalise: Normalise = "devices"
    aim: float = 0.0
    vote_step: float = 1.0
    support: NDArray[np.int32] | None = None
    start_index: int = 0


@dataclass(frozen=True, eq=False)
class Sounding:
    """Outcome of a sounding slot: channels per device, and how far each estimate can be trusted.

    error_variances: mean squared error expected of each device's gains, 0 where the truth was given, infinite where
    they are not to be trusted. gain_errors: the same as far as noise makes it, where the two differ: whether a device
    is heard, though nothing may be known of its phase.
    measured_at_s: instant at which the gains hold; end_index: end of the slot; both on the receiver's nominal clock.
    """

    channels: dict[int, ChannelState]
    noise_variance: float
    error_variances: dict[int, float]
    gain_errors: Mapping[int, float] = field(default_factory=dict)
    measured_at_s: float = 0.0
    end_index: int = 0
    overhead_elements: int = 0
    airtime_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Reception:
    """The superposed payload. amplitudes: (num_elements,) complex; noise_variance: E|n|^2 of each.

    quality: in [0, 1], normalised correlation with the frame's preamble; 1 where no waveform is involved.
    common_phase_rad: at the frame's header and tail, of all devices together. phase_residuals: what each device differs
        from it there, in rad. turns: (num_symbols,) unit factors of the common phase, which is removed. Empty where no
        waveform is involved.
    delayed_samples: how much later than planned the payload began, where that is not the plan's to say.
    channels: what the devices were told before they sent, which the server adds; nothing that the payload revealed.
    bits: what arrived of each device by a scheme that is not on the air; charges: resource elements that each is
        charged for it.
    samples: the received frame from `start_index` of the receiver's clock, where a waveform is involved; kept for
        figures and for judging.
    """

    amplitudes: NDArray[np.complexfloating]
    noise_variance: float
    quality: float = 1.0
    overhead_elements: int = 0
    airtime_s: float = 0.0
    common_phase_rad: tuple[float, ...] = ()
    phase_residuals: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    turns: NDArray[np.complex64] = field(default_factory=lambda: np.zeros(0, np.complex64))
    delayed_samples: int = 0
    channels: Mapping[int, ChannelState] = field(default_factory=dict)
    bits: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    charges: Mapping[int, float] = field(default_factory=dict)
    samples: Samples = field(default_factory=lambda: np.zeros(0, np.complex64))
    start_index: int = 0


class Scheme(Protocol):
    """A pair of pure functions between a real update and the amplitudes of resource elements."""

    def num_elements(self, dimension: int, measurements: float) -> int:
        """Resource elements of a payload, given d and `update.measurements`."""
        ...

    def encode(
        self, update: NDArray[np.floating], channel: ChannelState, plan: Plan
    ) -> tuple[NDArray[np.complexfloating], NDArray[np.floating]]:
        """(amplitudes, sent): what to transmit, and what of `update` that stands for, in parameter space."""
        ...

    def decode(self, reception: Reception, plan: Plan) -> NDArray[np.floating]:
        """Estimate of the mean of `sent` over plan.devices."""
        ...


Slot = MeetingSlot | AcquisitionSlot | SoundingSlot
Emissions = Mapping[int, tuple[Burst, ...]]


class Uplink(Protocol):
    """Carries payloads from devices to the server. Emissions are what each device put on the air: amplitudes at
    index 0 where no waveform is involved, bursts where the air lives in this process, nothing where radios are real."""

    def slot(self, round_index: int, devices: tuple[int, ...]) -> Slot:
        """The first slot of a round: when and in which order its devices sound."""
        ...

    def sound(self, slot: Slot, sent: Emissions) -> Slot | Sounding:
        """Hold a slot: its outcome, or the slot that has to follow. Raises SyncError."""
        ...

    def payload_index(self, sounding: Sounding) -> int:
        """When the payload is to arrive, asked when all else is planned: on live radios time has gone on."""
        ...

    def collect(self, plan: Plan, sent: Emissions) -> Reception:
        """Receive the superposition of what was sent. plan: as the devices know it; `sent` holds those of plan.devices
        that did transmit. Raises SyncError."""
        ...

    def save(self) -> dict[str, NDArray[Any]]:
        """What later rounds depend on, apart from the air: named arrays, none where rounds are independent."""
        ...

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Inverse of `save`, before the first round of a process, or to begin a round again. Where the instants of a
        round are functions of its index, they are yet to come from here on."""
        ...

    def close(self) -> None:
        """Silence and release whatever was opened."""
        ...


class Truth(Protocol):
    """What only a simulation knows; used to judge a round, never to run it."""

    def gains(self, plan: Plan, device: int) -> NDArray[np.complex128]:
        """(num_elements,) true gains of a device at payload time."""
        ...

    def disturbances(
        self,
        plan: Plan,
        unturned: Mapping[int, NDArray[np.complexfloating]],
        sounding: Sounding,
        reception: Reception,
    ) -> dict[str, float] | None:
        """Parts of the energy of what separates the received amplitudes from the perfect superposition, by cause;
        None where they cannot be told.

        unturned: what each device sent, before it compensated its phase; (num_elements,) each.
        """
        ...
