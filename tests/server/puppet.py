"""A device process that a test moves by hand: raw frames out, typed content in."""

import threading
import time
from contextlib import contextmanager

import zmq

from devices.wire import envelope
from devices.wire.envelope import Answer, Ask, Beat, Hello, Ready, Welcome
from devices.wire.packing import pack, unpack

DEADLINE_S = 5.0


class Puppet:
    """keys: (own pair, server's public key), or None."""

    def __init__(self, context, url, keys=None):
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        if keys is not None:
            (self.socket.curve_publickey, self.socket.curve_secretkey), self.socket.curve_serverkey = keys
        self.socket.connect(url)

    def say(self, content, arrays=()):
        self.socket.send_multipart(envelope.seal(content, arrays))

    def hear(self, kind, deadline_s=DEADLINE_S):
        """The next content of that kind and its arrays, beats in between; None after the deadline."""
        until = time.monotonic() + deadline_s
        while (left_s := until - time.monotonic()) > 0:
            if not self.socket.poll(round(1e3 * min(left_s, 0.05))):
                self.say(Beat())
                continue
            content, arrays = envelope.unseal(self.socket.recv_multipart())
            if isinstance(content, kind):
                return content, arrays
        return None

    def join(self, name, count=1, first=-1):
        """Until it is welcome; the run's name."""
        self.say(Hello(name, "puppet", count, first))
        welcome, _ = self.hear(Welcome)
        self.say(Ready(welcome.run))
        return welcome.run

    def next_request(self):
        """(what was asked, its arrays' message)."""
        ask, arrays = self.hear(Ask)
        return ask, unpack(ask.parcel, arrays)

    def answer(self, ask, reply, **changes):
        """`changes`: of the envelope."""
        parcel, arrays = pack(reply)
        fields = {
            "run": ask.run,
            "device": ask.device,
            "number": ask.number,
            "round": ask.round,
            "parcel": parcel,
        }
        self.say(Answer(**fields | changes), arrays)


@contextmanager
def puppets(url):
    """Makes puppets, and closes them."""
    with zmq.Context() as context:
        made = []

        def make(keys=None):
            made.append(Puppet(context, url, keys))
            return made[-1]

        try:
            yield make
        finally:
            for puppet in made:
                puppet.socket.close(0)


def asked(fleet, requests):
    """`fleet.ask` in a thread; its replies once joined."""
    replies = {}
    thread = threading.Thread(target=lambda: replies.update(fleet.ask(requests)), daemon=True)
    thread.start()

    def join():
        thread.join(10)
        return replies

    return join
