"""A recorded calibration, worked out again from what was received."""

import hashlib
from typing import Any

import msgspec
import numpy as np

from calibration.findings import find_out
from calibration.profile import Profile
from radio.recording import Recording, RecordingError
from server.replay import DECIDING, Replayed, compare, differing_versions

KIND = "calibration"
PROFILE, VERSIONS = "profile", "versions"  # of the recording's facts


def facts_of(profile: Profile, versions: dict[str, str | None]) -> dict[str, Any]:
    """What a recording has to hold for a replay to be compared with."""
    return {PROFILE: summary(profile), VERSIONS: {name: versions.get(name) for name in (*DECIDING, "python")}}


def summary(profile: Profile) -> dict[str, Any]:
    """A profile as nested mappings; long rows of numbers by norm and checksum."""
    held = msgspec.json.decode(msgspec.json.encode(profile))  # as a recording's facts are read back
    devices = {f"device {each['device']}": _shortened(each) for each in held["devices"]}
    return {"receiver": _known(held["receiver"]), **devices}


def replay_calibration(recording: Recording) -> Replayed:
    """RecordingError for a recording that was cut off before its profile was known."""
    facts = recording.about.facts
    if PROFILE not in facts:
        raise RecordingError(
            f"{recording.path} ends before its calibration was worked out, so there is nothing to compare with; "
            "calibrate again"
        )
    profile = find_out({capture.step: capture for capture in recording.captures})
    rows = compare("", facts[PROFILE], summary(profile))
    title = f"calibration of {len(profile.devices)} devices, {len(recording.captures)} captures"
    return Replayed(
        title, [row._replace(name=row.name.strip()) for row in rows], differing_versions(facts[VERSIONS])
    )


def _shortened(device: dict[str, Any]) -> dict[str, Any]:
    device = _known(device)
    response = device.get("response")
    if response is None:
        return device
    values = np.array([response["re"], response["im"]])
    digest = {
        "norm": float(np.linalg.norm(values)),
        "sha256": hashlib.sha256(values.astype("<f8").tobytes()).hexdigest(),
    }
    return device | {"response": digest}


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
