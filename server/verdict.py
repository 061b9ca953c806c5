"""Whether radios can aggregate in the air, how well, with which scheme, and what stands in the way."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from radio.decibel import to_db

GOOD_DB = -10.0  # error of the mean at which training is hardly slower than with an exact one
USABLE_DB = -3.0
ACCOUNTED = "digital"  # never on the air, so always without an error
Record = dict[str, Any]

CAUSES = {
    "timing": "arrival, and what a sounding misses of the channel, with nothing else in the way",
    "noise": "the receiver's noise, at equal powers",
    "power mismatch": "what unequal powers add to the noise",
    "phase": "phase noise",
    "frequency": "clocks that run apart, and what is left after they were measured",
    "channel ageing": "fading between sounding and payload",
    "mixers": "images, carrier leakage, DC",
    "amplifiers": "compression",
    "quantisation": "steps of the converters",
}


@dataclass(frozen=True, kw_only=True)
class Appraisal:
    """A scheme over some radios. nmse_db: of the mean of what was sent, None where none is estimated; nmse_full_db: of
    the mean of whole updates. failed: share of the rounds. uses_per_value: resource elements a value that arrived."""

    scheme: str
    support: str
    nmse_db: float | None
    nmse_full_db: float | None
    channel_uses: float
    uses_per_value: float | None
    failed: float


@dataclass(frozen=True)
class Hold:
    """After a sounding, until a coherent sum loses 0.1 dB through a device's phase: the least of all devices.
    is_bound: it is that at least."""

    device: int
    burst_s: float
    is_bound: bool

    def words(self, gap_s: float) -> str:
        """What that means where so much time lies between sounding and payload."""
        least = "at the earliest " if self.is_bound else ""
        seen = (
            f"a coherent sum loses 0.1 dB {least}{milliseconds(self.burst_s)} after its sounding (device "
            f"{self.device}), {milliseconds(gap_s)} lie between sounding and payload"
        )
        if gap_s <= self.burst_s:
            return f"phases hold: {seen}"
        if self.is_bound:
            return f"phases may hold: {seen}"
        return (
            f"phases hold for less than the gap: {seen}; shorten it (on Plutos radio.block_s and radio.lead_s), or "
            "share a reference"
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """predicted: on the air that the profile remakes. budget: of the recommended scheme, linear shares of its error
    that each cause makes alone. measured: the same scheme over the radios themselves, None if it could not be tried,
    and untried: why. corrected: predicted and measured with what the profile corrects. hold: for how long phases
    do, None if nobody knows."""

    predicted: tuple[Appraisal, ...]
    recommended: str
    why: str
    budget: dict[str, float]
    gap_s: float
    measured: Appraisal | None = None
    untried: str = ""
    corrected: tuple[Appraisal, Appraisal] | None = None
    hold: Hold | None = None


def appraise(scheme: str, support: str, records: Sequence[Record]) -> Appraisal:
    """Of the rounds of a trial."""
    done = [record for record in records if "failed" not in record]
    nmse, full = (_mean([record.get(key) for record in done]) for key in ("nmse", "nmse_full"))
    uses = _mean([record.get("channel_uses") for record in done]) or 0.0
    values = _mean([record.get("values") for record in done])
    return Appraisal(
        scheme=scheme,
        support=support,
        nmse_db=None if nmse is None else to_db(max(nmse, 1e-30)),
        nmse_full_db=None if full is None else to_db(max(full, 1e-30)),
        channel_uses=uses,
        uses_per_value=uses / values if values else None,
        failed=1.0 - len(done) / max(len(records), 1),
    )


def recommend(predicted: Sequence[Appraisal]) -> tuple[str, str]:
    """(scheme, why): of those that fail in no round the one with the least error of what was sent, a use a value."""
    rated = [
        each
        for each in predicted
        if each.nmse_db is not None and each.failed == 0.0 and each.scheme != ACCOUNTED
    ]
    if not rated:
        return ACCOUNTED, "nothing comes through in the air on these radios; mend what the verdicts name"
    best = min(rated, key=lambda each: each.nmse_db if each.nmse_db is not None else math.inf)
    assert best.nmse_db is not None
    coherent = next((each for each in rated if each.scheme == "mmse"), None)
    if best.nmse_db > USABLE_DB:
        return (
            best.scheme,
            f"even its error is {best.nmse_db:.1f} dB: aggregation in the air hardly works here",
        )
    if best.scheme in ("reed", "fsk_mv") and coherent is not None and coherent.nmse_db is not None:
        return best.scheme, (
            f"phases do not hold between sounding and payload: {best.nmse_db:.1f} dB without them, "
            f"{coherent.nmse_db:.1f} dB with"
        )
    quality = "well" if best.nmse_db <= GOOD_DB else "usably"
    return best.scheme, f"coherent aggregation works {quality} here: predicted error {best.nmse_db:.1f} dB"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def milliseconds(seconds: float) -> str:
    """In words."""
    return f"{1e3 * seconds:.3g} ms"
