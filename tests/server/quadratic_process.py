"""A device process of a quadratic device: python -m tests.server.quadratic_process URL NAME FIRST [FAULT ...]

A fault is KIND:REQUEST:ROUND, and befalls the process when that request has come and is not answered yet: `kill`, or
`stop`, by SIGKILL or SIGSTOP to itself.
"""

import os
import signal
import sys
from types import SimpleNamespace

from devices.client import Client, Server
from devices.proxy import guarded
from devices.wire.envelope import Hello
from radio.schemes.registry import load_scheme
from server.reply_checks import round_of
from tests.server.fleet import QuadraticDevice
from tests.server.remote import targets

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def main(url, name, first, *faults):
    told = {f"{request}:{number}": SIGNALS[kind] for kind, request, number in (f.split(":") for f in faults)}

    def open_devices(welcome):
        everyone = targets(welcome.settings.devices + welcome.settings.held_out)
        scheme = load_scheme(welcome.settings.scheme)
        handlers = {n: faulty(QuadraticDevice(scheme, everyone[n]).handle) for n in welcome.numbers}
        return SimpleNamespace(handlers=handlers, radios=(), close=lambda: None)

    def faulty(handle):
        def answer(request):
            number = told.pop(f"{type(request).__name__}:{round_of(request)}", None)
            if number is not None:
                os.kill(os.getpid(), number)
            return handle(request)

        return guarded(answer, 0)

    hello = Hello(name, str(os.getpid()), 1, int(first))
    Client(Server(url), hello, open_devices, lambda: False, num_workers=1).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
