"""What an inventory says against what is there."""

import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devices.wire.keys import make_keys
from server.__main__ import app
from server.config import ConfigError
from server.doctor import ask_serial
from server.lab_doctor import examine_lab, shares_here
from server.lab_file import load_lab
from sim_backend.stream_air import StreamAirConfig
from sim_backend.virtual_bench import VirtualBench
from tests.reference.benches import first_host
from tests.server.test_knock import listening, strike_off

LAB = """
[server]
url = "{url}"
keys = "keys"
radio = "{radios[0]}"
serial = "{serials[0]}"
[[device]]
name = "left"
radio = "{radios[1]}"
serial = "{serials[1]}"
[[device]]
name = "right"
radio = "{radios[2]}"
serial = "{serials[2]}"
[[device]]
name = "judge"
host = "{judge}"
"""
FIRST_LIGHT = str(Path(__file__).parents[2] / "experiments" / "first_light.toml")
NAMES = ("left", "right", "judge")


def free_url():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(scope="module")
def air():
    """(URIs, serials) of three virtual radios."""
    with VirtualBench(3, StreamAirConfig(), first_host=first_host()) as bench:
        yield bench.uris, [ask_serial(uri) for uri in bench.uris]


@pytest.fixture
def lab(air, tmp_path):
    """Makes an inventory of that air: of its radios in an order, with serials in another."""
    uris, serials = air
    make_keys(tmp_path / "keys", NAMES)

    def make(radios=(0, 1, 2), stated=(0, 1, 2), url="", judge="127.0.0.1", gone=None):
        path = tmp_path / "lab.toml"
        shown = [uris[number] if number != gone else "ip:127.200.0.1" for number in radios]
        text = LAB.format(
            url=url or free_url(), radios=shown, serials=[serials[n] for n in stated], judge=judge
        )
        path.write_text(text)
        return load_lab(path)

    return make


def verdicts(examined):
    return {finding.name: finding.verdict for finding in examined.findings}


def finding(examined, name):
    return next(each for each in examined.findings if each.name == name)


def test_every_radio_tells_a_serial_of_its_own(air):
    assert len(set(air[1])) == 3


def test_a_lab_where_all_is_as_stated(lab):
    examined = examine_lab(lab(), None)
    assert set(verdicts(examined).values()) == {"ok"}
    assert examined.here == ("server", *NAMES)
    assert {"torch", "adi", "matplotlib"} <= examined.needed
    assert "no server listens yet" in finding(examined, "left to server").detail
    assert "allowed lists all 3" in finding(examined, "server keys").detail


def test_radios_that_were_swapped_are_found_and_whose_they_are(lab):
    examined = examine_lab(lab(radios=(0, 2, 1)), None)
    assert {name for name, verdict in verdicts(examined).items() if verdict != "ok"} == {
        "left radio",
        "right radio",
    }
    assert "that is the radio of right: they are swapped" in finding(examined, "left radio").remedy
    assert "that is the radio of left: they are swapped" in finding(examined, "right radio").remedy


def test_a_radio_that_nobody_stated_is_another(lab, air):
    made = lab()
    text = made.path.read_text().replace(air[1][1], "0123456789abcdef")
    made.path.write_text(text)
    wrong = finding(examine_lab(load_lab(made.path), "left"), "left radio")
    assert wrong.verdict == "wrong"
    assert f"has serial {air[1][1]}, {made.path} states 0123456789abcdef" in wrong.detail
    assert "knows no such radio" in wrong.remedy
    made.path.write_text(text.replace('serial = "0123456789abcdef"\n', ""))
    unstated = finding(examine_lab(load_lab(made.path), "left"), "left radio")
    assert (unstated.verdict, air[1][1] in unstated.detail) == ("ok", True)


def test_a_radio_that_does_not_answer_is_missing_and_its_place_is_named(lab):
    missing = finding(examine_lab(lab(gone=1), None), "left radio")
    assert (missing.verdict, missing.detail.startswith("ip:127.200.0.1: no answer")) == ("missing", True)


def test_a_key_that_others_may_read_and_one_that_is_not_there(lab):
    made = lab()
    (made.keys / "left.key").chmod(0o644)
    (made.keys / "right.key").unlink()
    examined = examine_lab(made, None)
    assert finding(examined, "left keys").detail.endswith("left.key has mode 644, others may read it")
    assert finding(examined, "left keys").remedy == f"chmod 600 {made.keys}/left.key"
    assert "No such file or directory" in finding(examined, "right keys").detail
    assert "without keys" in finding(examined, "right to server").detail
    assert verdicts(examined)["judge keys"] == "ok"


def test_a_device_that_the_server_would_not_let_in(lab):
    made = lab()
    strike_off(made.keys / "allowed", "right")
    missing = finding(examine_lab(made, "server"), "server keys")
    assert (missing.verdict, missing.detail) == ("missing", f"{made.keys}/allowed does not list right")
    assert missing.remedy == f"airmeta keys {made.keys} --lab {made.path}"


