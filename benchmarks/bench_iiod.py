"""How fast IIOD moves samples to libiio's own client, beside a bare socket, and what an attribute costs."""

import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.turns import in_turns, show
from sim_backend.iiod import IiodServer
from sim_backend.pluto_context import RX_ID, PlutoModel
from sim_backend.pluto_engine import MemoryEngine
from sim_backend.virtual_pluto import VirtualPluto

NUM_SAMPLES = 1 << 25  # 128 MiB a turn
BLOCK = 1 << 18  # samples
NUM_ATTRIBUTES = 2000
DRAIN = """
import socket, sys
client, room = socket.create_connection((sys.argv[1], int(sys.argv[2]))), bytearray(1 << 20)
while client.recv_into(room):
    pass
"""


class Ready(MemoryEngine):
    """Samples that cost nothing, so that what is left is the protocol."""

    def __init__(self):
        super().__init__()
        self._block = memoryview(bytes(4 * BLOCK))

    def open_rx(self, num_samples, elements, num_blocks):
        return self

    def read(self, num_bytes, timeout_s):
        return self._block[:num_bytes]

    def close(self):
        return


@pytest.fixture
def uris():
    servers = [
        IiodServer(VirtualPluto(Ready(), PlutoModel(number=number)), f"127.0.7.{number + 1}", 0)
        for number in range(8)
    ]
    try:
        yield [server.__enter__().uri for server in servers]
    finally:
        for server in servers:
            server.close()


def receive(uris, block=BLOCK):
    """NUM_SAMPLES over all radios at once, by libiio's own reader."""
    count = str(NUM_SAMPLES // len(uris))
    words = ["-b", str(block), "-s", count, RX_ID]
    readers = [
        subprocess.Popen(["iio_readdev", "-u", uri, *words], stdout=subprocess.DEVNULL) for uri in uris
    ]
    assert [reader.wait() for reader in readers] == [0] * len(uris)


def bare_socket():
    """The same bytes in the same blocks, and no protocol."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-S", "-c", DRAIN, "127.0.0.1", str(listening.getsockname()[1])]
        reader = subprocess.Popen(command)
        connection, _ = listening.accept()
        block = bytes(4 * BLOCK)
        with connection:
            for _ in range(NUM_SAMPLES // BLOCK):
                connection.sendall(block)
        assert reader.wait() == 0


@pytest.mark.skipif(
    shutil.which("iio_readdev") is None, reason="needs iio_readdev from the package libiio-utils"
)
def test_samples_to_one_client_and_to_eight(uris):
    seconds = in_turns(
        {
            "bare socket": bare_socket,
            "one client": lambda: receive(uris[:1]),
            "one client, blocks of 4096": lambda: receive(uris[:1], 4096),
            "eight clients": lambda: receive(uris),
            "eight clients, blocks of 16384": lambda: receive(uris, 16384),
        },
        5,
        warm_up=1,
    )
    show(f"{NUM_SAMPLES:,} samples", seconds, "bare socket", "60 Msamples/s to one client, 30 over eight")
    for name, times in seconds.items():
        print(f"  {name:<34} {NUM_SAMPLES / np.median(times) / 1e6:6.1f} Msamples/s")


def test_attributes(uris):
    host, port = uris[0].removeprefix("ip:").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        commands = {
            "stored": b"READ iio:device0 calib_mode_available\r\n",
            "computed": b"READ iio:device0 INPUT voltage0 sampling_frequency\r\n",
            "written": b"WRITE iio:device0 OUTPUT altvoltage0 frequency 10\r\n920000000\0",
        }

        def ask(command):
            for _ in range(NUM_ATTRIBUTES):
                client.sendall(command)
                client.recv(4096)

        seconds = in_turns({name: lambda c=command: ask(c) for name, command in commands.items()}, 5)
    show(f"{NUM_ATTRIBUTES} attributes, one by one", seconds, "stored")
    for name, times in seconds.items():
        print(f"  {name:<34} {1e6 * np.median(times) / NUM_ATTRIBUTES:6.1f} us each")
