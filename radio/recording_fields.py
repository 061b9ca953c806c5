"""What airmeta's SigMF recordings say: structs to fields of the metadata and back. `docs/recordings.md` lists them.

Fields that SigMF has no name for are in the namespace `airmeta:`, which other tools may ignore.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from radio.capture import Capture, SentBurst
from radio.interface import RadioConfig, RadioStatus, Samples

NAMESPACE = {"name": "airmeta", "version": "1.0.0", "optional": True}
KIND, FACTS, COMPLETE = "airmeta:kind", "airmeta:facts", "airmeta:complete"
STEP, START_INDEX, NUM_SAMPLES = "airmeta:step", "airmeta:start_index", "airmeta:num_samples"
RECEIVER, SENT = "airmeta:receiver", "airmeta:sent"
SAMPLE_RATE, SHA512, SAMPLE_START = "core:sample_rate", "core:sha512", "core:sample_start"

Fields = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class About:
    """A recording as a whole. kind: what it records, which says who can replay it. hardware: the receiver, in words.
    facts: JSON values that hold for all captures."""

    kind: str
    description: str
    hardware: str
    recorder: str = "airmeta"
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A part of what was received. start_index: on the receiver's clock. label: at most 20 characters, for a display.
    band_hz: its edges over the carrier; None: the whole sampled bandwidth."""

    start_index: int
    num_samples: int
    label: str
    comment: str = ""
    band_hz: tuple[float, float] | None = None


def describe(status: RadioStatus) -> str:
    """A radio in words, for `About.hardware`."""
    return f"firmware {status.firmware}, serial {status.serial}"


def about_fields(about: About) -> Fields:
    """Of the metadata's global object."""
    return {
        "core:description": about.description,
        "core:hw": about.hardware,
        "core:recorder": about.recorder,
        "core:extensions": [NAMESPACE],
        KIND: about.kind,
        FACTS: about.facts,
    }


def read_about(fields: Fields) -> About:
    """Inverse of `about_fields`. KeyError."""
    return About(
        kind=fields[KIND],
        description=fields["core:description"],
        hardware=fields["core:hw"],
        recorder=fields["core:recorder"],
        facts=fields[FACTS],
    )


def capture_fields(capture: Capture) -> Fields:
    """Of a capture segment, but for where it lies in the file."""
    began_s = capture.unix_s - len(capture.samples) / capture.config.sample_rate_hz
    index = capture.start_index
    return {
        "core:frequency": capture.config.center_hz,
        "core:datetime": datetime.fromtimestamp(began_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        START_INDEX: index,
        NUM_SAMPLES: len(capture.samples),
        STEP: capture.step,
        RECEIVER: dataclasses.asdict(capture.config),
        SENT: [dataclasses.asdict(burst) for burst in capture.sent],
        FACTS: capture.facts,
    } | ({"core:global_index": index} if index >= 0 else {})  # a clock may read less than 0, SigMF's may not


def read_capture(fields: Fields, samples: Samples) -> Capture:
    """Inverse of `capture_fields`. KeyError, TypeError, ValueError."""
    config = RadioConfig(**fields[RECEIVER])
    bursts = [burst | {"band_hz": burst["band_hz"] and tuple(burst["band_hz"])} for burst in fields[SENT]]
    began = datetime.strptime(fields["core:datetime"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return Capture(
        samples=samples,
        start_index=int(fields[START_INDEX]),
        config=config,
        step=fields[STEP],
        sent=tuple(SentBurst(**burst) for burst in bursts),
        facts=fields[FACTS],
        unix_s=began.timestamp() + len(samples) / config.sample_rate_hz,
    )


def device_annotation(burst: SentBurst) -> Annotation:
    """What a device was to send, as a part of what was received."""
    return Annotation(
        start_index=burst.start_index,
        num_samples=burst.num_samples,
        label=f"device {burst.device} {burst.label}"[:20],
        comment=f"device {burst.device} sends {burst.label}: level {burst.level:.6g} of full scale, "
        f"tx_gain_db {burst.tx_gain_db:g}",
        band_hz=burst.band_hz,
    )


def annotation_fields(annotation: Annotation, capture: Capture, sample_start: int) -> Fields | None:
    """Of that part of an annotation that lies in a capture, which begins at `sample_start` of the file; None if none
    does."""
    first = max(annotation.start_index, capture.start_index)
    last = min(annotation.start_index + annotation.num_samples, capture.end_index)
    if first >= last:
        return None
    half_hz = capture.config.sample_rate_hz / 2.0
    low_hz, high_hz = annotation.band_hz or (-half_hz, half_hz)
    fields: Fields = {
        SAMPLE_START: sample_start + first - capture.start_index,
        "core:sample_count": last - first,
        "core:freq_lower_edge": capture.config.center_hz + low_hz,
        "core:freq_upper_edge": capture.config.center_hz + high_hz,
        "core:label": annotation.label,
        "core:generator": "airmeta",
    }
    return fields | ({"core:comment": annotation.comment} if annotation.comment else {})
