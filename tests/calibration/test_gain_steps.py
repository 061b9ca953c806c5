"""Settings of gains that are wrong by known amounts: one capture over simulated radios, scaled."""

import dataclasses

import numpy as np
import pytest

from calibration.hardware_findings import of_gain_steps, of_receive_gain_steps
from calibration.turns import alone
from calibration.waveforms import SHORT_SYMBOLS
from server.compose_bench import open_bench
from server.config_file import build

SETTINGS_DB = (20.0, 19.0, 18.0, 16.0, 12.0)
ERRORS_DB = (
    0.0,
    0.0,
    0.3,
    0.3,
    0.3,
)  # by which a level is off: the step from 18 to 19 rises by 0.3 too little


@pytest.fixture(scope="module")
def heard():
    known = build(
        {
            "fleet": {"devices": 2},
            "link": {"backend": "waveform", "snr_db": 30.0},
            "air": {"scenario": "bench"},
        }
    )
    with open_bench(known) as bench:
        bench.listen("silence", 1000)
        for device in bench.devices:
            bench.meet(device)
        return alone(bench, "one", SHORT_SYMBOLS)


def at_level(heard, number):
    lower_db = SETTINGS_DB[0] - SETTINGS_DB[number] - ERRORS_DB[number]
    return dataclasses.replace(heard, samples=heard.samples * np.float32(10 ** (-lower_db / 20)))


def test_steps_of_the_receive_gain_are_the_receivers(heard):
    captures = {}
    for number, setting_db in enumerate(SETTINGS_DB):
        config = dataclasses.replace(heard.config, rx_gain_db=setting_db)
        captures[f"receive gain {number}"] = dataclasses.replace(at_level(heard, number), config=config)
    found = of_receive_gain_steps(captures, 0.0)
    assert list(found["step_errors_db"]) == ["16", "18", "19", "20"]
    assert list(found["step_errors_db"].values()) == pytest.approx([0.0, 0.0, -0.3, 0.0], abs=1e-3)
    slope = np.polyfit(SETTINGS_DB, np.array(SETTINGS_DB) + ERRORS_DB, 1)[0]
    assert found["gain_slope"].low <= slope <= found["gain_slope"].high
    assert found["gain_slope"].value == pytest.approx(slope, abs=0.01)
    assert of_gain_steps(captures, 0.0) == {}


def test_steps_of_the_transmit_gains_are_each_devices(heard):
    captures = {}
    for number, setting_db in enumerate(SETTINGS_DB):
        sent = [dataclasses.replace(each, tx_gain_db=setting_db) for each in heard.sent]
        captures[f"gain {number}"] = dataclasses.replace(at_level(heard, number), sent=tuple(sent))
    found = of_gain_steps(captures, 0.0)
    assert found.keys() == {0, 1}
    for device in found.values():
        assert list(device["step_errors_db"].values()) == pytest.approx([0.0, 0.0, -0.3, 0.0], abs=1e-3)
    assert of_receive_gain_steps(captures, 0.0) == {}


def test_two_settings_tell_nothing(heard):
    captures = {f"receive gain {number}": at_level(heard, number) for number in range(2)}
    assert of_receive_gain_steps(captures, 0.0) == {}
