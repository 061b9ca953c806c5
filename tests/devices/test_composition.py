"""What a device process opens of what it has."""

import logging

from devices.composition import open_devices
from devices.wire.envelope import Pulse, Welcome
from tests.devices.test_agent import settings


def test_a_radio_stays_closed_where_the_air_is_simulated(caplog):
    caplog.set_level(logging.INFO)
    welcome = Welcome("run", (0,), settings(), Pulse())
    hosted = open_devices(welcome, ("ip:127.200.0.1",))  # nobody is there: opening it would fail
    assert (list(hosted.handlers), hosted.radios) == ([0], ())
    assert "ip:127.200.0.1 is not used: the experiment's air is simulated" in caplog.text
    hosted.close()
