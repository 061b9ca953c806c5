"""The order in which settings are written is behaviour: against a recorder that can round, refuse and forget."""

import pytest

from radio.interface import RadioConfig, RadioError
from radio.pluto_link import LinkError
from radio.pluto_settings import retune, silence, tune, unmute, write_rx_gain, write_tx_gain

CONFIG = RadioConfig(sample_rate_hz=4e6, center_hz=915e6, tx_gain_db=-20.0, rx_gain_db=30.0)


class Recorder:
    """Stands in for a link: remembers what was set, in order. quirks: what it holds instead, or raises."""

    uri = "ip:recorder"

    def __init__(self, num_channels=1, **quirks):
        self.num_channels, self.log, self.quirks = num_channels, [], quirks
        self.held = {"xo_correction": 40_000_000}

    def set(self, name, value):
        self.log.append((name, value))
        quirk = self.quirks.get(name, value)
        if isinstance(quirk, Exception):
            raise quirk
        self.held[name] = quirk

    def get(self, name):
        return self.held[name]


SILENT = [("tx_hardwaregain_chan0", -89.75), ("tx_lo_powerdown", 1), ("dds_scales", 0.0), ("dds_enabled", 0)]


def test_the_transmitter_is_silent_first_and_heard_last():
    link = Recorder()
    silence(link)
    assert link.log == SILENT
    held = tune(link, CONFIG, transmits=True, receives=True)
    write_rx_gain(link, 0, 30.0)
    names = [name for name, _ in link.log[len(SILENT) :]]
    assert names == [
        "tx_lo_powerdown", "loopback", "ensm_mode", "sample_rate", "tx_stream_rate", "rx_stream_rate", "tx_lo", "rx_lo",
        "tx_rf_bandwidth", "rx_rf_bandwidth", "gain_control_mode_chan0", "rx_hardwaregain_chan0",
    ]  # fmt: skip
    assert link.held["tx_hardwaregain_chan0"] == -89.75
    assert unmute(link, [-20.0]) == [-20.0]
    assert link.log[-1] == ("tx_hardwaregain_chan0", -20.0)
    assert held == RadioConfig(
        sample_rate_hz=4e6, center_hz=915e6, tx_gain_db=-20.0, rx_gain_db=30.0, xo_correction_hz=40e6
    )


def test_a_receiver_leaves_the_transmitters_carrier_where_it_is():
    link = Recorder()
    tune(link, CONFIG, transmits=False, receives=True)
    assert not {"tx_lo", "tx_rf_bandwidth", "tx_hardwaregain_chan0"} & link.held.keys()


def test_a_change_of_carrier_leaves_the_clocks_alone():
    link = Recorder()
    assert retune(link, 868e6, transmits=True, receives=True) == 868e6
    assert {name for name, _ in link.log} == {"tx_lo_powerdown", "tx_lo", "rx_lo"}


@pytest.mark.parametrize(
    ("quirks", "complaint"),
    [
        ({"sample_rate": 4_000_005}, "sample_rate: asked for 4000000, the board holds 4000005"),
        ({"rx_lo": 915_000_009}, "rx_lo: asked for 915000000, the board holds 915000009"),
        ({"tx_stream_rate": 500_000}, "tx_stream_rate: asked for 4000000"),
        ({"ensm_mode": "alert"}, "ensm_mode: asked for fdd, the board holds alert"),
        ({"rx_rf_bandwidth": 18_000_000}, "rx_rf_bandwidth: asked for 4000000"),
    ],
)
def test_a_setting_that_did_not_take_is_an_error_that_names_asked_and_got(quirks, complaint):
    with pytest.raises(RadioError, match=f"ip:recorder: {complaint}"):
        tune(Recorder(**quirks), CONFIG, transmits=True, receives=True)


def test_what_lies_within_the_steps_of_the_chip_is_no_error():
    link = Recorder(sample_rate=3_999_997, tx_lo=914_999_993, rx_lo=915_000_008, tx_hardwaregain_chan0=-20.0)
    held = tune(link, CONFIG, transmits=True, receives=True)
    assert (held.sample_rate_hz, held.center_hz) == (3_999_997, 915_000_008)
    assert write_tx_gain(link, 0, -20.2) == -20.0
    with pytest.raises(RadioError, match=r"tx_hardwaregain_chan0: asked for -20\.25, the board holds -20"):
        write_tx_gain(link, 0, -20.25)
    assert write_rx_gain(Recorder(rx_hardwaregain_chan0=30), 0, 30.9) == 30.0
    with pytest.raises(RadioError, match="rx_hardwaregain_chan0: asked for 31"):
        write_rx_gain(Recorder(rx_hardwaregain_chan0=30), 0, 31.0)


def test_silence_tries_every_step_and_says_which_failed():
    link = Recorder(2, tx_hardwaregain_chan0=RadioError("stuck"), tx_lo_powerdown=0)
    with pytest.raises(
        RadioError, match="not surely silent: stuck; ip:recorder: tx_lo_powerdown: asked for 1"
    ):
        silence(link)
    assert [name for name, _ in link.log] == [
        "tx_hardwaregain_chan0", "tx_hardwaregain_chan1", "tx_lo_powerdown", "dds_scales", "dds_enabled",
    ]  # fmt: skip


def test_silence_does_not_wait_for_a_lost_link_again_and_again():
    link = Recorder(tx_hardwaregain_chan0=LinkError("no answer"))
    with pytest.raises(RadioError, match="no answer"):
        silence(link)
    assert len(link.log) == 1