def test_a_server_that_listens_is_asked_for_its_keys(lab):
    made = lab()
    with listening(made.keys) as url:
        examined = examine_lab(lab(url=url), "left")
        assert "lets it in" in finding(examined, "left to server").detail
        strike_off(made.keys / "allowed", "left")
        examined = examine_lab(lab(url=url), "left")
        assert finding(examined, "left to server").detail.endswith("does not let it in")


def test_a_port_that_another_program_has(lab):
    with socket.create_server(("127.0.0.1", 0)) as other:
        made = lab(url=f"tcp://127.0.0.1:{other.getsockname()[1]}")
        taken = finding(examine_lab(made, "server"), "server port")
        assert (taken.verdict, f"is taken by process {os.getpid()}" in taken.detail) == ("wrong", True)
        mute = finding(examine_lab(made, "left"), "left to server")
        assert "somebody listens who is no server" in mute.detail


def test_an_address_that_is_not_of_this_machine(lab):
    examined = examine_lab(lab(url="tcp://240.0.0.1:5750"), "server")
    assert "cannot listen at 240.0.0.1 port 5750" in finding(examined, "server port").detail


def test_each_host_examines_what_is_on_it(lab):
    made = lab(judge="240.0.0.1")
    examined = examine_lab(made, None)
    assert examined.here == ("server", "left", "right")
    assert "to be examined there too: 240.0.0.1" in examined.findings[0].detail
    assert examine_lab(made, "judge").here == ("judge",)
    assert "adi" not in examine_lab(made, "judge").needed
    with pytest.raises(
        ConfigError, match=r"has no process on this machine, none of whose addresses is one of 240.0.0"
    ):
        shares_here(lab(url="tcp://240.0.0.1:5750", judge="240.0.0.1"), None)


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)), env={"COLUMNS": "200"})


def test_the_command_says_whether_all_can_start(lab):
    good = run("doctor", "--lab", lab().path)
    assert good.exit_code == 0, good.output
    assert "can start here: server, left, right, judge" in good.output
    bad = run("doctor", "--lab", lab(radios=(0, 2, 1)).path)
    assert bad.exit_code == 1
    assert "cannot start here: server, left, right, judge; mend what is missing or wrong above" in bad.output
    one = run("doctor", "--lab", lab(radios=(0, 2, 1)).path, "--id", "judge")
    assert one.exit_code == 0, one.output


def test_the_radios_of_a_lab_are_silenced(lab, air):
    pytest.importorskip("adi", reason="needs pyadi-iio and pylibiio (extra radio)")
    done = run("silence", "--lab", lab().path)
    assert (done.exit_code, done.output) == (0, "".join(f"{uri}: silent\n" for uri in air[0]))
    assert run("silence", "--lab", lab().path, "--id", "judge").output == ""
    gone = run("silence", "--lab", lab(gone=1).path, "--id", "left")
    assert gone.exit_code == 1
    assert "no Pluto answers at ip:127.200.0.1" in gone.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("doctor", "--id", "left"), "--id left has no effect without --lab; add it"),
        (("silence", "--id", "left"), "--id left has no effect without --lab; add it"),
        (("silence",), "no radio is named; give URI ..., or --lab FILE"),
        (("doctor", "--lab", "{lab}", "--id", "other"), "--id other is not in"),
        (("doctor", "--lab", "/nowhere.toml"), "/nowhere.toml: No such file or directory"),
        (("device", "--lab", "{lab}", "--id", "other"), "--id other is not in"),
        (("device", "--lab", "{lab}", "--id", "left", "--count", "2"), "--count 2 with 1 radios"),
        (("device", "--id", "left"), "give --server URL, or --lab FILE"),
        (("keys", "{folder}", "--lab", "/nowhere.toml"), "/nowhere.toml: No such file or directory"),
        (("server", FIRST_LIGHT, "--lab", "{lab}", "--set", "fleet.devices=3"),
         "has 2 devices with radios, fleet.devices = 3 are needed"),
        (("server", FIRST_LIGHT, "--lab", "{lab}", "--bind", "tcp://0.0.0.0:0", "--set",
          "fleet.held_out=4"), "has 1 devices without radios"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(words, message, lab, tmp_path):
    path = lab().path
    done = run(*(word.format(lab=path, folder=tmp_path / "new") for word in words))
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
    assert message in done.stderr
    assert not (tmp_path / "new").exists()


def test_keys_are_made_for_all_names_of_an_inventory(lab, tmp_path):
    done = run("keys", tmp_path / "new", "another", "--lab", lab().path)
    assert done.exit_code == 0, done.output
    made = {path.name for path in (tmp_path / "new").iterdir()}
    assert made == {"server.key", "server.pub", "allowed", "another.key", *(f"{name}.key" for name in NAMES)}
