"""The shared medium of many radios: bursts from each, superposed at every receiver that is tuned to them.

    y_r(t) = sum_i (path from i to r)(x_i)(t), in the order of ports and starts

Time is the receivers' own, starts at 0 and advances only when someone receives.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import numpy as np

from radio.interface import LateError, OverrunError, RadioError, Samples, check_full_scale
from sim_backend.bands import Band, translate, translated_span
from sim_backend.chain import Heard
from sim_backend.medium import Medium, Sent

SLACK_S = Fraction(1, 100)  # more than paths to several receivers and their filters differ


@dataclass
class _OnAir:
    """A burst and what has become of it, computed when a receiver first hears it."""

    sent: Sent
    ends: Fraction  # when the usual receiver has heard the last of it
    spans: dict[tuple[int, Band], tuple[int, int]] = field(default_factory=dict)
    heard: dict[tuple[int, Band], Heard] = field(default_factory=dict)


class Air:
    """memory_s: how far back a receiver may ask. now: in seconds, exactly."""

    def __init__(self, medium: Medium, memory_s: float) -> None:
        self._medium = medium
        self._memory = Fraction(memory_s)
        self._bursts: list[_OnAir] = []
        self.now = Fraction(0)

    def index(self, band: Band) -> int:
        """First sample of a receiver's that time has not yet reached."""
        return ceil(self.now * Fraction(band.sample_rate_hz))

    def earliest(self, port: int, band: Band) -> int:
        """Earliest index, on a radio's own clock, of which no part arrives in the past."""
        return self._medium.clock(port, band, self.index(band) + self._medium.margin(band))

    def keeps_time(self, port: int) -> bool:
        """Whether a radio's clock is the air's."""
        return self._medium.keeps_time(port)

    def transmit(self, port: int, band: Band, samples: Samples, at: int) -> None:
        """Put a burst on the air from index `at` of the sender's clock."""
        check_full_scale(samples)
        earliest = self.earliest(port, band)
        if at < earliest:
            raise LateError(f"burst of radio {port} was to start at {at}, the earliest is {earliest}")
        if len(samples) == 0:
            return
        burst = Sent(port, band, at, np.array(samples, dtype=np.complex64))
        self._medium.check(burst)
        for other in (on_air.sent for on_air in self._bursts if on_air.sent.port == port):
            if _seconds(burst)[0] < _seconds(other)[1] and _seconds(other)[0] < _seconds(burst)[1]:
                raise RadioError(f"burst of radio {port} at {at} overlaps its burst at {other.start}")
        self._bursts.append(_OnAir(burst, self._ends(burst)))

    def put(self, sent: Sent) -> None:
        """What has left an antenna already: a piece of a stream, whose edges may overlap its neighbours'."""
        self._bursts.append(_OnAir(sent, self._ends(sent)))

    def receive(self, port: int, band: Band, at: int, num_samples: int) -> Samples:
        """What arrives in [at, at + num_samples) in a band; time advances to the end of it."""
        self._check_reach(band, at)
        self.advance(Fraction(at + num_samples) / Fraction(band.sample_rate_hz))
        return self.hear(port, band, at, num_samples)

    def hear(self, port: int, band: Band, at: int, num_samples: int) -> Samples:
        """`receive` without time passing, of what is not forgotten."""
        total = np.zeros(num_samples, dtype=np.complex64)
        for _, offset, samples in self._arriving(port, band, at, num_samples):
            total[offset : offset + len(samples)] += samples
        return total

    def receive_apart(self, port: int, band: Band, at: int, num_samples: int) -> dict[int, Samples]:
        """The summands of `receive`, one a sending radio; what no receiver can have, and a simulation can."""
        self._check_reach(band, at)
        apart: dict[int, Samples] = {}
        for sender, offset, samples in self._arriving(port, band, at, num_samples):
            total = apart.setdefault(sender, np.zeros(num_samples, dtype=np.complex64))
            total[offset : offset + len(samples)] += samples
        return apart

    def _check_reach(self, band: Band, at: int) -> None:
        rate = Fraction(band.sample_rate_hz)
        if at < (self.now - self._memory) * rate:
            oldest = ceil((self.now - self._memory) * rate)
            raise OverrunError(f"samples from {at} are gone: the ring reaches back to {oldest}")

    def _arriving(
        self, port: int, band: Band, at: int, num_samples: int
    ) -> Iterator[tuple[int, int, Samples]]:
        """(sending port, offset into the reception, samples) of every burst that reaches into it, in fixed order."""
        end = at + num_samples
        audible = []
        for on_air in self._bursts:
            sent = on_air.sent
            if not sent.band.overlaps(band):
                continue
            if (port, band) not in on_air.spans:
                low, high = self._medium.span(sent, port)
                heard = translated_span(low, high, sent.band, band) if low < high else (0, 0)
                on_air.spans[port, band] = heard
            low, high = on_air.spans[port, band]
            if low < end and at < high:
                audible.append(on_air)
        audible.sort(key=lambda on_air: (on_air.sent.port, on_air.sent.start))
        self._carry(audible, port, band)
        for on_air in audible:
            start, samples = on_air.heard[port, band]
            first, last = max(at, start), min(end, start + len(samples))
            if first < last:
                yield on_air.sent.port, first - at, samples[first - start : last - start]

    def advance(self, now: Fraction) -> None:
        """Let time pass, never back; forget what no receiver may ask for any more."""
        self.now = max(self.now, now)
        horizon = self.now - self._memory - SLACK_S
        self._bursts = [on_air for on_air in self._bursts if on_air.ends > horizon]

    def rewind(self) -> None:
        """Time is 0 again, and nothing was ever sent. What is sent from here on arrives as it always would have: gains,
        noise and drift belong to instants."""
        self._bursts, self.now = [], Fraction(0)

    def silence(self, port: int) -> None:
        """Nothing more of a radio leaves: its bursts end now."""
        kept = []
        for on_air in self._bursts:
            sent = on_air.sent
            if sent.port == port:
                left = self.earliest(port, sent.band) - sent.start
                if left <= 0:
                    continue
                if left < len(sent.samples):
                    cut = sent._replace(samples=sent.samples[:left])
                    on_air = _OnAir(cut, self._ends(cut))
            kept.append(on_air)
        self._bursts = kept

    def _carry(self, bursts: list[_OnAir], port: int, band: Band) -> None:
        fresh = [on_air for on_air in bursts if (port, band) not in on_air.heard]
        if not fresh:
            return
        for on_air, heard in zip(fresh, self._medium.carry([b.sent for b in fresh], port), strict=True):
            on_air.heard[port, band] = translate(heard, on_air.sent.band, band)

    def _ends(self, sent: Sent) -> Fraction:
        return Fraction(self._medium.span(sent, -1)[1]) / Fraction(sent.band.sample_rate_hz)


def _seconds(sent: Sent) -> tuple[Fraction, Fraction]:
    """From when to when a burst lasts on its sender's clock."""
    rate = Fraction(sent.band.sample_rate_hz)
    return Fraction(sent.start) / rate, Fraction(sent.start + len(sent.samples)) / rate
