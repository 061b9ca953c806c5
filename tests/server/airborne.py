"""Rounds over a simulated air without a server around them: eight devices, known amplitudes."""

from typing import NamedTuple

import numpy as np

from devices.messages import Sound, Transmit
from radio.decibel import from_db
from radio.frame import element_level, modulate_frame
from radio.interface import Burst, RadioConfig
from radio.ofdm import OfdmConfig
from radio.pilots import Place
from radio.schedule import Schedule
from radio.seeds import Use, stream
from radio.sounding import (
    AcquisitionSlot,
    MeetingSlot,
    acquisition_burst,
    meeting_burst,
    sounding_bursts,
)
from radio.uplink import Plan, Slot, Sounding
from server.metrics import perfect_superposition, relative_error, unturn
from server.receiver import RadioUplink
from sim_backend.air import Air
from sim_backend.bands import Band
from sim_backend.dissection import AirTruth
from sim_backend.elements import PathElements
from sim_backend.front_end import FrontEnd, draw_front_end
from sim_backend.medium import PathMedium
from sim_backend.radio import SimRadio

OFDM = OfdmConfig()
BACKOFF_DB = 15.0
LEVEL = element_level(BACKOFF_DB, OFDM)
CONFIG = RadioConfig(sample_rate_hz=4e6, center_hz=915e6)
BAND = Band(CONFIG.sample_rate_hz, CONFIG.center_hz)
NUM_ELEMENTS = 6000
DEVICES = tuple(range(8))


class Judged(NamedTuple):
    """error: of the received amplitudes; noise: what noise of variance 1 would make of it; both over the perfect
    superposition's energy, as are the parts. slots, sounding: what went before."""

    error: float
    noise: float
    parts: dict[str, float]
    slots: list[Slot]
    sounding: Sounding


def open_uplink(impairments, snr_db, seed, devices=DEVICES, gap_s=1e-3, acquires=None, round_s=0.1):
    """(uplink, truth, medium). acquires: whether clocks are acquired and followed, by default where they run free."""
    medium = PathMedium(impairments, seed)
    air = Air(medium, memory_s=1.0)
    noise_variance = 0.0 if snr_db is None else from_db(-snr_db) * LEVEL**2
    front_end = draw_front_end(impairments, seed, -1, 4e6, noise_variance, from_db(-BACKOFF_DB))
    transmitters = {device: SimRadio(air, device, CONFIG, FrontEnd(seed, device)) for device in devices}
    free = impairments.clock == "free" if acquires is None else acquires
    schedule = Schedule(ofdm=OFDM, round_s=round_s, gap_s=gap_s, free_clocks=free, num_devices=len(devices))
    receiver = SimRadio(air, -1, CONFIG, front_end, 321)
    uplink = RadioUplink(receiver, transmitters, schedule, BACKOFF_DB, 915e6)
    return uplink, AirTruth(PathElements(medium, OFDM, 915e6), receiver, LEVEL, OFDM), medium


def run_round(uplink, truth, index, seed, devices=DEVICES, silent=(), emit=lambda request, bursts: bursts):
    """Sound, send Gaussian amplitudes, judge. Silent devices send nothing, and those that are not heard sit out.

    emit: (request, bursts by device) -> what of them the uplink has to put on the air.
    """
    slots, sounding = [], uplink.slot(index, devices)
    while not isinstance(sounding, Sounding):
        slots.append(sounding)
        sent = {device: () if device in silent else pilots(sounding, device) for device in sounding.devices}
        sounding = uplink.sound(sounding, emit(Sound(sounding), sent))
    devices = tuple(device for device in sounding.channels if np.isfinite(sounding.error_variances[device]))
    plan = Plan(round=index, seed=0, devices=devices, dimension=1, num_elements=NUM_ELEMENTS, num_kept=1,
                start_index=uplink.payload_index(sounding))  # fmt: skip
    amplitudes, frames = {}, {}
    for number, device in enumerate(devices):
        place = Place(number, len(devices))
        normal = stream(seed, Use.TEST_TASKS, index, device).normal(size=2 * NUM_ELEMENTS)
        channel = sounding.channels[device]
        amplitudes[device] = normal.view(complex) / np.sqrt(2) * channel.compensation(NUM_ELEMENTS)
        frames[device] = (modulate_frame(amplitudes[device], channel, plan.start_index, LEVEL, OFDM, place),)
    reception = uplink.collect(plan, emit(Transmit(plan), frames))
    unturned = unturn(plan, amplitudes, sounding.channels)
    perfect = perfect_superposition(plan, unturned, truth)
    energy = np.linalg.norm(perfect) ** 2
    parts = truth.disturbances(plan, unturned, sounding, reception)
    return Judged(
        relative_error(reception.amplitudes, perfect),
        NUM_ELEMENTS / energy,
        {name: part / energy for name, part in parts.items()},
        slots,
        sounding,
    )


def pilots(slot, device):
    """What a device sends in a slot."""
    if isinstance(slot, MeetingSlot):
        return scaled([meeting_burst(slot, OFDM)])
    if isinstance(slot, AcquisitionSlot):
        return scaled([acquisition_burst(slot, device, OFDM)])
    return scaled(sounding_bursts(slot, device, OFDM))


def scaled(bursts):
    return tuple(Burst(np.float32(LEVEL) * burst.samples, burst.start_index) for burst in bursts)
