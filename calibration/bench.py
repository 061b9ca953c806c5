"""Radios that are measured: transmitters are met one by one, then sent through at instants of the receiver's clock.

Nothing ties the indices of two radios to each other before they have met: a device sends its preamble as soon as it
can, and where that is heard is where its clock stands, until an epoch of either radio ends.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.listener import Listener
from calibration.meeting import loudest_part, not_heard
from calibration.search import Searcher
from calibration.single_path import PathEstimate
from radio.capture import Capture, SentBurst
from radio.corrected_radio import CorrectedRadio
from radio.correction import Correction
from radio.frame import element_level
from radio.hardware_correction import ReceiveCorrection, TransmitCorrection, share_with_attenuator
from radio.interface import Burst, LateError, Radio, RadioConfig, RadioStatus, Samples
from radio.ofdm import OfdmConfig
from radio.preamble import device_identity, preamble
from radio.rebased import RebasedRadio

TRIES = 4  # a clock goes on while a burst is on the way to its radio
SLOWER = 2.0  # times as long as the last try took, a host may take for the next one
STARTS = "starts"  # of a capture's facts: [device, wait in samples, its std] of the meetings since the last capture
MARGIN_S = 2e-3  # between the earliest instant that every radio can keep and a capture


@dataclass(frozen=True, eq=False)
class Emission:
    """A burst of a device on its own clock, and what it is. level: as `SentBurst` has it."""

    device: int
    burst: Burst
    label: str
    level: float


@dataclass(frozen=True, kw_only=True)
class Terms:
    """backoff_db: of the payload's rms below full scale. meeting_s: within which a device is heard that was asked to
    send. shared_clock: whether all radios run on one reference; shared_start: whether index 0 is one instant for all.
    uris: the receiver's, then the devices', if any. tx_gain_step_db, lowest_tx_gain_db: of a transmitter's gain
    setting; a step of 0 where it is fixed."""

    backoff_db: float
    meeting_s: float
    shared_clock: bool
    shared_start: bool = False
    uris: tuple[str, ...] = ()
    tx_gain_step_db: float = 0.0
    lowest_tx_gain_db: float = 0.0


class Bench:
    """receiver: hears all. transmitters: by device.

    level: amplitude of a resource element of power 1. on_capture: told of everything that is received for a purpose.
    Its methods raise what radios raise.
    """

    def __init__(
        self,
        receiver: Radio,
        transmitters: Mapping[int, Radio],
        searcher: Searcher,
        terms: Terms,
        on_capture: Callable[[Capture], None] = lambda capture: None,
    ) -> None:
        self._receiver = Listener(receiver, on_capture)
        self._transmitters = {device: RebasedRadio(radio) for device, radio in transmitters.items()}
        self._searcher, self._terms = searcher, terms
        self.level = element_level(terms.backoff_db, searcher.ofdm)
        self._center_hz = receiver.config.center_hz
        self.clocks: dict[int, Correction] = {}
        self._starts: list[tuple[int, float, float]] = []  # since the last capture
        self._quiet = 0.0  # mean power of a sample while nobody sends
        self._undone: dict[int, TransmitCorrection] = {}

    @property
    def ofdm(self) -> OfdmConfig:
        """Numerology of everything that is sent."""
        return self._searcher.ofdm

    @property
    def max_cfo_hz(self) -> float:
        """How far a transmitter's carrier may lie from the receiver's."""
        return self._searcher.max_cfo_hz

    @property
    def devices(self) -> tuple[int, ...]:
        """In order."""
        return tuple(sorted(self._transmitters))

    @property
    def offset_hz(self) -> float:
        """By how much the receiver is tuned above the transmitters."""
        return self._receiver.offset_hz

    @property
    def shares_start(self) -> bool:
        """Whether index 0 is one instant for all radios."""
        return self._terms.shared_start

    def config(self, device: int | None = None) -> RadioConfig:
        """Settings of a device's radio, or the receiver's."""
        return (self._receiver if device is None else self._transmitters[device]).config

    def status(self, device: int | None = None) -> RadioStatus:
        """Health of a device's radio, or the receiver's."""
        return (self._receiver if device is None else self._transmitters[device]).status()

    def description(self) -> dict[str, Any]:
        """What is measured, and when, as JSON can hold it."""
        uris = self._terms.uris or ("",) * (1 + len(self._transmitters))
        described = [
            {
                "uri": uri,
                "serial": status.serial,
                "firmware": status.firmware,
                "temperature_c": status.temperature_c,
            }
            for uri, status in zip(uris, map(self.status, (None, *self.devices)), strict=True)
        ]
        by_device = dict(zip(map(str, self.devices), described[1:], strict=True))
        return {
            "at_s": time.time(),
            "center_hz": self._center_hz,
            "backoff_db": self._terms.backoff_db,
            "shared_clock": self._terms.shared_clock,
            "shared_start": self._terms.shared_start,
            "hardware": {"receiver": described[0], "devices": by_device},
        }

    def tune(self, offset_hz: float) -> None:
        """Move the receiver away from the transmitters' carrier; everybody has to be met anew."""
        self._receiver.tune(offset_hz)
        self.clocks.clear()

    def set_gain(self, device: int, tx_gain_db: float) -> float:
        """Of a transmitter; what it holds then. SafetyError."""
        return self._transmitters[device].configure(tx_gain_db=tx_gain_db).tx_gain_db

    def set_receive_gain(self, rx_gain_db: float) -> float:
        """Of the receiver; what it holds then."""
        return self._receiver.set_gain(rx_gain_db)

    def correct(
        self, receiver: ReceiveCorrection, transmitters: Mapping[int, TransmitCorrection]
    ) -> dict[str, dict[str, float]]:
        """From here on radios undo of their hardware what is known of it.

        What is done to each transmitter: level_db in all, and tx_gain_db, the setting that takes most of it where there
        is one."""
        terms, done = self._terms, {}
        for device, correction in sorted(transmitters.items()):
            radio = self._transmitters[device]
            tx_gain_db, rest = share_with_attenuator(
                correction, radio.config.tx_gain_db, terms.tx_gain_step_db, terms.lowest_tx_gain_db
            )
            if tx_gain_db != radio.config.tx_gain_db:
                radio.configure(tx_gain_db=tx_gain_db)
            self._undone[device] = rest
            done[str(device)] = {"level_db": correction.level_db, "tx_gain_db": radio.config.tx_gain_db}
        self._receiver.undone = receiver
        return done

    @property
    def tone_room(self) -> float:
        """Highest amplitude of a tone that fits into every transmitter's full scale with its correction."""
        return min((each.tone_room for each in self._undone.values()), default=1.0)

    def listen(self, step: str, num_samples: int, facts: Mapping[str, Any] | None = None) -> Capture:
        """What is on the air while nobody here sends."""
        at = self._receiver.now()
        capture = self._captured(step, at, num_samples, (), facts)
        self._quiet = float(np.mean(np.abs(capture.samples) ** 2))
        return capture

    def meet(self, device: int) -> PathEstimate:
        """Tie a device's clock to the receiver's; its `delay_samples` is the receiver's index of the device's 0.

        NotHeard if its preamble does not come in time.
        """
        radio = self._transmitters[device]
        samples = np.float32(self.level) * preamble(self.ofdm, device_identity(device))
        for last in (*[False] * (TRIES - 1), True):
            radio.restart()
            begin = self._receiver.now()
            try:
                self._transmit(device, Burst(samples, 0))
                break
            except LateError:
                if last:
                    raise
        length = round(self._terms.meeting_s * self.ofdm.sample_rate_hz)
        loudest = 0.0

        def listening(at: int, num_samples: int) -> Samples:
            nonlocal loudest
            heard = self._receiver.receive_centred(at, num_samples)
            loudest = max(loudest, loudest_part(heard, len(samples)))
            return heard

        path = self._searcher.search(listening, begin, length, [device_identity(device)])
        if path is None:
            raise not_heard(device, loudest, self._quiet, self._terms.meeting_s)
        self._starts.append((device, path.delay_samples - begin, path.delay_std_samples))
        self.clocks[device] = Correction(
            delay_samples=path.delay_samples, cfo_hz=path.cfo_hz, drift=-path.cfo_hz / self._center_hz
        )
        return path

    def play(
        self,
        step: str,
        make: Callable[[int], Iterable[Emission]],
        num_samples: int,
        facts: Mapping[str, Any] | None = None,
    ) -> Capture:
        """Send, and receive what comes of it.

        make: from the receiver's index of the capture's first sample to what is sent. All devices that it names have
        been met.
        """
        margin_s = MARGIN_S
        for last in (*[False] * (TRIES - 1), True):
            began = self._receiver.now()
            base = self._earliest(margin_s)
            try:
                emissions = list(make(base))
                for emission in sorted(emissions, key=lambda each: self._arrival(each, base)):
                    self._transmit(emission.device, emission.burst)
                break
            except LateError:
                if last:
                    raise
                took_s = (self._receiver.now() - began) / self.ofdm.sample_rate_hz
                margin_s = max(margin_s, SLOWER * took_s)
                self._receiver.wait_until(base + num_samples)  # until what did leave has passed
        arrivals = [self._arrival(emission, base) for emission in emissions]
        sent = [
            SentBurst(
                device=emission.device,
                start_index=self._receiver.origin + base + math.floor(arrival),
                num_samples=len(emission.burst.samples),
                label=emission.label,
                tx_gain_db=self.config(emission.device).tx_gain_db,
                level=emission.level,
            )
            for emission, arrival in zip(emissions, arrivals, strict=True)
        ]
        exact = {
            "arrivals": arrivals,  # samples of the capture, to a fraction
            "departures": [emission.burst.start_index for emission in emissions],  # on the devices' clocks
            "origins": [self._transmitters[emission.device].origin for emission in emissions],  # of those
        }
        return self._captured(step, base, num_samples, sent, {**(facts or {}), **exact})

    def emission(self, device: int, arrival: int, samples: Samples, label: str, level: float) -> Emission:
        """A burst as the device makes it, uncorrected, that arrives at the receiver's index but for a fraction."""
        return Emission(device, Burst(samples, self.clocks[device].departure(arrival)), label, level)

    def learn(self, device: int, departure: int, late_samples: float, cfo_hz: float, drift: float) -> None:
        """A device's clock is better known: a burst arrived `late_samples` after it was meant to, on a carrier, and
        ever later by `drift` samples a sample."""
        clock = self.clocks[device]
        behind = clock.delay_samples + clock.drift * (departure - clock.reference_index)
        self.clocks[device] = Correction(
            delay_samples=behind + late_samples,
            cfo_hz=cfo_hz,
            drift=drift,
            reference_index=departure,
        )

    def close(self) -> None:
        """Every radio, the receiver last."""
        for radio in self._transmitters.values():
            radio.close()
        self._receiver.close()

    def _earliest(self, margin_s: float) -> int:
        """Of the receiver's indices the first at which every radio that was met can be asked to send."""
        arrivals = [
            clock.delay_samples + self._transmitters[device].now() * (1.0 + clock.drift)
            for device, clock in self.clocks.items()
        ]
        margin = margin_s * self.ofdm.sample_rate_hz
        return math.ceil(max([float(self._receiver.now()), *arrivals]) + margin)

    def _arrival(self, emission: Emission, base: int) -> float:
        """Sample of a capture from `base` on at which a burst is meant to arrive."""
        clock, departure = self.clocks[emission.device], emission.burst.start_index
        return departure + clock.delay_samples + clock.drift * (departure - clock.reference_index) - base

    def _captured(
        self, step: str, at: int, num_samples: int, sent: Sequence[SentBurst], facts: Mapping[str, Any] | None
    ) -> Capture:
        starts, self._starts = self._starts, []
        return self._receiver.capture(step, at, num_samples, sent, {**(facts or {}), STARTS: starts})

    def _transmit(self, device: int, burst: Burst) -> None:
        CorrectedRadio(self._transmitters[device], transmit=self._undone.get(device)).transmit(*burst)
