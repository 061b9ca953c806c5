"""What `airmeta calibrate` does: which arm, which folder, what is refused beforehand, what is kept of it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from calibration.procedure import Extent
from calibration.profile import Profile, ProfileError, read_profile
from server.config import ON_AIR, Arm, ConfigError, Experiment
from server.config_file import load_arms

PLACE = Path("runs")
SPAN_S, LONG_S = 2.0, 30.0  # of the soundings that the phase is followed over


class Earlier(NamedTuple):
    """A profile to compare with, and what it is called."""

    name: str
    profile: Profile


def experiment_to_calibrate(path: Path, overrides: Sequence[str]) -> Experiment:
    """Of a file: its first arm that is on the air, without the profile that it may name: radios are measured as they
    are. ConfigError where there is none, or the air cannot be sent into."""
    arms = load_arms(path, overrides)
    chosen = next((arm for arm in arms if arm.experiment.link.backend in ON_AIR), None)
    if chosen is None:
        found = ", ".join(sorted({arm.experiment.link.backend for arm in arms}))
        raise ConfigError(
            f"{path}: link.backend is {found}, which has no radios; calibrate with {' or '.join(ON_AIR)}"
        )
    _check(chosen)
    return replace(chosen.experiment, radio=replace(chosen.experiment.radio, profile=""))


def calibration_folder(folder: Path | None) -> Path:
    """Made by whoever writes into it. ConfigError if it holds something already."""
    if folder is None:
        return PLACE / datetime.now().strftime("calibration-%Y%m%d-%H%M%S")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ConfigError(f"--out {folder} is taken; give another folder, or an empty one")
    return folder


def earlier_profile(experiment: Experiment, given: Path | None) -> Earlier | None:
    """What a calibration is to be compared with: the one given, or that which its air is made from. ConfigError."""
    if given is not None:
        try:
            return Earlier(str(given), read_profile(given))
        except ProfileError as error:
            raise ConfigError(f"--compare {error}") from error
    if experiment.air.measured is not None:
        with suppress(ProfileError):  # an air that was written by hand
            return Earlier(experiment.air.measured, read_profile(Path(experiment.air.measured)))
    return None


def extent_of(long: bool, busy: bool, both_ways: bool) -> Extent:
    """How much is measured."""
    return Extent(span_s=LONG_S if long else SPAN_S, ignore_busy=busy, both_ways=both_ways)


def _check(arm: Arm) -> None:
    if arm.experiment.radio.trigger == "external":
        raise ConfigError(
            'radio.trigger = "external": radios that wait for an edge cannot be met; '
            "calibrate with --set radio.trigger=none"
        )
