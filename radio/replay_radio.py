"""`ReplayRadio`: the receiving half of the Radio protocol, over what another radio received."""

from collections.abc import Sequence

import numpy as np

from radio.capture import Capture
from radio.interface import OverrunError, RadioConfig, RadioError, RadioStatus, Samples


class ReplayRadio:
    """Serves captures at the indices at which they were received; in between there is nothing.

    captures: at least one. Where two hold the same instants and differ, a reception that begins where one of them
    begins gets that one.
    """

    def __init__(self, captures: Sequence[Capture]) -> None:
        self._captures = sorted(captures, key=lambda capture: capture.start_index)

    @property
    def config(self) -> RadioConfig:
        """Of the receiver that recorded."""
        return self._captures[0].config

    def configure(self, **settings: float) -> RadioConfig:
        """RadioError: what was received was received."""
        if settings:
            raise RadioError(f"a recording has its settings: {', '.join(sorted(settings))} cannot be changed")
        return self.config

    def status(self) -> RadioStatus:
        """There is one epoch, as indices of several differ."""
        return RadioStatus(epoch=0, serial="replay", firmware="airmeta recording")

    def now(self) -> int:
        """Behind the last sample."""
        return max(capture.end_index for capture in self._captures)

    def transmit(self, samples: Samples, at: int) -> None:
        """RadioError."""
        raise RadioError(f"a recording cannot transmit: {len(samples)} samples at {at}; use a radio")

    def receive(self, at: int, num_samples: int, deadline_s: float) -> Samples:
        """A copy. OverrunError for what was not recorded; the deadline does not matter."""
        pieces: list[Samples] = []
        position, end = at, at + num_samples
        while position < end:
            found = [each for each in self._captures if each.start_index <= position < each.end_index]
            if not found:
                raise OverrunError(
                    f"samples {position} to {end} are not in the recording, which has {self._spans()}"
                )
            latest = found[-1]
            pieces.append(latest.samples[position - latest.start_index : end - latest.start_index])
            position = min(end, latest.end_index)
        return np.concatenate(pieces, dtype=np.complex64) if pieces else np.zeros(0, np.complex64)

    def close(self) -> None:
        """Nothing is open."""

    def _spans(self) -> str:
        return ", ".join(f"{each.start_index} to {each.end_index}" for each in self._captures)
