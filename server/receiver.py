"""Samples to amplitudes: the server's end of an uplink that runs over radios."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.delay import estimate_mean_delay
from calibration.ladder import climb_frequency
from calibration.phase import common_turns, estimate_phases, remove_turns
from calibration.search import Searcher
from calibration.single_path import PathEstimate
from calibration.timing import estimate_timing
from calibration.tracking import Track
from radio.air_config import MAX_START_OFFSET_SAMPLES
from radio.channel_state import ChannelState
from radio.correction import Correction
from radio.frame import demodulate_frame, element_level, frame_len, frame_overhead, payload_elements
from radio.interface import Radio, Samples
from radio.preamble import REPETITIONS, device_identity, preamble, preamble_len
from radio.schedule import Schedule
from radio.sounding import AcquisitionSlot, SoundingSlot, separate
from radio.uplink import Emissions, Plan, Reception, Slot, Sounding, SyncError
from server.clocks import Clocks
from server.receive_window import window_lead

SEARCH = MAX_START_OFFSET_SAMPLES  # samples on either side of the nominal instant in which a slot may start
TURN_FALSE_ALARM = 1e-7  # per sample
DEADLINE_S = 30.0
"""Of wall time for samples to come, on top of the time that they take. Real ones come within a second; a simulated air
between many radios takes several seconds of computing for one of its own on a busy machine."""


class RadioUplink:
    """The server's receiver, and the transmitters whose air lives in this process.

    receiver: hears the superposition. transmitters: one a device where the air is simulated here; devices with
    radios of their own transmit by themselves and are not in it. center_hz: carrier; with one crystal in a device, its
    carrier's offset tells that of its sample clock.

    Between rounds it remembers what is known of each free-running clock, and nothing else: `save` and `restore`.
    rewind: makes it the beginning of time on an air that lives in this process.
    """

    def __init__(
        self,
        receiver: Radio,
        transmitters: Mapping[int, Radio],
        schedule: Schedule,
        backoff_db: float,
        center_hz: float,
        rewind: Callable[[], None] = lambda: None,
    ) -> None:
        self._receiver, self._transmitters, self._schedule = receiver, transmitters, schedule
        self._rewind = rewind
        self._ofdm, self._center_hz = schedule.ofdm, center_hz
        self._searcher = Searcher(ofdm=self._ofdm, max_cfo_hz=1e-6 * schedule.crystal_ppm * center_hz)
        self._level = element_level(backoff_db, self._ofdm)
        self._offset = 0  # receiver's index minus the nominal one, from the last sounding
        self._noise_variance = 0.0  # of a resource element, from the last sounding
        self._clocks = Clocks(schedule, center_hz)
        self._num_turns = 0  # of acquisition, in this round

    @property
    def origin(self) -> int:
        """Receiver's index at which the clock that slots and plans mean reads 0."""
        return 0

    @property
    def lateness(self) -> int:
        """Samples by which what was sounded last came later than its slot says."""
        return self._offset + window_lead(self._ofdm)

    def slot(self, round_index: int, devices: tuple[int, ...]) -> Slot:
        """The round's first slot on the nominal clock: an acquisition only if something has to be acquired."""
        self._num_turns = 0
        return self._first_slot(round_index, devices)

    def save(self) -> dict[str, NDArray[Any]]:
        """What is known of the clocks."""
        return self._clocks.save()

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Inverse of `save`. An air in this process forgets what was sent: the schedule's instants come again."""
        self._clocks.restore(saved)
        self._rewind()

    def sound(self, slot: Slot, sent: Emissions) -> Slot | Sounding:
        """Hold a slot. Who was to sound and did not is no part of what is known then. Raises SyncError if nobody did,
        or nobody is heard."""
        self._transmit(sent)
        if isinstance(slot, AcquisitionSlot):
            return self._acquire(slot)
        assert isinstance(slot, SoundingSlot)  # radios whose air lives in this process need not be met
        if not sent:
            self._clocks.distrust(slot.devices)
            raise SyncError(f"round {slot.round}: none of {len(slot.devices)} devices sounded")
        return self._sound(slot, tuple(device for device in slot.devices if device in sent))

    def payload_index(self, sounding: Sounding) -> int:
        """A gap after the sounding."""
        return self._schedule.after(sounding.end_index)

    def collect(self, plan: Plan, sent: Emissions) -> Reception:
        """Receive a frame where the sounding put it, check that it is there, remove the phase that all devices have in
        common, read the payload. Raises SyncError."""
        ofdm = self._ofdm
        self._transmit(sent)
        start_index = plan.start_index + self._offset
        samples = self._receive(start_index, frame_len(plan.num_elements, ofdm))
        head = samples[: preamble_len(ofdm) + 2 * window_lead(ofdm)]
        found = estimate_timing(head, [preamble(ofdm)])
        if not found.detected:
            raise SyncError(
                f"round {plan.round}: no payload preamble where the sounding put it (correlation "
                f"{found.quality:.3f}); the clock slipped or nobody transmitted"
            )
        symbols = demodulate_frame(samples, self._level, ofdm)
        transmitters = [device for device in plan.devices if device in sent]
        places = [plan.devices.index(device) for device in transmitters]
        noise_variance = self._noise_variance
        phases = estimate_phases(
            symbols.header, symbols.tail, places, len(plan.devices), noise_variance, ofdm
        )
        turns = common_turns(phases, symbols.payload, noise_variance, ofdm)
        payload = remove_turns(symbols.payload, turns)
        residuals_rad = [(first, last) for first, last in phases.residuals_rad.tolist()]
        return Reception(
            payload_elements(payload, plan.num_elements, ofdm),
            noise_variance,
            quality=found.quality,
            overhead_elements=frame_overhead(plan.num_elements, ofdm),
            airtime_s=len(samples) / ofdm.sample_rate_hz,
            common_phase_rad=phases.common_rad,
            phase_residuals=dict(zip(transmitters, residuals_rad, strict=True)),
            turns=turns,
            samples=samples,
            start_index=start_index,
        )

    def _first_slot(self, round_index: int, devices: tuple[int, ...]) -> Slot:
        if self._schedule.free_clocks and (turns := self._clocks.turns(round_index, devices)):
            return self._schedule.acquisition(round_index, turns, devices, self._clocks.corrections(turns))
        return self._schedule.slot(round_index, devices, self._clocks.corrections(devices))

    def _sound(self, slot: SoundingSlot, sounded: tuple[int, ...]) -> Sounding:
        """Find the slot, separate the pilots of each block, fit a channel to each device, follow its phase.

        Timing is found non-coherently over the devices' own preambles, and holds for the payload too: gains and
        payload refer to the same instant, or subcarriers would turn against each other.
        """
        ofdm = self._ofdm
        references = [preamble(ofdm, device_identity(device)) for device in sounded]
        searched = self._receive(slot.start_index - SEARCH, 2 * SEARCH + preamble_len(ofdm))
        timing = estimate_timing(searched, references)
        if not timing.detected:
            self._clocks.distrust(slot.devices)
            raise SyncError(
                f"round {slot.round}: no sounding preamble within {SEARCH} samples of its instant (correlation "
                f"{timing.quality:.3f}); check the receiver's gain, cable and center_hz, or raise link.snr_db"
            )
        self._offset = timing.start_index - SEARCH - window_lead(ofdm)
        num_blocks, block_len = len(slot.block_gaps), slot.block_len(ofdm)
        starts = [slot.block_index(block, ofdm) for block in range(num_blocks)]
        blocks = [self._receive(at + self._offset, block_len) / np.float32(self._level) for at in starts]
        found = [separate(block, slot, ofdm) for block in blocks]
        middles_s = [(at + block_len / 2) / ofdm.sample_rate_hz for at in starts]
        error_variances = np.mean([channels.error_variances for channels in found], axis=(0, 2))
        error_variances[[device not in sounded for device in slot.devices]] = math.inf
        ladder = climb_frequency(np.stack([channels.gains for channels in found]), middles_s, error_variances)
        self._noise_variance = float(np.mean([channels.noise_variance for channels in found]))
        followed = {}
        if num_blocks > 1:
            lateness = estimate_mean_delay(ladder.gains, ofdm) + self._offset
            followed = self._clocks.follow(slot, ladder, error_variances, middles_s, lateness)
        return Sounding(
            channels={
                device: ChannelState(gains, followed.get(device, slot.correction(device)), ofdm)
                for device, gains in zip(slot.devices, ladder.gains, strict=True)
                if device in sounded
            },
            noise_variance=self._noise_variance,
            error_variances={
                device: float(variance) if num_blocks == 1 or device in followed else math.inf
                for device, variance in zip(slot.devices, ladder.error_variances, strict=True)
                if device in sounded
            },
            gain_errors=dict(zip(slot.devices, ladder.error_variances.tolist(), strict=True)),
            measured_at_s=middles_s[-1],
            end_index=slot.end_index(ofdm),
            overhead_elements=(REPETITIONS * (1 + self._num_turns) + num_blocks * slot.num_symbols)
            * ofdm.num_active,
            airtime_s=(slot.num_samples(ofdm) + self._num_turns * self._schedule.turn_len)
            / ofdm.sample_rate_hz,
        )

    def _acquire(self, slot: AcquisitionSlot) -> SoundingSlot:
        """Find each device in its turn; those that have to sound and are not heard sit the round out.

        Those that sound are remembered once their sounding went well, so that a false alarm is forgotten.
        """
        self._num_turns += len(slot.devices)
        corrections = self._clocks.corrections(self._clocks.fresh(slot.round, slot.sounding))
        for turn, device in enumerate(slot.devices):
            found = self.find(slot, turn)
            if found is None:
                self._clocks.distrust([device])
            elif device in slot.sounding:
                corrections[device] = found.correction
            else:
                self._clocks.learn(device, found)
        heard = tuple(device for device in slot.sounding if device in corrections)
        if not heard:
            raise SyncError(
                f"round {slot.round}: none of {len(slot.devices)} devices was heard in its turn; check the receiver's "
                "gain, cable and center_hz, or raise link.snr_db"
            )
        return self._schedule.sounding_after(slot, heard, corrections)

    def find(self, slot: AcquisitionSlot, turn: int) -> Track | None:
        """The device of a turn, if it is heard; nothing is remembered."""
        device = slot.devices[turn]
        turn_index = slot.start_index + turn * slot.turn_len
        heard = self._receive(turn_index, slot.turn_len)
        path = self._searcher.locate(heard, device_identity(device), TURN_FALSE_ALARM)
        if path is None:
            return None
        before = slot.correction(device)
        departure = before.departure(slot.turn_index(device, self._ofdm))
        cfo_hz = before.cfo_hz + path.cfo_hz
        correction = Correction(
            delay_samples=turn_index + path.delay_samples - departure,
            cfo_hz=cfo_hz,
            drift=-cfo_hz / self._center_hz,
            reference_index=departure,
        )
        return Track(
            correction=correction, cfo_std_hz=path.cfo_std_hz, delay_std_samples=path.delay_std_samples
        )

    def _search(self, begin: int, length: int, devices: tuple[int, ...]) -> PathEstimate | None:
        """The first preamble of any of these devices that begins within `length` samples; its delay is an index."""
        return self._searcher.search(self._receive, begin, length, [device_identity(d) for d in devices])

    def close(self) -> None:
        """Close every radio, the receiver last."""
        for radio in (*self._transmitters.values(), self._receiver):
            radio.close()

    def _transmit(self, sent: Emissions) -> None:
        for device, bursts in sent.items():
            if device in self._transmitters:
                for burst in bursts:
                    self._transmitters[device].transmit(burst.samples, burst.start_index)

    def _receive(self, at: int, num_samples: int) -> Samples:
        """A reception may lie a long round ahead, or, in a run that is continued, all rounds before it."""
        ahead_s = max(0, at + num_samples - self._receiver.now()) / self._ofdm.sample_rate_hz
        return self._receiver.receive(at, num_samples, ahead_s + DEADLINE_S)
