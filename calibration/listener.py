"""The receiver of a bench: what it hears, undone of what is known of its hardware, and kept for a purpose."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from calibration.frequency import remove_cfo
from radio.capture import Capture, SentBurst
from radio.corrected_radio import CorrectedRadio
from radio.hardware_correction import ReceiveCorrection
from radio.interface import Radio, RadioConfig, RadioStatus, Samples
from radio.rebased import RebasedRadio

CHUNK_LEN = 1 << 18  # samples taken at once: a driver's ring holds a second
DEADLINE_S = 30.0  # of wall time for samples to come, on top of the time that they take


class Listener:
    """on_capture: told of everything that is received for a purpose. undone: of its hardware, what is known of it.

    Its methods raise what radios raise.
    """

    def __init__(self, radio: Radio, on_capture: Callable[[Capture], None]) -> None:
        self._radio, self._on_capture = RebasedRadio(radio), on_capture
        self._center_hz, self.offset_hz = radio.config.center_hz, 0.0
        self.undone = ReceiveCorrection()
        self._radio.restart()

    @property
    def config(self) -> RadioConfig:
        """Settings of its radio."""
        return self._radio.config

    @property
    def origin(self) -> int:
        """Its radio's own index where its clock reads 0."""
        return self._radio.origin

    def status(self) -> RadioStatus:
        """Health of its radio."""
        return self._radio.status()

    def now(self) -> int:
        """Index behind the newest sample."""
        return self._radio.now()

    def tune(self, offset_hz: float) -> None:
        """Away from the transmitters' carrier; its clock begins anew."""
        self._radio.configure(center_hz=self._center_hz + offset_hz)
        self.offset_hz = self._radio.config.center_hz - self._center_hz
        self._radio.restart()

    def set_gain(self, rx_gain_db: float) -> float:
        """What it holds then."""
        return self._radio.configure(rx_gain_db=rx_gain_db).rx_gain_db

    def wait_until(self, index: int) -> None:
        """Until its clock has passed an index."""
        while (at := self._radio.now()) < index:
            self._receive(at, min(CHUNK_LEN, index - at))

    def capture(
        self, step: str, at: int, num_samples: int, sent: Sequence[SentBurst], facts: Mapping[str, Any]
    ) -> Capture:
        """(num_samples,) from an index on."""
        self.wait_until(at)
        samples = np.empty(num_samples, dtype=np.complex64)
        for first in range(0, num_samples, CHUNK_LEN):
            count = min(CHUNK_LEN, num_samples - first)
            samples[first : first + count] = self._receive(at + first, count)
        capture = Capture(
            step=step,
            samples=samples,
            start_index=at + self._radio.origin,
            config=self._radio.config,
            sent=tuple(sent),
            facts={**facts, "offset_hz": self.offset_hz},
        )
        self._on_capture(capture)
        return capture

    def receive_centred(self, at: int, num_samples: int) -> Samples:
        """As if it were tuned to the transmitters' carrier; kept nowhere."""
        samples = self._receive(at, num_samples)
        if self.offset_hz == 0.0:
            return samples
        return remove_cfo(samples, -self.offset_hz, self._radio.config.sample_rate_hz, at)

    def close(self) -> None:
        """Its radio."""
        self._radio.close()

    def _receive(self, at: int, num_samples: int) -> Samples:
        ahead_s = max(0, at + num_samples - self._radio.now()) / self._radio.config.sample_rate_hz
        corrected = CorrectedRadio(self._radio, receive=self.undone)
        return corrected.receive(at, num_samples, ahead_s + DEADLINE_S)
