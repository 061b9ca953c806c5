"""The file that shows who is there: what it says of devices anywhere, how often it is written, when it goes."""

import json
import time
from threading import Event, Thread

import numpy as np

from devices import messages
from devices.messages import Done
from devices.proxy import LocalProxy
from server import board
from server.board import DeviceNow, FleetNow, posted, read_board
from tests.server.fleet import DIMENSION
from tests.server.remote import Process, open_fleet

THETA = np.zeros(DIMENSION, np.float32)


def soon(look, wanted, deadline_s=5.0):
    until = time.monotonic() + deadline_s
    while (found := look()) != wanted:
        assert time.monotonic() < until, found
        time.sleep(0.01)


def presences(fleet):
    return [device.presence for device in fleet.look().devices]


def test_a_fleet_tells_who_has_come_who_is_at_work_and_who_was_lost_since_when():
    gate = Event()

    def wrap(number, handle):
        def slow(request):
            if isinstance(request, messages.Train):
                gate.wait(5.0)
            return handle(request)

        return slow

    with open_fleet(devices=2, held_out=1) as fleet:
        assert presences(fleet) == ["not come"] * 3
        one, two = Process(fleet.url, "one", 2, first=0, wrap=wrap), Process(fleet.url, "two", first=2)
        began = time.time()
        fleet.wait_for_all(5.0)
        assert presences(fleet) == ["connected"] * 3
        names = [(device.process, device.working_on) for device in fleet.look().devices]
        assert names == [("one", None), ("one", None), ("two", None)]
        asking = Thread(target=fleet.ask, args=({1: messages.Train(4, THETA, 0.1, 0.1)},))
        asking.start()
        soon(lambda: [device.working_on for device in fleet.look().devices], [None, "train", None])
        assert fleet.look().round == 4
        assert began - 1 < fleet.look().devices[1].asked < time.time() + 1
        gate.set()
        asking.join()
        assert fleet.look().devices[1].working_on is None
        two.stop()
        soon(lambda: presences(fleet), ["connected", "connected", "lost"])
        assert fleet.look().devices[2].process == "two"
        assert began - 1 < fleet.look().devices[2].since < time.time() + 1
        assert set(fleet.hosts()) == {"one", "two"}  # what made the run is not forgotten
        one.stop()


def test_devices_of_this_process_tell_what_they_are_at():
    gate, request = Event(), messages.Train(4, THETA, 0.1, 0.1)

    def wait(request):
        assert proxy.at_work()[3][0] is request
        gate.set()
        return Done()

    proxy = LocalProxy({3: wait}, threads=1)
    proxy.ask({3: request})
    assert gate.is_set()
    assert proxy.at_work() == {}
    proxy.close()


def test_it_is_written_on_change_alone_and_goes_with_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(board, "PERIOD_S", 0.02)
    written, found = [], FleetNow((DeviceNow(0, "connected"),))
    whole = board.write_whole
    monkeypatch.setattr(board, "write_whole", lambda *a, **k: (written.append(a[1]), whole(*a, **k)))
    looks = []

    def look():
        looks.append(time.monotonic())
        return found

    with posted(look, tmp_path / "fleet.json"):
        soon(lambda: read_board(tmp_path), found)
        soon(lambda: len(looks) > 4, True)
        assert len(written) == 1
        found = FleetNow((DeviceNow(0, "lost", "desk-1", since=5.0),), round=3)
        soon(lambda: read_board(tmp_path), found)
        assert len(written) == 2
    assert not (tmp_path / "fleet.json").exists()
    assert json.loads(written[1])["devices"][0]["presence"] == "lost"


def test_a_disk_that_is_full_is_said_once_and_ends_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(board, "PERIOD_S", 0.01)
    looks = []

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(board, "write_whole", full)
    with posted(lambda: looks.append(0) or FleetNow(()), tmp_path / "fleet.json"):
        soon(lambda: len(looks) > 3, True)
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}/fleet.json cannot be written: No space left on device"
    ]


def test_a_file_that_is_none_is_no_board(tmp_path):
    assert read_board(tmp_path) is None
    (tmp_path / "fleet.json").write_text('{"devices": 3}')
    assert read_board(tmp_path) is None
