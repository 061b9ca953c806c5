"""What a recorded round has to know to be decoded again, and what its receiver found live; to JSON and back.

What was found is kept as numbers where a person looks at them, and as a digest where only bits matter.
"""

import base64
import dataclasses
import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from radio.channel_state import ChannelState
from radio.correction import Correction
from radio.schedule import Schedule
from radio.scheme_options import SchemeOptions
from radio.sounding import AcquisitionSlot, SoundingSlot
from radio.uplink import Plan, Reception, Sounding

KIND = "round"
FORMAT = 1  # of the facts
ACQUISITION, SOUNDING, PAYLOAD = "acquisition", "sounding", "payload"  # steps of a round
Found = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """origin: receiver's index at which the clock of the slot or plan reads 0. found: what came of it, empty where
    nothing did; failed: why."""

    origin: int
    found: Found = field(default_factory=dict)
    failed: str = ""


@dataclass(frozen=True, kw_only=True)
class AcquisitionFacts(Step):
    """Devices in their turns."""

    slot: AcquisitionSlot


@dataclass(frozen=True, kw_only=True)
class SoundingFacts(Step):
    """sounded: devices that were to be heard."""

    slot: SoundingSlot
    sounded: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PayloadFacts(Step):
    """plan: as the devices knew it; transmitters: those that sent; mean_powers: what was known of each channel for
    decoding, beside its gains."""

    plan: Plan
    transmitters: tuple[int, ...]
    mean_powers: dict[int, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class RoundFacts:
    """estimate: digest of what was decoded, empty if nothing was. failed: why the round did. versions: of the software
    that decoded it. radios: the receiver, then the transmitters of this process; hosts: device processes by name, with
    theirs."""

    round: int
    backend: str
    scheme: str
    scheme_options: SchemeOptions
    schedule: Schedule
    backoff_db: float
    center_hz: float
    acquisition: AcquisitionFacts | None = None
    sounding: SoundingFacts | None = None
    payload: PayloadFacts | None = None
    estimate: Found = field(default_factory=dict)
    failed: str = ""
    versions: dict[str, str | None] = field(default_factory=dict)
    radios: tuple[dict[str, Any], ...] = ()
    hosts: dict[str, Any] = field(default_factory=dict)


def to_json(facts: RoundFacts) -> dict[str, Any]:
    """As JSON values; floats and arrays keep their bits."""
    return {"format": FORMAT} | msgspec.to_builtins(facts, str_keys=True, enc_hook=_lift)


def from_json(values: Any) -> RoundFacts:
    """Inverse of `to_json`. ValueError."""
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise ValueError(f"its facts have format {found}, this version reads {FORMAT}")
    return msgspec.convert(values, RoundFacts, str_keys=True, dec_hook=_lower)


def found_turns(corrections: dict[int, Correction]) -> Found:
    """Of an acquisition: what each device that was heard has to undo."""
    return {"device": {str(device): {"correction": _fields(each)} for device, each in corrections.items()}}


def found_sounding(sounding: Sounding) -> Found:
    """noise variance, and by device the gains, how far they err and what the device has to undo."""
    devices = {
        str(device): {
            "gains": digest(channel.gains),
            "error_variance": _number(sounding.error_variances[device]),
            "gain_error": _number(sounding.gain_errors.get(device, math.nan)),
            "correction": _fields(channel.correction),
        }
        for device, channel in sounding.channels.items()
    }
    return {
        "noise_variance": _number(sounding.noise_variance),
        "measured_at_s": _number(sounding.measured_at_s),
        "end_index": sounding.end_index,
        "device": devices,
    }


def found_reception(reception: Reception, start_index: int) -> Found:
    """start_index: of the frame, on the receiver's clock."""
    residuals = {str(d): [_number(a), _number(b)] for d, (a, b) in reception.phase_residuals.items()}
    return {
        "sync_quality": _number(reception.quality),
        "start_index": start_index,
        "noise_variance": _number(reception.noise_variance),
        "common_phase_rad": [_number(phase) for phase in reception.common_phase_rad],
        "phase_residual_rad": {"device": residuals},
        "turns": digest(reception.turns),
        "amplitudes": digest(reception.amplitudes),
    }


def digest(values: NDArray[Any]) -> Found:
    """Norm, type and SHA-256 of the little-endian bytes."""
    content = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    norm = _number(float(np.linalg.norm(values)))
    return {"norm": norm, "dtype": values.dtype.name, "sha256": hashlib.sha256(content).hexdigest()}


def with_mean_powers(sounding: Sounding, mean_powers: dict[int, float]) -> dict[int, ChannelState]:
    """A sounding's channels, as the decoder was told of them."""
    return {
        device: dataclasses.replace(channel, mean_power=mean_powers.get(device, channel.mean_power))
        for device, channel in sounding.channels.items()
    }


def _fields(correction: Correction) -> Found:
    return {name: _number(value) for name, value in dataclasses.asdict(correction).items()}


def _number(value: float) -> float | str:
    """JSON has no infinity."""
    return value if math.isfinite(value) else str(value)


def _lift(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        content = base64.b64encode(little.tobytes()).decode("ascii")
        return {"dtype": little.dtype.str, "shape": list(value.shape), "base64": content}
    if isinstance(value, np.integer | np.floating):
        return value.item()
    raise NotImplementedError(f"a {type(value).__name__} cannot be recorded")


def _lower(_wanted: Any, value: Any) -> NDArray[Any]:
    try:
        flat = np.frombuffer(base64.b64decode(value["base64"]), np.dtype(value["dtype"]))
        return flat.reshape(value["shape"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"no array: {error}") from error
