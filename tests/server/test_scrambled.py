"""Messages that come twice, in another order, or long after, in both directions: the same bits."""

import numpy as np

from devices import messages
from devices.messages import Failed
from devices.wire.envelope import Ask, Pulse
from server.experiment import run_arm
from server.recorder import read_rounds
from tests.server.fleet import DIMENSION, make_rounds
from tests.server.missing import assert_same_end
from tests.server.puppet import asked, puppets
from tests.server.remote import Process, open_fleet
from tests.server.scrambler import Scrambler

TABLES = {
    "run": {"rounds": 12, "test_tasks": 4, "progress_tasks": 2, "evaluate_every": 5, "checkpoint_every": 3},
    "fleet": {"devices": 4, "held_out": 2, "active": 3},
}
UNHURRIED = Pulse(beat_s=2.0, lost_s=60.0)  # a puppet beats only while it listens
THETA = np.zeros(DIMENSION, np.float32)


def test_a_link_that_repeats_and_reorders_changes_nothing(tmp_path, caplog):
    run_arm(tmp_path / "here", make_rounds(fading="rayleigh", **TABLES), lambda record: None)
    with open_fleet(devices=4, held_out=2, reply_s=20.0) as fleet:
        links = [Scrambler(fleet.url, seed) for seed in range(3)]
        processes = [
            Process(link.url, name, count)
            for link, name, count in zip(links, ("one", "two", "three"), (2, 3, 1), strict=True)
        ]
        fleet.wait_for_all(10.0)
        rounds = make_rounds(fading="rayleigh", **TABLES)
        object.__setattr__(rounds, "proxy", fleet)
        run_arm(tmp_path / "there", rounds, lambda record: None)
        fleet.close(over=True)
        for process in processes:
            process.join()
            assert process.error is None
        for link in links:
            link.close()
    assert_same_end(tmp_path / "here", tmp_path / "there")
    assert read_rounds(tmp_path / "here") == read_rounds(tmp_path / "there")
    for link in links:
        for numbers in link.sent.values():
            assert len(set(numbers)) < len(numbers)  # some came twice
            firsts = list(dict.fromkeys(numbers))
            assert firsts != sorted(firsts)  # and some before others that were sent earlier
    said = "\n".join(record.message for record in caplog.records)
    assert "which is not waited for; dropped" in said  # by the server
    assert "is old, or not for here; dropped" in said  # by a process


def test_a_device_is_asked_for_nothing_until_it_has_its_memory_back():
    memory = np.arange(DIMENSION, dtype=np.float32)
    with open_fleet(devices=1, held_out=1, reply_s=0.5, pulse=UNHURRIED) as fleet, puppets(fleet.url) as make:
        puppet = make()
        puppet.join("puppet", count=2)
        fleet.wait_for_all(5.0)

        def ask(request):
            return asked(fleet, {0: request})

        join = ask(messages.Memory(memory))
        puppet.answer(puppet.next_request()[0], messages.Done())
        assert isinstance(join()[0], messages.Done)
        assert isinstance(
            ask(messages.Train(0, THETA, 0.1, 0.1))()[0], Failed
        )  # no answer, so who knows what it holds
        puppet.next_request()
        join = ask(messages.Train(1, THETA, 0.1, 0.1))
        restore, request = puppet.next_request()
        np.testing.assert_array_equal(request.values, memory)
        assert puppet.hear(Ask, deadline_s=0.2) is None
        puppet.answer(restore, messages.Done())
        train, request = puppet.next_request()
        assert (type(request), request.round) == (messages.Train, 1)
        puppet.answer(train, messages.Trained(0.0, THETA))
        assert isinstance(join()[0], messages.Trained)
