"""Random clients of an IIOD server: noise, words that commands are made of, and commands that are right."""

import os
import random
import time

import pytest

from tests.sim_backend.iiod_shelf import Client

FUZZ_S = float(os.environ.get("AIRMETA_FUZZ_S", "2"))  # 600 for a thorough run
fuzzing = pytest.mark.timeout(FUZZ_S + 60)
WORDS = (
    b"READ WRITE OPEN CLOSE READBUF WRITEBUF PRINT TIMEOUT SET SETTRIG GETTRIG HELP INPUT OUTPUT DEBUG BUFFER "
    b"iio:device0 iio:device1 iio:device2 iio:device3 iio:device4 wide thing voltage0 altvoltage0 out mode gain "
    b"frequency filter_fir_config direct_reg_access loopback hardwaregain 00000003 00000001 CYCLIC BUFFERS_COUNT "
    b"1 16 4 0 -1 4096 99999999999 2147483647"
).split()
RIGHT = (
    b"OPEN iio:device3 1024 00000003\r\n", b"OPEN iio:device2 1024 00000003\r\n", b"OPEN iio:device1 4 00000003\r\n",
    b"OPEN iio:device2 1024 00000003 CYCLIC\r\n", b"READBUF iio:device3 4096\r\n", b"READBUF iio:device1 4096\r\n",
    b"WRITEBUF iio:device2 4096\r\n" + 2048 * b"\x10\x20", b"CLOSE iio:device3\r\n", b"CLOSE iio:device2\r\n",
    b"TIMEOUT 50\r\n", b"WRITE iio:device0 OUTPUT altvoltage0 frequency 10\r\n920000000\0", b"PRINT\r\n",
    b"WRITE iio:device0 INPUT voltage0 sampling_frequency 8\r\n4000000\0", b"READ iio:device0 INPUT voltage0 rssi\r\n",
    b"WRITE iio:device0 DEBUG loopback 2\r\n1\0", b"SET iio:device3 BUFFERS_COUNT 2\r\n", b"READ iio:device0\r\n",
)  # fmt: skip


def fuzz(server, seconds=FUZZ_S):
    """Up to four clients at once, none of which listens or takes leave; in between one that does."""
    draw = random.Random(7)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        clients = [Client(server) for _ in range(draw.randrange(1, 5))]
        for _ in range(draw.randrange(1, 60)):
            try:
                draw.choice(clients).says(_draw(draw))
            except ConnectionError:
                continue  # it has said EXIT, or announced a large value
        for client in clients:
            client.socket.close()
        _check_alive(server)


def _check_alive(server):
    """A client that behaves is served, at the latest when the server has read what the others said."""
    until = time.monotonic() + 10.0
    while True:
        client = Client(server)
        try:
            client.in_step()
            break
        except ConnectionError:  # MAX_CONNECTIONS are still open
            assert time.monotonic() < until
        finally:
            client.socket.close()


def _draw(draw):
    kind = draw.random()
    if kind < 0.2:
        return draw.randbytes(draw.randrange(200))
    if kind < 0.6:
        return draw.choice(RIGHT)
    ending = draw.choice([b"\n", b"\r\n", b"", b"\n" + draw.randbytes(16)])
    return b" ".join(draw.choices(WORDS, k=draw.randrange(1, 7))) + ending
