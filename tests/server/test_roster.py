"""Who hosts which devices: by order of arrival, by wish, by what they have; and who is lost."""

import pytest

from devices.wire.envelope import Hello, Pulse
from server.roster import Busy, Rejected, Roster, ranges


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def roster(devices=4, held_out=2, with_radios=False):
    clock = Clock()
    return Roster(devices, held_out, with_radios, Pulse(beat_s=1.0, lost_s=5.0), clock), clock


def numbers(roster, name, count=1, first=-1, radios=0):
    peer = roster.admit(name.encode(), Hello(name, "i", count, first, radios))
    peer.ready = True
    return peer.numbers


def test_numbers_are_given_in_order_of_arrival_unless_others_are_wished_for():
    fleet, _ = roster()
    assert numbers(fleet, "a", 2) == (0, 1)
    assert numbers(fleet, "b", 1, first=4) == (4,)
    assert numbers(fleet, "c", 1, first=1) == (2,)  # its wish is taken
    assert fleet.missing() == [3, 5]
    assert numbers(fleet, "d", 2) == (3, 5)
    assert fleet.missing() == []
    with pytest.raises(Rejected, match="e brings 1 devices and 0 of 6 are not taken; lower --count"):
        numbers(fleet, "e")


def test_on_radios_training_devices_are_where_the_radios_are():
    fleet, _ = roster(with_radios=True)
    assert numbers(fleet, "judge", 2) == (4, 5)
    assert numbers(fleet, "a", 3, radios=3) == (0, 1, 2)
    with pytest.raises(Rejected, match="2 training devices, with radios, and 1 of 4 are not taken"):
        numbers(fleet, "b", 2, radios=2)
    with pytest.raises(Rejected, match="1 held-out devices, without radios, and 0 of 2"):
        numbers(fleet, "c")


def test_who_is_silent_is_lost_and_finds_its_numbers_again():
    fleet, clock = roster()
    numbers(fleet, "a", 2)
    numbers(fleet, "b", 2)
    clock.now_s = 4.0
    assert fleet.heard(b"b").name == "b"
    clock.now_s = 5.5
    assert [peer.name for peer in fleet.newly_lost()] == ["a"]
    assert fleet.newly_lost() == []
    assert fleet.host(0) is None
    assert fleet.host(2).name == "b"
    assert fleet.heard(b"a") is None  # it has to say hello
    assert fleet.missing() == [0, 1, 4, 5]
    again = fleet.admit(b"a, elsewhere", Hello("a", "another start", 2))
    assert again.numbers == (0, 1)
    assert fleet.heard(b"a, elsewhere") is again


def test_a_name_is_taken_over_only_from_one_that_has_gone_quiet():
    fleet, clock = roster()
    numbers(fleet, "a", 2)
    clock.now_s = 1.9
    with pytest.raises(Busy, match="a process called a is there already"):
        fleet.admit(b"x", Hello("a", "another start", 2))
    assert fleet.admit(b"y", Hello("a", "i", 2)).numbers == (0, 1)  # the same one, over a new connection
    assert fleet.heard(b"a") is None
    clock.now_s = 4.0
    assert fleet.admit(b"x", Hello("a", "another start", 2)).numbers == (0, 1)


def test_runs_of_numbers_in_words():
    assert ranges([0, 1, 2, 5, 7, 8]) == "0 to 2, 5, 7 to 8"
    assert ranges([]) == ""
