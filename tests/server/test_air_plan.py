"""Which air and which addresses `airmeta air` serves."""

import os
import socket

import pytest

from radio.scenarios import SCENARIOS
from server.addresses import AddressError, check_free, consecutive, listener
from server.air_command import AirPlan, load_plan, plan_of
from server.config import ConfigError
from server.config_file import build

FULL_SCALE_DBM = 7.0


def plan(**tables):
    return plan_of(build(tables), FULL_SCALE_DBM)


def test_a_plan_follows_the_air_and_the_fleet():
    made = plan(
        run={"seed": 5},
        fleet={"devices": 3},
        air={"scenario": "harsh", "path_loss_db": 40.0},
        radio={"reference": "free", "prefix_len": 128},
    )
    assert (made.num_radios, made.seed, made.chip) == (4, 5, "ad9363a")
    assert made.impairments == SCENARIOS["harsh"].changed(path_loss_db=40.0)
    assert made.origin == "harsh and path_loss_db = 40.0"
    assert made.noise_figure_db is None
    assert plan(fleet={"devices": 1}) == AirPlan()


def test_a_noise_figure_is_taken_where_it_is_given():
    loud = {"scenario": "bench", "noise_figure_db": 9.0, "path_loss_db": 60.0}
    assert plan(link={"noise": "figure"}, air=loud).noise_figure_db == 9.0
    assert plan(link={"noise": "figure"}, air=loud | {"full_scale_dbm": 7.0}).noise_figure_db == 9.0


@pytest.mark.parametrize(
    ("center_hz", "chip"), [(325e6, "ad9363a"), (433e6, "ad9363a"), (169e6, "ad9364"), (5.8e9, "ad9364")]
)
def test_the_chip_is_the_least_that_reaches_the_carrier(center_hz, chip):
    assert plan(radio={"center_hz": center_hz}).chip == chip


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"link": {"fading": "rician"}}, 'link.fading = "rician" .* --set link.fading=none --set air.fading=rician'),
        ({"air": {"tap_delays_samples": [0, 2], "tap_powers_db": [0, -3]}}, "counts samples.*air.tap_delays_s"),
        ({"radio": {"center_hz": 7e9}}, "radio.center_hz = 7e.09, a Pluto's widest range is 70000000 to 6000000000"),
        ({"radio": {"sample_rate_hz": 5e5}, "link": {"gap_s": 0.01}}, "sample_rate_hz = 500000, a Pluto has 520833"),
        (
            {"link": {"noise": "figure"}, "air": {"scenario": "bench", "full_scale_dbm": 10.0}},
            "air.full_scale_dbm = 10, but virtual radios radiate 7 dBm",
        ),
    ],
)  # fmt: skip
def test_what_no_stream_can_be_is_refused(tables, message):
    with pytest.raises(ConfigError, match=message):
        plan(**tables)


ARMS = """
[fleet]
devices = 4
[[arm]]
name = "ideal"
link = { backend = "ideal", scheme = "ideal" }
[[arm]]
name = "wired"
[[arm]]
name = "aired"
air = { scenario = "bench" }
"""


def test_of_arms_one_air_is_served(tmp_path):
    path = tmp_path / "arms.toml"
    path.write_text(ARMS)
    with pytest.raises(ConfigError, match=r"have airs of their own: wired, aired; name one with --arm"):
        load_plan(path, (), None, FULL_SCALE_DBM)
    assert load_plan(path, (), "aired", FULL_SCALE_DBM).impairments == SCENARIOS["bench"]
    assert load_plan(path, (), "ideal", FULL_SCALE_DBM).origin == AirPlan.origin
    same = load_plan(path, ("air.scenario=bench", "fleet.devices=2"), None, FULL_SCALE_DBM)
    assert (same.impairments, same.num_radios) == (SCENARIOS["bench"], 3)
    with pytest.raises(ConfigError, match=r"--arm paired: .* has no such arm; known: ideal, wired, aired"):
        load_plan(path, (), "paired", FULL_SCALE_DBM)


def test_addresses_follow_each_other():
    assert consecutive("127.0.0.254", 4) == ("127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1")
    assert consecutive("192.168.7.1", 2, beyond_loopback=True) == ("192.168.7.1", "192.168.7.2")
    assert consecutive("::1", 1) == ("::1",)


@pytest.mark.parametrize(
    ("first", "count", "message"),
    [
        ("192.168.7.1", 2, "--host 192.168.7.1 --radios 2 reaches 192.168.7.1, .* neither authentication nor"),
        ("127.255.255.254", 3, "reaches 128.0.0.0, which is not in 127.0.0.0/8"),
        ("localhost", 1, "--host localhost: 1 addresses from there on do not exist; give an IP address such as"),
        ("255.255.255.255", 2, "2 addresses from there on do not exist"),
    ],
)  # fmt: skip
def test_addresses_that_are_none_or_everybodys_are_refused(first, count, message):
    with pytest.raises(ConfigError, match=message):
        consecutive(first, count)


def test_an_address_that_is_taken_names_who_has_it():
    host = "127.0.1.77"
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
        pid, command = listener(host, port)
        assert (pid, "python" in command) == (os.getpid(), True)
        with pytest.raises(
            AddressError, match=rf"^{host} port {port} is taken by process {pid} \(.*\); stop it .* --host"
        ):
            check_free(("127.0.1.76", host), port)
    check_free(("127.0.1.76", host), port)
    assert listener(host, port) is None
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        assert listener(host, everywhere.getsockname()[1]) == (pid, command)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(
        AddressError, match=r"^cannot listen at 192\.0\.2\.1 port 30431: .*; give addresses of this machine"
    ):
        check_free(("192.0.2.1",), 30431)  # TEST-NET-1, which nobody has
