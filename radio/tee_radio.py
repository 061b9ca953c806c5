"""A radio whose receptions are kept, for whoever wants to record them."""

import time
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from radio.interface import Radio, RadioConfig, RadioStatus, Samples


class Heard(NamedTuple):
    """A reception. start_index: of the radio's clock; unix_s: host's clock when it was handed over."""

    samples: Samples
    start_index: int
    unix_s: float

    @property
    def end_index(self) -> int:
        """Behind the last sample."""
        return self.start_index + len(self.samples)


class TeeRadio:
    """As the radio beneath; what is received is kept beside until it is taken. Samples are shared, not copied."""

    def __init__(self, radio: Radio) -> None:
        self._radio = radio
        self._heard: list[Heard] = []

    def take(self) -> tuple[Heard, ...]:
        """Receptions since the last call, in order of time."""
        taken, self._heard = tuple(self._heard), []
        return taken

    @property
    def config(self) -> RadioConfig:
        """As `Radio.config`."""
        return self._radio.config

    def configure(self, **settings: float) -> RadioConfig:
        """As `Radio.configure`."""
        return self._radio.configure(**settings)

    def status(self) -> RadioStatus:
        """As `Radio.status`."""
        return self._radio.status()

    def now(self) -> int:
        """As `Radio.now`."""
        return self._radio.now()

    def transmit(self, samples: Samples, at: int) -> None:
        """As `Radio.transmit`."""
        self._radio.transmit(samples, at)

    def receive(self, at: int, num_samples: int, deadline_s: float) -> Samples:
        """As `Radio.receive`."""
        samples = self._radio.receive(at, num_samples, deadline_s)
        self._heard.append(Heard(samples, at, time.time()))
        return samples

    def close(self) -> None:
        """As `Radio.close`."""
        self._radio.close()


def join(receptions: Iterable[Heard], first: int, end: int) -> list[Heard]:
    """Receptions as far as they lie in [first, end), each sample once. Those that overlap and differ stay apart."""
    joined: list[Heard] = []
    for heard in sorted(receptions, key=lambda each: (each.start_index, each.end_index)):
        start, stop = max(heard.start_index, first), min(heard.end_index, end)
        if start >= stop:
            continue
        part = Heard(heard.samples[start - heard.start_index : stop - heard.start_index], start, heard.unix_s)
        if not joined or (longer := _joined(joined[-1], part)) is None:
            joined.append(part)
        else:
            joined[-1] = longer
    return joined


def _joined(before: Heard, after: Heard) -> Heard | None:
    """Two as one, if they touch and agree; `after` does not begin sooner."""
    shared = before.end_index - after.start_index
    if shared < 0:
        return None
    known = before.samples[after.start_index - before.start_index :][: len(after.samples)]
    if known.tobytes() != after.samples[: len(known)].tobytes():
        return None
    samples = before.samples
    if after.end_index > before.end_index:
        samples = np.concatenate([samples, after.samples[shared:]])
    return Heard(samples, before.start_index, max(before.unix_s, after.unix_s))
