"""Whether a server lets a device in: the handshake of ZeroMQ, and nothing after it."""

import socket
import time
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import zmq
from zmq.utils.monitor import recv_monitor_message

from devices.wire.keys import read_device_keys
from server.addresses import resolve

Answer = Literal["let in", "not let in", "other key", "nobody", "mute", "silence"]
"""not let in: by the list of those allowed; other key: not the server whose public key is held, or only one of both has
keys; nobody: the host is there, and no server; mute: somebody listens who does not answer; silence: no host."""


def knock(url: str, name: str, keys: Path | None, deadline_s: float = 3.0) -> Answer:
    """What becomes of a handshake with the server at `url`. KeyFileError, AddressError."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    resolve(host)  # a name without an address would not be told from silence
    answer = _shake_hands(url, name, keys, deadline_s)
    return answer if answer != "nobody" or _refuses(host, port, deadline_s) else "silence"


def _shake_hands(url: str, name: str, keys: Path | None, deadline_s: float) -> Answer:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        dealer = context.socket(zmq.DEALER)
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.IPV6, int("[" in url))
        if keys is not None:
            pair, server_public = read_device_keys(keys, name)
            dealer.curve_publickey, dealer.curve_secretkey = pair
            dealer.curve_serverkey = server_public
        monitor = dealer.get_monitor_socket()
        dealer.connect(url)
        return _answer(monitor, time.monotonic() + deadline_s)
    finally:
        context.destroy(0)


def _answer(monitor: "zmq.Socket[bytes]", until_s: float) -> Answer:
    connected = False
    while (left_s := until_s - time.monotonic()) > 0.0:
        if not monitor.poll(round(1e3 * left_s) + 1):
            break
        match recv_monitor_message(monitor)["event"]:
            case zmq.Event.CONNECTED:
                connected = True
            case zmq.Event.HANDSHAKE_SUCCEEDED:
                return "let in"
            case zmq.Event.HANDSHAKE_FAILED_AUTH:
                return "not let in"
            case (
                zmq.Event.HANDSHAKE_FAILED_PROTOCOL
                | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
                | zmq.Event.DISCONNECTED
            ):
                return "other key"
            case zmq.Event.CLOSED if not connected:
                return "nobody"
    return "mute" if connected else "silence"


def _refuses(host: str, port: int, deadline_s: float) -> bool:
    """Of a port that nobody opens: whether the host says so, rather than the network."""
    try:
        socket.create_connection((host, port), deadline_s).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True  # somebody has begun to listen meanwhile
