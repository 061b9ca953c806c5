"""Rounds over radios that keep their own time: clocks that nobody knows, met and followed as time goes."""

from dataclasses import replace

import numpy as np
import pytest
from airborne import BACKOFF_DB, CONFIG, DEVICES, LEVEL, OFDM, run_round

from devices.messages import Failed, Sent
from devices.on_air import OnAir
from devices.proxy import guarded
from radio.decibel import from_db, to_db
from radio.rebased import RebasedRadio
from radio.scenarios import scenario
from radio.sounding import AcquisitionSlot, MeetingSlot, SoundingSlot
from radio.uplink import SyncError
from server.live import LiveSchedule, LiveUplink
from sim_backend.air import Air
from sim_backend.dissection import AirTruth
from sim_backend.elements import PathElements
from sim_backend.front_end import FrontEnd, draw_front_end
from sim_backend.medium import PathMedium
from sim_backend.radio import SimRadio

AHEAD_S = 0.02


class Bench:
    """Eight radios and a receiver whose clocks read anything at all, on an air."""

    def __init__(self, impairments, snr_db=20.0, seed=0, devices=DEVICES):
        medium = PathMedium(impairments, seed)
        air = Air(medium, memory_s=1.0)
        rng = np.random.default_rng(seed)
        variance = from_db(-snr_db) * LEVEL**2
        front_end = draw_front_end(impairments, seed, -1, 4e6, variance, from_db(-BACKOFF_DB))
        self.receiver = SimRadio(air, -1, CONFIG, front_end, int(rng.integers(1 << 40)))
        self.radios = {
            device: SimRadio(air, device, CONFIG, FrontEnd(seed, device), int(rng.integers(1 << 40)))
            for device in devices
        }
        self.sent, self.failures = {}, []
        self.on_air = {
            device: guarded(OnAir(lambda request, d=device: Sent(self.sent[d]), radio), device)
            for device, radio in self.radios.items()
        }
        clock = RebasedRadio(self.receiver)
        schedule = LiveSchedule(
            ofdm=OFDM, round_s=1.0, gap_s=1e-3, free_clocks=impairments.clock == "free",
            now=clock.now, ahead_s=AHEAD_S, meeting_s=0.1,
        )  # fmt: skip
        self.uplink = LiveUplink(clock, schedule, BACKOFF_DB, 915e6)
        self.truth = AirTruth(PathElements(medium, OFDM, 915e6), self.receiver, LEVEL, OFDM)

    def emit(self, request, bursts):
        """Every device asked, as the server asks it."""
        self.sent = bursts
        replies = {device: self.on_air[device](request) for device in bursts}
        self.failures += [reply.reason for reply in replies.values() if isinstance(reply, Failed)]
        return {device: reply.emitted for device, reply in replies.items() if isinstance(reply, Sent)}

    def run(self, index, devices=DEVICES, silent=()):
        return run_round(self.uplink, self.truth, index, 0, devices, silent, self.emit)


def kinds(judged):
    return [type(slot) for slot in judged.slots]


@pytest.mark.parametrize("name", ["bench", "free"])
def test_strangers_are_met_once_and_then_add_up_as_known_clocks_do(name):
    bench = Bench(replace(scenario(name), doppler_hz=0.0))
    first = bench.run(0)
    assert kinds(first) == [MeetingSlot] * 8 + [SoundingSlot]
    for index in range(1, 4):
        judged = bench.run(index)
        assert kinds(judged) == [SoundingSlot]
        # noise, which is all that perfect knowledge would leave, and 2 dB
        assert judged.error < from_db(2.0) * judged.noise * 0.01, to_db(judged.error)
    assert bench.failures == []


def test_a_device_that_begins_a_new_epoch_is_met_anew_and_the_others_are_not():
    bench = Bench(scenario("bench"))
    bench.run(0)
    radio = bench.radios[3]
    radio.configure(center_hz=916e6)
    radio.configure(center_hz=915e6)
    assert set(bench.run(1).sounding.channels) == set(DEVICES) - {3}
    assert "new epoch since its clock was met" in bench.failures[0]
    assert kinds(bench.run(2)) == [MeetingSlot, SoundingSlot]


def test_a_receiver_that_begins_a_new_epoch_meets_everybody_anew():
    bench = Bench(scenario("bench"))
    bench.run(0, devices=(0, 1))
    bench.receiver.configure(center_hz=916e6)
    bench.receiver.configure(center_hz=915e6)
    assert kinds(bench.run(1, devices=(0, 1))) == [MeetingSlot, MeetingSlot, SoundingSlot]


def test_a_device_that_is_never_heard_sits_out_and_is_asked_again():
    bench = Bench(scenario("free"))
    judged = bench.run(0, devices=(0, 1, 2), silent=(1,))
    assert judged.sounding.channels.keys() == {0, 2}
    judged = bench.run(1, devices=(0, 1, 2))
    assert kinds(judged) == [MeetingSlot, SoundingSlot]
    assert judged.sounding.channels.keys() == {0, 1, 2}


def test_nobody_heard_is_said_with_what_to_check():
    bench = Bench(scenario("bench"))
    with pytest.raises(
        SyncError, match=r"none of 2 devices was heard within 0.1 s .* check the receiver's gain, cable"
    ):
        bench.run(0, devices=(0, 1), silent=(0, 1))


def test_a_clock_that_is_lost_track_of_is_found_in_a_turn_or_met_anew():
    bench = Bench(scenario("free"))
    bench.run(0, devices=(0, 1, 2))
    with pytest.raises(SyncError):
        bench.run(1, devices=(0,), silent=(0,))  # now it is not sure where it is
    assert kinds(bench.run(2, devices=(0, 1))) == [AcquisitionSlot, SoundingSlot]
    for _ in range(2):
        with pytest.raises(SyncError):
            bench.run(3, devices=(0,), silent=(0,))
    assert kinds(bench.run(4, devices=(0, 1))) == [MeetingSlot, SoundingSlot]


def test_a_payload_is_planned_no_sooner_than_it_can_be_sent():
    bench = Bench(scenario("bench"))
    judged = bench.run(0)
    waited = 0.1
    bench.receiver.receive(bench.receiver.now(), int(waited * 4e6), 1.0)  # while somebody computes
    ready = bench.receiver.now() - bench.uplink._rebased.origin
    assert bench.uplink.payload_index(judged.sounding) == ready + round(AHEAD_S * 4e6)


def test_what_is_asked_of_a_clock_that_was_never_met_is_refused():
    bench = Bench(scenario("bench"))
    bench.sent = {0: ()}
    clock = RebasedRadio(bench.radios[0])
    with pytest.raises(RuntimeError, match="has not been met yet"):
        clock.now()
    clock.restart()
    assert clock.now() == 0
    assert clock.config is bench.radios[0].config
