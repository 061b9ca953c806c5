"""What a transmitter may do. Deny by default: without a listed band, or a cable, nothing leaves the radio.

The limits are checked before the first sample and, for the duty, before each burst. They bound what the driver sends;
whether a band may be used at all, with what antenna and what power, the law of the place says.
"""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from radio.interface import RadioError

CONDUCTED_MIN_ATTENUATION_DB = 30.0
"""Least attenuation into a cable. An AD936x gives up to +7 dBm; its receiver is damaged from +2.5 dBm (AD9363 data
sheet, absolute maximum ratings) and saturates far below. Even with the attenuator forgotten, -23 dBm arrive."""


class SafetyError(RadioError):
    """A limit of `SafetyLimits` forbids what was asked; nothing was sent."""


@dataclass(frozen=True, kw_only=True)
class SafetyLimits:
    """The configuration's table `safety`.

    allowed_bands_hz: (lowest, highest) frequency of each band that may be radiated into; none, unless listed. All of
        the sampled bandwidth, centre +- half a sample rate, must lie within one of them.
    min_attenuation_db: of the transmitter, from its highest output (AD936x: 0 is about +7 dBm); 0 to 89.75.
    max_duty: largest share of any `duty_window_s` that may be covered by bursts. An hour is the observation
        period of EN 300 220.
    conducted: the radios are joined by cables and attenuators and radiate nothing: every carrier is allowed, and the
        attenuation is at least `CONDUCTED_MIN_ATTENUATION_DB`, whatever `min_attenuation_db` says.
    """

    allowed_bands_hz: tuple[tuple[float, float], ...] = ()
    min_attenuation_db: float = 10.0
    max_duty: float = 0.1
    duty_window_s: float = 3600.0
    conducted: bool = False

    def __post_init__(self) -> None:
        for band in self.allowed_bands_hz:
            if len(band) != 2 or not 0.0 < band[0] < band[1] < math.inf:
                raise ValueError(
                    f"safety.allowed_bands_hz takes pairs (lowest, highest) in Hz, got {list(band)}; "
                    "write for example [[868.0e6, 868.6e6]]"
                )
        if not 0.0 <= self.min_attenuation_db <= 89.75:
            raise ValueError(
                f"safety.min_attenuation_db must be in [0, 89.75], got {self.min_attenuation_db:g}"
            )
        if not 0.0 < self.max_duty <= 1.0:
            raise ValueError(f"safety.max_duty must be in (0, 1], got {self.max_duty:g}")
        if not 0.0 < self.duty_window_s < math.inf:
            raise ValueError(f"safety.duty_window_s must be above 0 and finite, got {self.duty_window_s:g}")

    @property
    def lowest_attenuation_db(self) -> float:
        """What holds for this wiring."""
        floor_db = CONDUCTED_MIN_ATTENUATION_DB if self.conducted else 0.0
        return max(self.min_attenuation_db, floor_db)


def preflight(
    limits: SafetyLimits, *, center_hz: float, sample_rate_hz: float, attenuation_db: float
) -> None:
    """SafetyError, with value, limit and remedy, if a transmitter may not be switched on with these settings."""
    lowest_db = limits.lowest_attenuation_db
    if not attenuation_db >= lowest_db:
        key = (
            "what conducted mode asks for"
            if lowest_db > limits.min_attenuation_db
            else "safety.min_attenuation_db"
        )
        raise SafetyError(
            f"transmit attenuation of {attenuation_db:g} dB is below {lowest_db:g} dB, {key}; "
            f"set tx_gain_db to {-lowest_db:g} or less"
        )
    if limits.conducted:
        return
    low, high = center_hz - sample_rate_hz / 2, center_hz + sample_rate_hz / 2
    if not any(lowest <= low and high <= highest for lowest, highest in limits.allowed_bands_hz):
        listed = ", ".join(
            f"{lowest / 1e6:g} to {highest / 1e6:g}" for lowest, highest in limits.allowed_bands_hz
        )
        raise SafetyError(
            f"transmitting over {low / 1e6:g} to {high / 1e6:g} MHz is not allowed; safety.allowed_bands_hz lists "
            f"{listed + ' MHz' if listed else 'nothing'}; list a band that you may use, or set safety.conducted for "
            "radios on a cable"
        )


class DutyLedger:
    """Bursts of one transmitter, and whether one more keeps every window within the limit.

    Instants are seconds on one clock that never goes back. The fullest of all windows is among those that end with
    a burst: any other can be moved there without losing a transmitted sample. So only those are looked at.
    """

    def __init__(self, limits: SafetyLimits) -> None:
        self._limits = limits
        self._starts: list[float] = []
        self._ends: list[float] = []
        self._before: list[float] = [0.0]  # seconds on the air before each burst; one more entry than bursts

    def admit(self, start_s: float, duration_s: float) -> None:
        """Enter a burst that overlaps no other. SafetyError if it must not be sent: then it is not entered."""
        end_s, window_s = start_s + duration_s, self._limits.duty_window_s
        budget_s = self._limits.max_duty * window_s
        if duration_s > budget_s:
            raise SafetyError(
                f"a burst of {duration_s:.3g} s exceeds a duty of {self._limits.max_duty:g} of {window_s:g} s; "
                "send less at once, or raise safety.max_duty where the law allows it"
            )
        place = bisect_left(self._starts, start_s)
        ends = [end_s, *self._ends[place : bisect_right(self._starts, end_s + window_s)]]
        for last_s in ends:
            low_s = last_s - window_s
            on_air_s = self._on_air(low_s, last_s) + min(last_s, end_s) - min(max(low_s, start_s), end_s)
            if on_air_s > budget_s * (1.0 + 1e-9):
                raise SafetyError(
                    f"duty would be {on_air_s / window_s:.3g} over {window_s:g} s, above safety.max_duty of "
                    f"{self._limits.max_duty:g}; wait, send less often, or raise it where the law allows it"
                )
        self._starts.insert(place, start_s)
        self._ends.insert(place, end_s)
        self._before[place + 1 :] = [self._before[place] + duration_s] + [
            before + duration_s for before in self._before[place + 1 :]
        ]

    def forget(self, before_s: float) -> None:
        """Drop bursts that ended a window before an instant: no burst will begin before it."""
        count = bisect_left(self._ends, before_s - self._limits.duty_window_s)
        if count:
            spent_s = self._before[count]
            self._starts, self._ends = self._starts[count:], self._ends[count:]
            self._before = [before - spent_s for before in self._before[count:]]

    def cancel(self, from_s: float) -> None:
        """Bursts from an instant on do not leave; one that is on the air then counts in full."""
        count = bisect_left(self._starts, from_s)
        self._starts, self._ends, self._before = (
            self._starts[:count],
            self._ends[:count],
            self._before[: count + 1],
        )

    def _on_air(self, low_s: float, high_s: float) -> float:
        """Seconds of bursts within [low, high]."""
        return self._until(high_s) - self._until(low_s)

    def _until(self, instant_s: float) -> float:
        """Seconds of bursts before an instant."""
        count = bisect_right(self._starts, instant_s)
        if count == 0:
            return 0.0
        return self._before[count - 1] + min(instant_s, self._ends[count - 1]) - self._starts[count - 1]
