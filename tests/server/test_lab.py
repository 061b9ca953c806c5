"""An inventory: strictly read, refused as a whole where it contradicts itself, and what commands take from it."""

import re

import pytest

from server.config import Arm, ConfigError
from server.config_file import build
from server.lab import Share
from server.lab_file import load_lab
from server.lab_use import DeviceTerms, check_arms, device_terms, server_terms, share_of

SERVER = '[server]\nurl = "tcp://127.0.0.1:5750"\n'
WHOLE = """
[server]
url = "tcp://10.0.0.1:5750"
bind = "tcp://*:5750"
keys = "keys"
radio = "ip:192.168.2.1"
serial = "a1"
[[device]]
name = "left"
host = "10.0.0.11"
radio = "ip:192.168.2.1"
serial = "a2"
first = 0
[[device]]
name = "judge"
count = 3
"""


def lab_of(tmp_path, text):
    path = tmp_path / "lab.toml"
    path.write_text(text)
    return load_lab(path)


def test_a_lab_is_what_its_file_says(tmp_path):
    lab = lab_of(tmp_path, WHOLE)
    assert lab.shares() == (
        Share("server", "10.0.0.1", "ip:192.168.2.1", "a1"),
        Share("left", "10.0.0.11", "ip:192.168.2.1", "a2"),  # the same address, on another host's USB
        Share("judge", "10.0.0.1", "", ""),
    )
    assert lab.keys == tmp_path / "keys"
    assert lab.bind == "tcp://*:5750"
    assert share_of(lab, "judge").host == "10.0.0.1"


def test_an_absolute_folder_of_keys_is_where_it_says(tmp_path):
    text = SERVER + 'keys = "/etc/airmeta/keys"\n[[device]]\nname = "a"\n'
    assert str(lab_of(tmp_path, text).keys) == "/etc/airmeta/keys"


def test_commands_take_what_their_flags_leave_open(tmp_path):
    lab = lab_of(tmp_path, WHOLE)
    assert server_terms(lab, None, None, ["run.rounds=3"], "unused") == (
        "tcp://*:5750", tmp_path / "keys", ['radio.uris=["ip:192.168.2.1"]', "run.rounds=3"],
    )  # fmt: skip
    assert device_terms(lab, "left", None, None, -1, (), None) == DeviceTerms(
        "tcp://10.0.0.1:5750", 1, 0, ("ip:192.168.2.1",), tmp_path / "keys"
    )
    assert device_terms(lab, "judge", None, None, -1, (), None) == DeviceTerms(
        "tcp://10.0.0.1:5750", 3, -1, (), tmp_path / "keys"
    )


def test_flags_count_more_than_the_inventory(tmp_path):
    lab, mine = lab_of(tmp_path, WHOLE), tmp_path / "mine"
    assert server_terms(lab, "tcp://127.0.0.1:1", mine, None, "unused")[:2] == ("tcp://127.0.0.1:1", mine)
    terms = device_terms(lab, "left", "tcp://127.0.0.1:1", None, 7, ("ip:b", "ip:c"), mine)
    assert terms == DeviceTerms("tcp://127.0.0.1:1", 2, 7, ("ip:b", "ip:c"), mine)
    assert device_terms(lab, "judge", None, 5, -1, (), None).count == 5


