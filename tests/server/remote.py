"""A fleet of quadratic devices behind real sockets: device processes as threads, each with a `Client` of its own."""

import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np

from devices import messages
from devices.client import Client, Server
from devices.messages import DeviceSettings
from devices.proxy import guarded
from devices.wire.envelope import Hello, Pulse
from radio.schemes.registry import load_scheme
from server.fleet import Fleet
from server.switchboard import Terms
from tests.server.fleet import DIMENSION, QuadraticDevice

PULSE = Pulse(beat_s=0.05, lost_s=1.0)


def settings(devices=2, held_out=1):
    return DeviceSettings(
        seed=1, task=messages.TaskSettings(), model=messages.ModelSettings(), learning=messages.LearningSettings(),
        scheme="phase", memory="long", devices=devices, held_out=held_out, classes_per_device=5,
    )  # fmt: skip


def targets(count):
    return 1.0 + 0.3 * np.random.default_rng(8).normal(size=(count, DIMENSION))


class Process:
    """A client in a thread. made: the devices it hosts; stop: what SIGTERM is to a process."""

    def __init__(self, url, name, count=1, first=-1, keys=None, wrap=lambda number, handle: handle):
        self.made, self._stopped, self.error = {}, threading.Event(), None
        self.hello = Hello(name, f"incarnation {id(self)}", count, first)

        def make(welcome):
            everyone = targets(welcome.settings.devices + welcome.settings.held_out)
            scheme = load_scheme(welcome.settings.scheme, welcome.settings.scheme_options)
            self.made = {number: QuadraticDevice(scheme, everyone[number]) for number in welcome.numbers}
            handlers = {n: guarded(wrap(n, device.handle), n) for n, device in self.made.items()}
            return SimpleNamespace(handlers=handlers, radios=(), close=lambda: None)

        self._client = Client(Server(url, keys), self.hello, make, self._stopped.is_set, num_workers=2)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self._client.serve()
        except Exception as error:  # for the test to look at
            self.error = error

    def stop(self):
        self._stopped.set()
        self.join()

    def join(self):
        self._thread.join(10)
        assert not self._thread.is_alive()


@contextmanager
def open_fleet(devices=2, held_out=1, keys=None, reply_s=5.0, return_s=5.0, pulse=PULSE, quorum=1):
    """A `Fleet` at a port of the system's choosing."""
    terms = Terms(
        settings=settings(devices, held_out), pulse=pulse, reply_s=reply_s, return_s=return_s, quorum=quorum
    )
    fleet = Fleet(terms, "tcp://127.0.0.1:0", keys)
    try:
        yield fleet
    finally:
        fleet.close(over=True)
