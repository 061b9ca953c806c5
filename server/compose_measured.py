"""Composition root of measured airs: from the file that air.profile names to what a simulation is made from."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec

from calibration.profile import read_profile
from calibration.remake import measured_air
from radio.decibel import to_db
from radio.measured_air import MeasuredAir
from radio.pluto_link import RX_FULL_SCALE
from server.config import ConfigError, Experiment
from server.measured_checks import check_measured, fleet_of

VERSION = 1
REMEDY = "calibrate again, or name another file"


def with_measured_air(experiment: Experiment) -> Experiment:
    """An experiment with the file of its air read and checked, of as many devices as its fleet has; one whose air is
    drawn as it is. ConfigError."""
    if experiment.air.measured is None:
        return experiment
    over_plutos = experiment.link.backend == "pluto"
    measured = fleet_of(experiment, load_measured_air(Path(experiment.air.measured), over_plutos))
    known = dataclasses.replace(experiment, measured=measured)
    check_measured(known, measured)
    return known


def load_measured_air(path: Path, over_plutos: bool = False) -> MeasuredAir:
    """Of a calibration's profile, or of a file that `dump_measured_air` wrote. ConfigError, in one line that names it.

    over_plutos: whether the hardware's nominal gains come on top of those given.
    """
    try:
        held = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f'air.profile = "{path}": {error.strerror}; name the file of a calibration'
        ) from error
    except ValueError as error:
        raise ConfigError(f'air.profile = "{path}": not JSON: {error}; {REMEDY}') from error
    if isinstance(held, dict) and "numerology" in held:
        return _air_of_profile(path, over_plutos)
    version = held.pop("version", None) if isinstance(held, dict) else None
    if version != VERSION:
        raise ConfigError(
            f'air.profile = "{path}": version {version!r}, this program reads {VERSION}; {REMEDY}'
        )
    try:
        return msgspec.convert(held, MeasuredAir, dec_hook=_complex_from)
    except msgspec.ValidationError as error:
        raise ConfigError(f'air.profile = "{path}": {str(error).replace("`", "")}; {REMEDY}') from error


def _air_of_profile(path: Path, over_plutos: bool) -> MeasuredAir:
    try:
        profile = read_profile(path)
        if not over_plutos:  # one full scale for all, which is what was measured
            return measured_air(profile, lambda gain_db: 0.0, lambda gain_db: 0.0)
        from sim_backend.levels import ADC_FULL_SCALE, adc_amplitude
        from sim_backend.pluto_passband import passband

        scale = ADC_FULL_SCALE / RX_FULL_SCALE
        rate_hz = profile.numerology.sample_rate_hz
        return measured_air(
            profile,
            lambda gain_db: gain_db,
            lambda gain_db: 2.0 * to_db(scale * adc_amplitude(gain_db)),
            2.0 / 12.0 / RX_FULL_SCALE**2,
            lambda freqs_hz: passband(freqs_hz, rate_hz),
        )
    except (
        ValueError,
        ImportError,
    ) as error:  # virtual Plutos are driven by pyadi-iio, which knows their filters
        raise ConfigError(f'air.profile = "{path}": {error}') from error


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
