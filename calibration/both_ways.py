"""What captures tell of both ways of a path: each device's probe at the receiver, and the receiver's at the device."""

from collections.abc import Mapping
from typing import Any

from calibration.analysis import CORRECTED, heard_estimates, ofdm_of
from calibration.mean_response import MeanResponse, mean_response
from calibration.profile import Entry, estimate, interval
from calibration.reciprocity import ReciprocityEstimate, estimate_reciprocity
from calibration.repeats import mean_responses
from calibration.turns import BACK
from radio.capture import Capture
from radio.decibel import to_db
from radio.ofdm import OfdmConfig

MOVED = 1e-3  # share of a response that is another one some seconds later


def of_both_ways(captures: Mapping[str, Capture], at_s: float) -> dict[int, dict[str, Any]]:
    """Entries by device. The ways are not measured at one time: nothing of a path that was seen to move, and bounds of
    one of whose responses there two differ, be it by the corrections that were between them."""
    steps = [step for step in captures if step.startswith(BACK)]
    if not steps or "alone" not in captures:
        return {}
    ofdm = ofdm_of(captures["alone"])
    there, later = mean_responses(captures, ofdm), _responses(captures.get("alone" + CORRECTED), ofdm)
    found = {}
    for step in steps:
        for device, back in _responses(captures[step], ofdm).items():
            if device not in there:
                continue
            change = (
                _compared(there[device], later[device], ofdm).error_interval[0] if device in later else 0.0
            )
            if change > MOVED:
                continue
            seen = _compared(there[device], back, ofdm)
            found[device] = {
                "reciprocity_error_db": _level(seen, change > 0.0, at_s),
                "reciprocity_gain_db": estimate(seen.gain_db, seen.gain_std_db, at_s, "hardware"),
            }
    return found


def _responses(capture: Capture | None, ofdm: OfdmConfig) -> dict[int, MeanResponse]:
    """Of the probes that were heard, by device."""
    if capture is None:
        return {}
    return {sent.device: mean_response([burst], ofdm) for sent, _, burst in heard_estimates(capture)}


def _compared(one: MeanResponse, other: MeanResponse, ofdm: OfdmConfig) -> ReciprocityEstimate:
    rank = min(one.rank, other.rank)
    return estimate_reciprocity(
        one.response, one.error_variance, other.response, other.error_variance, rank, ofdm
    )


def _level(seen: ReciprocityEstimate, changed: bool, at_s: float) -> Entry:
    """In dB, or a bound where noise, or what changed meanwhile, may be all that differs."""
    low, high = seen.error_interval
    if low > 0.0 and not changed:
        return interval(to_db(seen.error), to_db(low), to_db(high), at_s, "path")
    return interval(to_db(high), to_db(high), to_db(high), at_s, "path", "upper")
