"""Strangers at a server's door, all kinds at once: python -m tests.server.crowd URL KEYS OTHER_KEYS

KEYS: folder of the server's keys, among them those of `struck`, who is not on the list; OTHER_KEYS: of another server,
with `known`. They go on until standard input ends; then a line of JSON says how often each kind has tried.
"""

import json
import os
import random
import socket
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import zmq

from devices.wire import envelope
from devices.wire.envelope import Beat, Hello
from devices.wire.keys import read_device_keys
from devices.wire.packing import FRAME_BYTES

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01%s\0" + bytes(31)  # of ZMTP 3.1, https://rfc.zeromq.org/spec/37
CURVE, NULL = (GREETING % name.ljust(20, b"\0") for name in (b"CURVE", b"NULL"))
COMMAND, MESSAGE = b"\x06", b"\x02"  # flags of a long frame, followed by its length in 8 bytes
MANY = 400  # connections at once, more than there may be
HOLD_S = 1.0
PATIENCE_S = 0.2


def speak(context, url, keys):
    """As a device process does: hello, a sign of life. Nobody answers."""
    with context.socket(zmq.DEALER) as stranger:
        stranger.setsockopt(zmq.LINGER, 0)
        if keys is not None:
            (stranger.curve_publickey, stranger.curve_secretkey), stranger.curve_serverkey = keys
        stranger.connect(url)
        for content in (Hello("known", "stranger", 2), Beat()):
            stranger.send_multipart(envelope.seal(content))
        assert not stranger.poll(1e3 * PATIENCE_S), "a stranger was answered"


def send(address, *pieces):
    """Raw bytes on a connection of one's own, until they are sent or it is ended."""
    with suppress(OSError), socket.create_connection(address, PATIENCE_S) as connection:
        for piece in pieces:
            connection.sendall(piece)
        while connection.recv(4096):
            continue


def plain_text(address):
    send(address, random.choice((b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n", b"EHLO lab\r\n", b"{}\n")))


def random_frames(address):
    noise = os.urandom(random.randrange(1, 5000))
    send(address, random.choice((noise, CURVE + noise, NULL + noise, CURVE + b"\x04" + bytes([200]) + noise)))


def oversize(address):
    """What is announced: far too much, just too much, just what is allowed. And then as much of it as is taken."""
    flags, size = (
        random.choice((COMMAND, MESSAGE)),
        random.choice((2**62, 1 << 28, FRAME_BYTES + 1, FRAME_BYTES)),
    )
    send(address, CURVE, flags + size.to_bytes(8, "big"), *[bytes(1 << 18)] * min(size >> 18, 64))


def flood(address):
    """Connections that say nothing, or announce a frame and keep on sending it."""
    crowd = []
    for number in range(MANY):
        with suppress(OSError):
            crowd.append(socket.create_connection(address, 0.01))
            if number % 2:
                crowd[-1].sendall(CURVE + COMMAND + FRAME_BYTES.to_bytes(8, "big") + bytes(1 << 19))
    time.sleep(HOLD_S)
    for connection in crowd:
        connection.close()


def main(url, keys, other_keys):
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    address, context = (host, int(port)), zmq.Context()
    right, public = read_device_keys(Path(keys), "struck")
    other, other_public = read_device_keys(Path(other_keys), "known")
    kinds = {
        "no key": lambda: speak(context, url, None),
        "a wrong key of the server": lambda: speak(context, url, (right, other_public)),
        "not on the list": lambda: speak(context, url, (right, public)),
        "a key of its own": lambda: speak(context, url, (other, public)),
        "plain text": lambda: plain_text(address),
        "random frames": lambda: random_frames(address),
        "oversize": lambda: oversize(address),
        "flood": lambda: flood(address),
    }
    tries, over = Counter(), threading.Event()

    def go_on(name, attempt):
        while not over.is_set():
            attempt()
            tries[name] += 1

    threads = [threading.Thread(target=go_on, args=item) for item in kinds.items()]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    context.term()
    sys.stdout.write(json.dumps(tries))


if __name__ == "__main__":
    main(*sys.argv[1:])
