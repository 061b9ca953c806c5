"""What the server knows of its devices' free-running clocks, from round to round: who may sound at once, who has to be
acquired before, and what a sounding teaches."""

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.ladder import LadderEstimate
from calibration.tracking import SIGMAS, Track, from_table, is_fresh, predict, to_table
from radio.correction import Correction
from radio.pilot_layout import num_channel_taps
from radio.schedule import TURN_SEARCH, Schedule
from radio.sounding import SoundingSlot

HEARD = (
    2.0  # a gain's power over its error's: silence has 1, and 2 still tells the phase to a tenth of a radian
)
STEADY_RAD = 0.8  # what fading and noise may turn a channel by within a slot; a miscounted turn leaves more
COUNTED_SHARE = 0.5  # of the offsets that the ladder can tell apart; nearer the edge they may be aliases
TABLE = "clocks"  # name of what is saved


class Clocks:
    """Tracks by device, and nothing else: what `save` gives is all that later rounds depend on."""

    def __init__(self, schedule: Schedule, center_hz: float) -> None:
        self._schedule, self._center_hz = schedule, center_hz
        self._tracks: dict[int, Track] = {}

    def save(self) -> dict[str, NDArray[Any]]:
        """Named arrays."""
        return {TABLE: to_table(self._tracks)}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Inverse of `save`."""
        self._tracks = from_table(saved[TABLE])

    def corrections(self, devices: Iterable[int]) -> dict[int, Correction]:
        """What is known of those of which anything is."""
        return {device: self._tracks[device].correction for device in devices if device in self._tracks}

    @property
    def known(self) -> frozenset[int]:
        """Devices of which anything is known."""
        return frozenset(self._tracks)

    def unsure(self, devices: Iterable[int]) -> frozenset[int]:
        """Those that were met, and whose last sounding did not agree."""
        return frozenset(d for d in devices if d in self._tracks and not self._tracks[d].confirmed)

    def forget(self, devices: Iterable[int]) -> None:
        """What is known of these does not hold any more."""
        for device in tuple(devices):
            self._tracks.pop(device, None)

    def fresh(self, round_index: int, devices: tuple[int, ...]) -> tuple[int, ...]:
        """Those that may sound in a round on what is known of them."""
        at, ofdm = self._schedule.start_index(round_index), self._schedule.ofdm
        return tuple(
            device
            for device in devices
            if device in self._tracks and is_fresh(self._tracks[device], at, self._center_hz, ofdm)
        )

    def turns(self, round_index: int, devices: tuple[int, ...]) -> tuple[int, ...]:
        """Who has to be acquired before `devices` sound: those of them that are not fresh; and, as far as there are
        spare turns, others that soon could not be found in a turn any more."""
        fresh = self.fresh(round_index, devices)
        unsure = tuple(device for device in devices if device not in fresh)
        idle = [device for device in range(self._schedule.num_devices) if device not in devices]
        waiting = [device for device in idle if not self._is_in_sight(device, round_index)]
        if not waiting:
            return unsure
        spare = min(self._schedule.num_spare_turns(len(devices)), len(waiting))
        first = round_index * spare % len(waiting)  # in rotation: silent ones must not keep others waiting
        return unsure + tuple((waiting + waiting)[first : first + spare])

    def learn(self, device: int, track: Track) -> None:
        """Remember what was measured."""
        self._tracks[device] = track

    def distrust(self, devices: Iterable[int]) -> None:
        """Acquire these before they sound again; what is known of them still says where to look."""
        for device in devices:
            if device in self._tracks:
                self._tracks[device] = replace(self._tracks[device], confirmed=False)

    def follow(
        self,
        slot: SoundingSlot,
        ladder: LadderEstimate,
        error_variances: NDArray[np.float64],
        middles_s: list[float],
        lateness_samples: NDArray[np.float64],
    ) -> dict[int, Correction]:
        """What the devices are to undo in the payload, of those whose sounding went well; the others are distrusted.

        error_variances: (num_devices,) of a gain in one block. middles_s: of the blocks. lateness_samples:
        (num_devices,) by how much each channel arrived late. What is remembered for the next round takes that up. So
        the delay is measured anew in each round, and errors of the frequency cannot add up in it.
        """
        powers = np.mean(np.abs(ladder.gains) ** 2, axis=1)
        most_hz = COUNTED_SHARE / (2.0 * (middles_s[1] - middles_s[0]))
        well = (
            (powers >= HEARD * error_variances)
            & (ladder.unsteady_rad < STEADY_RAD)
            & (np.abs(ladder.offsets_hz) < most_hz)
        )
        self.distrust(device for device, good in zip(slot.devices, well, strict=True) if not good)
        ofdm = self._schedule.ofdm
        relative = error_variances / np.maximum(powers, sys.float_info.min)
        # Errors lie in the space of the taps: along the channel's own direction there is a num_taps-th of them.
        ends_rad = np.maximum(np.sqrt(relative / num_channel_taps(ofdm)), ladder.unsteady_rad)
        stds_hz = ends_rad / (2.0 * np.pi * (middles_s[-1] - middles_s[0]))
        stds_samples = ofdm.fft_len / ofdm.num_active * np.sqrt(relative)
        followed = {}
        for number in np.flatnonzero(well):
            device = slot.devices[number]
            at = middles_s[-1] * ofdm.sample_rate_hz
            refined = self._refined(slot.correction(device), float(ladder.offsets_hz[number]), at)
            followed[device] = refined
            late = float(lateness_samples[number])
            self.learn(
                device,
                Track(
                    correction=replace(refined, delay_samples=refined.delay_samples + late),
                    cfo_std_hz=float(stds_hz[number]),
                    delay_std_samples=float(stds_samples[number]),
                ),
            )
        return followed

    def _refined(self, before: Correction, offset_hz: float, arrival_index: float) -> Correction:
        """What a device undid, refined by the offset that was left, without a jump at `arrival_index`."""
        at = round(before.exact_departure(arrival_index))
        cfo_hz = before.cfo_hz + offset_hz
        return Correction(
            delay_samples=before.delay_samples + before.drift * (at - before.reference_index),
            cfo_hz=cfo_hz,
            drift=-cfo_hz / self._center_hz,
            reference_index=at,
            phase_rad=math.remainder(before.rotation_rad(at, self._schedule.ofdm.sample_rate_hz), math.tau),
        )

    def _is_in_sight(self, device: int, round_index: int) -> bool:
        if device not in self._tracks:
            return False
        at, rate_hz = self._schedule.start_index(round_index), self._schedule.ofdm.sample_rate_hz
        expected = predict(self._tracks[device], at, self._center_hz, rate_hz)
        return SIGMAS * expected.delay_std_samples < TURN_SEARCH / 2
