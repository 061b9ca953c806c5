"""A device process of a quadratic device: python -m tests.server.quadratic_process URL NAME FIRST KEYS [FAULT ...]

KEYS is their folder, or - for none. A fault is KIND:REQUEST:ROUND, and befalls the process when that request has come
and is not answered yet: `kill` or `stop`, by SIGKILL or SIGSTOP to itself, or `nap`.
"""

import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from devices.client import Client, Server
from devices.proxy import guarded
from devices.wire.envelope import Hello
from devices.wire.keys import read_device_keys
from radio.schemes.registry import load_scheme
from server.reply_checks import round_of
from tests.server.fleet import QuadraticDevice
from tests.server.remote import targets

NAP_S = 1.0
KINDS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "nap": lambda: time.sleep(NAP_S),
}


def main(url, name, first, keys, *faults):
    told = {f"{request}:{number}": KINDS[kind] for kind, request, number in (f.split(":") for f in faults)}

    def open_devices(welcome):
        everyone = targets(welcome.settings.devices + welcome.settings.held_out)
        scheme = load_scheme(welcome.settings.scheme, welcome.settings.scheme_options)
        handlers = {n: faulty(QuadraticDevice(scheme, everyone[n]).handle) for n in welcome.numbers}
        return SimpleNamespace(handlers=handlers, radios=(), close=lambda: None)

    def faulty(handle):
        def answer(request):
            told.pop(f"{type(request).__name__}:{round_of(request)}", lambda: None)()
            return handle(request)

        return guarded(answer, 0)

    hello = Hello(name, str(os.getpid()), 1, int(first))
    pair = None if keys == "-" else read_device_keys(Path(keys), name)
    Client(Server(url, pair), hello, open_devices, lambda: False, num_workers=1).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
