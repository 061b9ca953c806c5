"""Devices over sockets: the same bits as in this process, every request ends, nothing is done twice."""

import time
from threading import Timer

import numpy as np
import pytest

from devices import messages
from devices.messages import Failed
from server.checkpoint import read_checkpoint
from server.experiment import ExperimentFailed, run_arm
from server.fleet import FleetError
from server.recorder import read_rounds
from tests.server.fleet import DIMENSION, make_rounds
from tests.server.missing import assert_same_end
from tests.server.remote import Process, open_fleet

THETA = np.zeros(DIMENSION, np.float32)


def over(rounds, fleet):
    object.__setattr__(rounds, "proxy", fleet)
    return rounds


def test_rounds_over_sockets_give_the_bits_of_rounds_in_one_process(tmp_path):
    run_arm(tmp_path / "here", make_rounds(fading="rayleigh"), lambda record: None)
    with open_fleet(devices=4, held_out=2) as fleet:
        processes = [Process(fleet.url, "one", 2), Process(fleet.url, "two", 3), Process(fleet.url, "three")]
        fleet.wait_for_all(5.0)
        run_arm(tmp_path / "there", over(make_rounds(fading="rayleigh"), fleet), lambda record: None)
    for process in processes:  # they were told that all is over
        process.join()
        assert process.error is None
    here, there = (read_checkpoint(tmp_path / place) for place in ("here", "there"))
    np.testing.assert_array_equal(here.theta, there.theta)
    assert here.memories.keys() == there.memories.keys() == {0, 1, 2, 3}
    for device, memory in here.memories.items():
        np.testing.assert_array_equal(memory, there.memories[device])
    assert (tmp_path / "here" / "rounds.jsonl").read_text() == (
        tmp_path / "there" / "rounds.jsonl"
    ).read_text()


def test_a_run_whose_devices_stay_away_stops_with_its_state_saved_and_another_server_goes_on(tmp_path):
    tables = {"fleet": {"devices": 4, "held_out": 2, "quorum": 4, "repeats": 1}}
    run_arm(tmp_path / "here", make_rounds(fading="rayleigh", **tables), lambda record: None)
    with open_fleet(devices=4, held_out=2, quorum=4, return_s=0.3) as fleet:
        Process(fleet.url, "one", 3, first=0)
        leaving = Process(fleet.url, "two", 3, first=3)
        fleet.wait_for_all(5.0)
        with pytest.raises(
            ExperimentFailed,
            match=r"round 3 has no quorum after 2 attempts, devices 3 are missing: 3 devices could train, "
            r"fleet.quorum is 4: device 3, train: its process is not there; state saved, bring them back",
        ):
            run_arm(
                tmp_path / "there",
                over(make_rounds(fading="rayleigh", **tables), fleet),
                lambda record: leaving.stop() if record["round"] == 1 else None,
            )
    assert read_checkpoint(tmp_path / "there").round == 2
    with open_fleet(devices=4, held_out=2, quorum=4) as fleet:
        Process(fleet.url, "all", 6)
        fleet.wait_for_all(5.0)
        run_arm(
            tmp_path / "there", over(make_rounds(fading="rayleigh", **tables), fleet), lambda record: None
        )
    assert_same_end(tmp_path / "here", tmp_path / "there")
    assert read_rounds(tmp_path / "here") == read_rounds(tmp_path / "there")


def test_devices_that_do_not_come_are_named():
    with open_fleet(devices=3) as fleet:
        process = Process(fleet.url, "one", first=1)
        with pytest.raises(
            FleetError, match=r"devices 0, 2 to 3 did not come within 1 s; start their processes"
        ):
            fleet.wait_for_all(1.0)
        process.stop()


def test_a_process_that_is_one_too_many_is_refused():
    with open_fleet(devices=1) as fleet:
        Process(fleet.url, "one", 2)
        fleet.wait_for_all(5.0)
        late = Process(fleet.url, "two")
        late.join()
        assert "two brings 1 devices and 0 of 2 are not taken" in str(late.error)


def test_who_is_not_there_fails_at_once_in_a_round_and_is_waited_for_between_rounds():
    with open_fleet(devices=1, return_s=0.3) as fleet:
        process = Process(fleet.url, "one", 2)
        fleet.wait_for_all(5.0)
        process.stop()
        (reply,) = fleet.ask({0: messages.Train(0, THETA, 0.1, 0.1)}).values()
        assert reply == Failed("device 0, train: its process is not there")
        (reply,) = fleet.ask({1: messages.Evaluate(THETA, (0,), 0.1)}).values()
        assert reply == Failed("device 1, evaluate: its process is not there")


def test_a_round_waits_for_its_quorum():
    with open_fleet(devices=3, quorum=2, return_s=20.0) as fleet:
        staying, leaving = Process(fleet.url, "one", 1, first=0), Process(fleet.url, "two", 2, first=1)
        Process(fleet.url, "judge")
        fleet.wait_for_all(5.0)
        leaving.stop()
        until_s = time.monotonic() + 5.0
        while fleet.look().devices[1].presence == "connected":  # its farewell is under way
            assert time.monotonic() < until_s
            time.sleep(0.01)
        back = Timer(0.3, lambda: Process(fleet.url, "two", 2, first=1))
        begun = time.monotonic()
        back.start()
        replies = fleet.ask(dict.fromkeys((0, 1, 2), messages.Train(0, THETA, 0.1, 0.1)))
        assert time.monotonic() - begun >= 0.3
        assert [type(reply) for reply in replies.values()] == [messages.Trained] * 3
        assert staying.error is None


def test_a_device_comes_back_with_the_memory_that_the_server_decided():
    with open_fleet(devices=1) as fleet:
        process = Process(fleet.url, "one", 2)
        fleet.wait_for_all(5.0)
        trained = fleet.ask({0: messages.Train(0, THETA, 0.1, 0.1)})[0]
        process.stop()
        assert isinstance(fleet.ask({0: messages.Acknowledge(0, False)})[0], Failed)
        again = Process(fleet.url, "one", 2)
        memory = fleet.ask({0: messages.Save()})[0].values
        np.testing.assert_array_equal(memory, trained.update)  # nothing was delivered: all is kept
        fleet.wait_for_all(5.0)
        second = fleet.ask({0: messages.Train(1, THETA, 0.1, 0.1)})[0]
        np.testing.assert_array_equal(second.update, trained.update + trained.update)
        np.testing.assert_array_equal(again.made[0].memory, trained.update)


def test_a_slow_device_is_late_and_its_late_answer_has_no_effect(caplog):
    import threading

    gate = threading.Event()

    def wrap(number, handle):
        def slow(request):
            if isinstance(request, messages.Train) and request.round == 0:
                gate.wait(5.0)
            return handle(request)

        return slow if number == 0 else handle

    with open_fleet(devices=2, reply_s=0.4) as fleet:
        Process(fleet.url, "one", 3, wrap=wrap)
        fleet.wait_for_all(5.0)
        replies = fleet.ask(dict.fromkeys((0, 1), messages.Train(0, THETA, 0.1, 0.1)))
        assert replies[0] == Failed("device 0, train: no answer within 0.4 s")
        assert isinstance(replies[1], messages.Trained)
        gate.set()
        replies = fleet.ask(dict.fromkeys((0, 1), messages.Train(1, THETA, 0.1, 0.1)))
        assert all(isinstance(reply, messages.Trained) for reply in replies.values())
    assert any("which is not waited for; dropped" in record.message for record in caplog.records)
