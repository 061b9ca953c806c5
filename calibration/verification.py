"""Corrections of a bench in the course of its calibration: of mixers first, through which amplifiers are seen."""

from collections.abc import Mapping
from typing import Any

from calibration.bench import Bench
from calibration.corrections import corrections_of
from calibration.findings import find_out, found_first, with_corrected
from calibration.profile import Profile
from radio.capture import Capture
from radio.hardware_correction import TransmitCorrection

MIXERS = ("silence", "alone", "aside")  # steps that tell of them


class Verification:
    """Of one bench."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._first: Profile | None = None

    def correct_mixers(self, captures: Mapping[str, Capture]) -> None:
        """By the steps so far."""
        profile = find_out({step: captures[step] for step in MIXERS if step in captures})
        receiver, transmitters = corrections_of(profile)
        mixers = {
            device: TransmitCorrection(image=each.image, leakage=each.leakage)
            for device, each in transmitters.items()
        }
        self._bench.correct(receiver, mixers)

    def correct(self, captures: Mapping[str, Capture]) -> dict[str, Any]:
        """All that is known by the steps so far, which are all but those through corrections. As `Bench.correct`."""
        self._first = found_first(captures)
        return self._bench.correct(*corrections_of(self._first))

    def profile(self, captures: Mapping[str, Capture]) -> Profile:
        """What `find_out` makes of all captures, without beginning again."""
        return find_out(captures) if self._first is None else with_corrected(self._first, captures)
