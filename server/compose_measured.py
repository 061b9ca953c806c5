"""Composition root of measured airs: from the file that air.profile names to what a simulation is made from."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec

from radio.measured_air import MeasuredAir
from server.config import ConfigError, Experiment
from server.measured_checks import check_measured, fleet_of

VERSION = 1
REMEDY = "calibrate again, or name another file"


def with_measured_air(experiment: Experiment) -> Experiment:
    """An experiment with the file of its air read and checked, of as many devices as its fleet has; one whose air is
    drawn as it is. ConfigError."""
    if experiment.air.measured is None:
        return experiment
    measured = fleet_of(experiment, load_measured_air(Path(experiment.air.measured)))
    known = dataclasses.replace(experiment, measured=measured)
    check_measured(known, measured)
    return known


def load_measured_air(path: Path) -> MeasuredAir:
    """Of a file that `dump_measured_air` wrote. ConfigError, in one line that names the file."""
    try:
        held = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f'air.profile = "{path}": {error.strerror}; name the file of a calibration'
        ) from error
    except ValueError as error:
        raise ConfigError(f'air.profile = "{path}": not JSON: {error}; {REMEDY}') from error
    version = held.pop("version", None) if isinstance(held, dict) else None
    if version != VERSION:
        raise ConfigError(
            f'air.profile = "{path}": version {version!r}, this program reads {VERSION}; {REMEDY}'
        )
    try:
        return msgspec.convert(held, MeasuredAir, dec_hook=_complex_from)
    except msgspec.ValidationError as error:
        raise ConfigError(f'air.profile = "{path}": {str(error).replace("`", "")}; {REMEDY}') from error


def dump_measured_air(air: MeasuredAir) -> bytes:
    """Inverse of `load_measured_air`: JSON with complex numbers as [re, im]."""
    return msgspec.json.encode({"version": VERSION, **msgspec.to_builtins(air, enc_hook=_parts_of)})


def _parts_of(value: Any) -> list[float]:
    if isinstance(value, complex):
        return [value.real, value.imag]
    raise NotImplementedError(f"{type(value).__name__} has no form in JSON")


def _complex_from(kind: type, value: Any) -> complex:
    parts = value if isinstance(value, list) else [value, 0.0]
    if kind is complex and len(parts) == 2 and all(isinstance(part, (int, float)) for part in parts):
        return complex(*parts)
    raise ValueError(f"expected a complex number as [re, im], got {value!r}")