def test_without_an_inventory_all_is_as_the_flags_say():
    assert server_terms(None, None, None, None, "tcp://127.0.0.1:5750") == ("tcp://127.0.0.1:5750", None, [])
    assert device_terms(None, "a", "tcp://h:1", None, -1, (), None) == DeviceTerms(
        "tcp://h:1", 1, -1, (), None
    )
    with pytest.raises(ConfigError, match="give --server URL, or --lab FILE, which says it"):
        device_terms(None, "a", None, None, -1, (), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a lab has a table [server] and at least one [[device]]; add what is missing"),
        (SERVER, "at least one [[device]]; add"),
        ("[server\n", "not TOML"),
        ("[lab]\n", "unknown table lab; known: server, device"),
        (SERVER + "[device]\nname = 'a'\n", "device must be an array of tables; write [[device]]"),
        (SERVER + "uri = 'a'\n[[device]]\nname = 'a'\n", "unknown key server.uri; known: url, bind, keys, radio"),
        (SERVER + "[[device]]\nnmae = 'a'\n", "unknown key device.nmae; known: name, host, radio"),
        (SERVER + "[[device]]\ncount = 2\n", "[[device]] 1, 'without a name': Object missing required field name"),
        (SERVER + "[[device]]\nname = 'a'\ncount = 'b'\n",
         "[[device]] 1, 'a': device.count = 'b': expected int, got str; see docs/lab.md"),
        (SERVER + "[[device]]\nname = 'a'\ncount = 0\n", "device.count = 0: expected int >= 1"),
        (SERVER + "[[device]]\nname = 'a'\nfirst = -1\n", "device.first = -1: expected int >= 0"),
        (SERVER + "[[device]]\nname = 'a b'\n", "a device cannot be called 'a b'"),
        (SERVER + "[[device]]\nname = 'server'\n", "a device cannot be called 'server'"),
        (SERVER + "[[device]]\nname = 'a'\n" * 2, "a and a have one name, a; give each its own"),
        (SERVER + "radio = 'ip:b'\n[[device]]\nname = 'a'\nradio = 'ip:b'\n",
         "server and a have one radio, ip:b at 127.0.0.1; give each its own"),
        (SERVER + "radio = 'ip:b'\nserial = '1'\n[[device]]\nname = 'a'\nradio = 'ip:c'\nserial = '1'\n",
         "server and a have one serial, 1; give each its own"),
        (SERVER + "radio = 'usb:1.5.5'\n[[device]]\nname = 'a'\nradio = 'ip:c'\n",
         "server has radio = 'usb:1.5.5'; write ip:HOST, as an address on USB changes"),
        (SERVER + "[[device]]\nname = 'a'\nserial = '1'\n", "a has a serial and no radio; add radio"),
        (SERVER + "radio = 'ip:b'\n[[device]]\nname = 'a'\nradio = 'ip:c'\ncount = 2\n",
         "a has a radio and count = 2; a device with a radio is a process of its own"),
        (SERVER + "[[device]]\nname = 'a'\nradio = 'ip:c'\n", "radios are needed on both sides"),
        (SERVER + "radio = 'ip:c'\n[[device]]\nname = 'a'\n", "radios are needed on both sides"),
        (SERVER + "[[device]]\nname = 'a'\ncount = 3\nfirst = 0\n[[device]]\nname = 'b'\nfirst = 2\n",
         "a and b both host device 2; change first or count of one"),
        ('[server]\nurl = "5750"\n[[device]]\nname = "a"\n',
         "server.url = '5750' is not of the form tcp://ADDRESS:PORT"),
        ('[server]\nurl = "tcp://a:many"\n[[device]]\nname = "a"\n', "server.url = 'tcp://a:many' is not of the form"),
        ('[server]\nurl = "tcp://lab-server:5750"\nkeys = "k"\n[[device]]\nname = "a"\n',
         "server.url tcp://lab-server:5750 is not of the form tcp://ADDRESS:PORT"),
        ('[server]\nurl = "tcp://10.0.0.1:5750"\n[[device]]\nname = "a"\n',
         "server.url tcp://10.0.0.1:5750 reaches beyond the loopback"),
        (SERVER + 'bind = "tcp://*:5750"\n[[device]]\nname = "a"\n',
         "server.bind tcp://*:5750 reaches beyond the loopback, where only devices with keys may connect; make keys "
         "with airmeta keys DIR and give server.keys"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(text, message, tmp_path):
    with pytest.raises(ConfigError) as refusal:
        lab_of(tmp_path, text)
    assert message in str(refusal.value)
    assert str(refusal.value).startswith(f"{tmp_path}/lab.toml: ")
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="No such file or directory; give the path of a TOML file"):
        load_lab(tmp_path / "none.toml")


def test_a_name_that_is_not_in_the_inventory(tmp_path):
    lab = lab_of(tmp_path, WHOLE)
    with pytest.raises(
        ConfigError, match=r"--id right is not in .*lab.toml; known: left, judge; add a \[\[device\]\]"
    ):
        device_terms(lab, "right", None, None, -1, (), None)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"fleet": {"devices": 1, "held_out": 3}, "link": {"backend": "pluto"}}, None),
        ({"fleet": {"devices": 2, "held_out": 2}, "link": {"backend": "symbol"}}, None),
        ({"fleet": {"devices": 2, "held_out": 2}, "link": {"backend": "pluto"}},
         "has 1 devices with radios, fleet.devices = 2 are needed; add to it, or ask for fewer with --set"),
        ({"fleet": {"devices": 1, "held_out": 4}, "link": {"backend": "pluto"}},
         "has 3 devices without radios, fleet.held_out = 4 are needed"),
        ({"fleet": {"devices": 3, "held_out": 2}, "link": {"backend": "symbol"}},
         "has 4 devices, fleet.devices + fleet.held_out = 5 are needed"),
    ],
)  # fmt: skip
def test_a_lab_has_to_have_the_devices_that_an_experiment_asks_for(tables, message, tmp_path):
    lab = lab_of(tmp_path, WHOLE)
    uris = {"radio": {"uris": ["ip:a"]}} if tables["link"]["backend"] == "pluto" else {}
    arms = [Arm("", build(tables | uris))]
    if message is None:
        check_arms(lab, arms)
    else:
        with pytest.raises(ConfigError, match=re.escape(message)):
            check_arms(lab, arms)
