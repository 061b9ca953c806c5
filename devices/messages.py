"""What server and devices say to each other: typed requests and replies, one of each a step of a round.

Arrays are float32 or complex; settings are those parts of a configuration that devices need.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.interface import Burst
from radio.ofdm import OfdmConfig
from radio.scheme_options import SchemeOptions
from radio.uplink import Plan, Slot

GradientMode = Literal["exact", "hessian-free", "first-order"]
MemoryKind = Literal["long", "short", "none"]
Count = Annotated[int, Meta(ge=1)]
Rate = Annotated[float, Meta(gt=0.0, le=100.0)]


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """The `task` table. `path`, `test_path`: files or folders of a data set that lies on disk."""

    name: str = "glyphs"
    path: tuple[str, ...] = ()
    test_path: tuple[str, ...] = ()
    ways: Annotated[int, Meta(ge=2)] = 5
    shots: Count = 5
    queries: Count = 5


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The `model` table. `width`: filters of a convolution, or units of a hidden layer."""

    name: str = "conv4"
    width: Count = 64


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """The `learning` table: nu inner steps at rate alpha, Q local steps at rate eta, B tasks a step."""

    inner_steps: Count = 1
    inner_rate: Rate = 0.4
    outer_rate: Rate = 0.3
    local_steps: Count = 1
    tasks_per_step: Count = 1
    gradient: GradientMode = "exact"
    schedule: Literal["constant", "adaptive"] = "constant"
    test_steps: Count = 3


@dataclass(frozen=True, kw_only=True)
class DeviceSettings:
    """All that a device has to know of an experiment before its first round.

    classes_per_device, held_out and devices say how characters are dealt. waveform: numerology and level
    (amplitude of a resource element of power 1) where the device makes samples, None where amplitudes travel.
    """

    seed: int
    task: TaskSettings
    model: ModelSettings
    learning: LearningSettings
    scheme: str
    scheme_options: SchemeOptions = field(default_factory=SchemeOptions)
    memory: MemoryKind
    devices: int
    held_out: int
    classes_per_device: int
    waveform: tuple[OfdmConfig, float] | None = None


@dataclass(frozen=True)
class Initialise:
    """Hand over the model's initial parameters, which the experiment's seed fixes; any device gives the same."""


@dataclass(frozen=True, eq=False)
class Initial:
    """theta: (num_parameters,)."""

    theta: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Train:
    """Compute this round's update from the server's parameters."""

    round: int
    theta: NDArray[np.float32]
    inner_rate: float
    outer_rate: float


@dataclass(frozen=True, eq=False)
class Trained:
    """The update (memory + change) is ready: its squared norm, and itself for judging the round. kept: the memory after
    the round if nothing of it is delivered, None for the update itself."""

    update_norm2: float
    update: NDArray[np.floating] | None = None
    kept: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Sound:
    """Send your preamble or your pilots in the slot."""

    slot: Slot


@dataclass(frozen=True, eq=False)
class Prepare:
    """Here is your channel; how much power does your payload need at scale 1?"""

    draft: Plan
    channel: ChannelState


@dataclass(frozen=True)
class Prepared:
    """Mean power of a resource element at scale 1, and the payload's highest |I| or |Q| at that scale, where full
    scale, or what pilots leave of it, is 1 (0 where no waveform is involved). sent_norm2: squared norm of what the
    payload would stand for."""

    power: float
    peak: float = 0.0
    sent_norm2: float = 0.0


@dataclass(frozen=True, eq=False)
class Transmit:
    """Send the payload as planned. `disclose`: also hand over what only an experimenter looks at."""

    plan: Plan
    disclose: bool = True


@dataclass(frozen=True, eq=False)
class Sent:
    """What was put on the air (bursts, or amplitudes at index 0 where no waveform is involved, or nothing where the
    device has a radio), and for judging the round: amplitudes, and what they stand for. places: rising, of the entries
    of `sent`, the others 0; None where it is whole. left: the memory after the round if that is delivered, None for the
    update without what was sent. bits: packed eight to a byte, of a scheme that is not on the air."""

    emitted: tuple[Burst, ...]
    amplitudes: NDArray[np.complexfloating] | None = None
    sent: NDArray[np.floating] | None = None
    left: NDArray[np.float32] | None = None
    bits: NDArray[np.uint8] | None = None
    num_bits: int = 0
    places: NDArray[np.int32] | None = None


@dataclass(frozen=True)
class Acknowledge:
    """The round is over; `delivered`: whether the server used what this device sent."""

    round: int
    delivered: bool


@dataclass(frozen=True, eq=False)
class Probe:
    """Gradient of the meta-training loss at theta, on a fixed set of `num_tasks` of this device's tasks."""

    theta: NDArray[np.float32]
    inner_rate: float
    num_tasks: int


@dataclass(frozen=True, eq=False)
class Probed:
    """Mean meta-gradient over the probe's tasks and their mean loss after adaptation."""

    gradient: NDArray[np.float32]
    loss: float


@dataclass(frozen=True, eq=False)
class Evaluate:
    """Fine-tune on these test tasks (numbers of a fixed sequence) and report."""

    theta: NDArray[np.float32]
    tasks: tuple[int, ...]
    inner_rate: float


@dataclass(frozen=True)
class Scores:
    """One entry a task, in the order asked for; loss and accuracy on queries, before and after adaptation."""

    loss_before: tuple[float, ...]
    loss_after: tuple[float, ...]
    accuracy_before: tuple[float, ...]
    accuracy_after: tuple[float, ...]


@dataclass(frozen=True)
class Save:
    """Hand over what must survive a restart."""


@dataclass(frozen=True, eq=False)
class Memory:
    """The error-feedback memory: the reply to Save, and the request that restores it."""

    values: NDArray[np.float32]


@dataclass(frozen=True)
class Done:
    """Nothing to report."""


@dataclass(frozen=True)
class Failed:
    """The device could not do what was asked, and why."""

    reason: str


Request = Initialise | Train | Sound | Prepare | Transmit | Acknowledge | Probe | Evaluate | Save | Memory
Reply = Initial | Trained | Prepared | Sent | Done | Probed | Scores | Memory | Failed
