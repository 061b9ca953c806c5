"""What the waveform loses on the named airs, against perfect knowledge of the same gains."""

import numpy as np
import pytest

from radio.decibel import from_db
from radio.frame import element_level, modulate_frame
from radio.interface import Burst, RadioConfig
from radio.ofdm import OfdmConfig
from radio.scenarios import scenario
from radio.schedule import Schedule
from radio.seeds import Use, stream
from radio.sounding import AcquisitionSlot, acquisition_burst, sounding_bursts
from radio.uplink import Plan
from server.metrics import perfect_superposition, relative_error
from server.receiver import RadioUplink
from sim_backend.air import Air
from sim_backend.elements import ElementTruth, PathElements
from sim_backend.front_end import FrontEnd, draw_front_end
from sim_backend.medium import PathMedium
from sim_backend.radio import SimRadio

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
OFDM = OfdmConfig()
BACKOFF_DB = 15.0
LEVEL = element_level(BACKOFF_DB, OFDM)
CONFIG = RadioConfig(sample_rate_hz=4e6, center_hz=915e6)
NUM_ELEMENTS = 6000
DEVICES = tuple(range(8))


def scaled(bursts):
    return tuple(Burst(np.float32(LEVEL) * burst.samples, burst.start_index) for burst in bursts)


def open_uplink(name, snr_db, seed):
    impairments = scenario(name)
    medium = PathMedium(impairments, seed)
    air = Air(medium, memory_s=1.0)
    noise_variance = from_db(-snr_db) * LEVEL**2
    front_end = draw_front_end(impairments, seed, -1, 4e6, noise_variance, from_db(-BACKOFF_DB))
    transmitters = {device: SimRadio(air, device, CONFIG, FrontEnd(seed, device)) for device in DEVICES}
    schedule = Schedule(ofdm=OFDM, round_s=0.1, gap_s=1e-3, free_clocks=impairments.clock == "free")
    uplink = RadioUplink(SimRadio(air, -1, CONFIG, front_end, 321), transmitters, schedule, BACKOFF_DB, 915e6)
    return uplink, ElementTruth(PathElements(medium, OFDM, 915e6))


def run_round(uplink, truth, index, seed):
    """(error of the received amplitudes, what noise alone would make of it), both relative to the superposition."""
    slot = uplink.slot(index, DEVICES)
    if isinstance(slot, AcquisitionSlot):
        slot = uplink.sound(slot, {d: scaled([acquisition_burst(slot, d, OFDM)]) for d in DEVICES})
    assert slot.devices == DEVICES
    sounding = uplink.sound(slot, {d: scaled(sounding_bursts(slot, d, OFDM)) for d in DEVICES})
    plan = Plan(round=index, seed=0, devices=DEVICES, dimension=1, num_elements=NUM_ELEMENTS, num_kept=1,
                start_index=sounding.payload_index)  # fmt: skip
    amplitudes, frames = {}, {}
    for device in DEVICES:
        draws = stream(seed, Use.TEST_TASKS, index, device).normal(size=2 * NUM_ELEMENTS).view(
            complex
        ) / np.sqrt(2)
        channel = sounding.channels[device]
        amplitudes[device] = draws * channel.compensation(NUM_ELEMENTS)
        frames[device] = (modulate_frame(amplitudes[device], channel, plan.start_index, LEVEL, OFDM),)
    received = uplink.collect(plan, frames).amplitudes
    perfect = perfect_superposition(plan, amplitudes, sounding.channels, truth)
    return relative_error(received, perfect), NUM_ELEMENTS / np.linalg.norm(perfect) ** 2


@pytest.mark.parametrize(
    ("name", "snr_db", "loss_db"),
    # a decibel at 10 dB where a reference is shared, two where clocks run free; twice that at 20 dB
    [
        ("bench", 10.0, 1.0),
        ("bench", 20.0, 2.0),
        ("indoor", 10.0, 2.0),
        ("free", 10.0, 2.0),
        ("free", 20.0, 4.0),
    ],
)
def test_the_waveform_comes_close_to_perfect_knowledge(name, snr_db, loss_db):
    uplink, truth = open_uplink(name, snr_db, seed=3)
    found, noise = np.mean([run_round(uplink, truth, index, 3) for index in range(4)], axis=0)
    assert 10 * np.log10(found / (noise * from_db(-snr_db))) < loss_db


def test_on_the_harshest_air_rounds_still_work_and_repeat_bit_for_bit():
    first, again = (
        [run_round(*open_uplink("harsh", 20.0, seed=5), index, 5)[0] for index in (0, 7)] for _ in range(2)
    )
    assert first == again
    assert max(first) < 0.3
