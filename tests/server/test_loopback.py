"""One radio that hears itself through a cable: the receiver, and the only device."""

import re

import pytest

from calibration.procedure import Extent, calibrate
from calibration.verification import Verification
from radio.interface import RadioError
from radio.receiving_side import ReceivingSide
from server.compose_bench import open_bench
from server.compose_plutos import check_uris
from server.config import ConfigError
from server.config_file import build
from server.launch import Remote
from sim_backend.stream_air import StreamAirConfig
from sim_backend.virtual_bench import VirtualBench

HOST = "127.61.0.1"
LOOPBACK = {
    "fleet": {"devices": 1},
    "link": {"backend": "pluto"},
    "radio": {"uris": [f"ip:{HOST}"] * 2, "tx_gain_db": -30.0, "rx_gain_db": 40.0},
    "safety": {"conducted": True, "max_duty": 0.5},
}
EXTENT = Extent(span_s=0.1, front_ends=False, amplifiers=False, repeats=False)


def test_a_radio_on_a_cable_is_measured_by_itself():
    with (
        VirtualBench(1, StreamAirConfig(cable=True), first_host=HOST, patience_s=30.0),
        open_bench(build(LOOPBACK)) as bench,
    ):
        verification = Verification(bench)
        captures, missing = calibrate(bench, EXTENT, lambda step: None, verification)
        assert missing == {}
        profile = verification.profile(captures)
    (device,) = profile.devices
    # 7 dBm at full scale, attenuator and cable take 30 dB each, 40 dB of gain, full scale is 0 dBm at a gain of 0 dB
    assert device.gain_db.value == pytest.approx(7.0 - 30.0 - 30.0 + 40.0, abs=0.1)
    assert abs(device.cfo_hz.value) < 4.0 * device.cfo_hz.std < 0.01
    assert device.gain_slope.value == pytest.approx(1.0, abs=0.01)
    assert profile.receiver.gain_slope.value == pytest.approx(1.0, abs=0.01)
    assert device.after.gain_db.value == pytest.approx(device.gain_db.value, abs=0.1)


def test_its_receiving_side_does_not_send():
    with pytest.raises(RadioError, match="transmit through the radio itself"):
        ReceivingSide(None).transmit(None, 0)


def test_two_processes_do_not_share_it():
    with pytest.raises(ConfigError, match="two processes cannot open one radio; run without --processes"):
        check_uris(build(LOOPBACK), Remote("tcp://127.0.0.1:0", devices_a_process=1))


def test_it_needs_no_trigger():
    with pytest.raises(ConfigError, match=re.escape('set radio.trigger = "none"')):
        build(LOOPBACK | {"radio": {**LOOPBACK["radio"], "trigger": "external"}})
