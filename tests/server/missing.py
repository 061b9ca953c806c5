"""What a run over processes is compared with: a run in one process in which a device fails where it was lost."""

import numpy as np

from devices.messages import Failed
from server.checkpoint import read_checkpoint
from server.reply_checks import round_of

PHASES = ("Train", "Sound", "Prepare", "Transmit")


class Missing:
    """A proxy of devices in this process, one of which fails from a phase of a round on: missed is {round: phase}. What
    was decided of its round it is told all the same: a process learns of that when it is back."""

    def __init__(self, proxy, victim, missed):
        self._proxy, self.close = proxy, proxy.close
        self._victim, self._missed = victim, missed

    def ask(self, requests):
        return {device: self._reply(device, request) for device, request in requests.items()}

    def _reply(self, device, request):
        kind, since = type(request).__name__, self._missed.get(round_of(request))
        if device == self._victim and since and kind in PHASES and PHASES.index(kind) >= PHASES.index(since):
            return Failed("not there")
        return self._proxy.ask({device: request})[device]


class Absent:
    """A proxy whose victim is away when a phase of a round comes, {(round, phase): how often}. A phase is a kind of
    request, or of the slot that it is about."""

    def __init__(self, proxy, victims, times):
        self.close, self._proxy, self._victims, self.times = proxy.close, proxy, victims, dict(times)

    def ask(self, requests):
        gone = {}
        for device, request in requests.items():
            names = {type(request).__name__, type(getattr(request, "slot", None)).__name__}
            for name in names:
                if device in self._victims and self.times.get((round_of(request), name), 0) > 0:
                    gone[device] = (round_of(request), name)
        for place in set(gone.values()):
            self.times[place] -= 1
        there = self._proxy.ask({d: request for d, request in requests.items() if d not in gone})
        return {d: there[d] if d in there else Failed(f"device {d}: not there") for d in requests}


def assert_same_end(one, other):
    one, other = read_checkpoint(one), read_checkpoint(other)
    assert one.round == other.round
    np.testing.assert_array_equal(one.theta, other.theta)
    assert one.memories.keys() == other.memories.keys()
    for device, memory in one.memories.items():
        np.testing.assert_array_equal(memory, other.memories[device], err_msg=f"memory of device {device}")
