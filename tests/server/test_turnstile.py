"""While it is shut nobody new gets in, and who is in goes on."""

import errno
import socket
import sys
from contextlib import contextmanager

import pytest

from server.turnstile import Turnstile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's socket filters")


@contextmanager
def accepting(host="127.0.0.1"):
    """(turnstile, accept): as libzmq does it, with the descriptor alone."""
    turnstile = Turnstile(host, 0)
    listening = socket.socket(fileno=turnstile.descriptor)
    try:
        listening.settimeout(5.0)
        yield turnstile, listening.getsockname()[1], lambda: listening.accept()[0]
    finally:
        turnstile.hand_over()
        listening.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_shut_it_lets_nobody_in_until_it_is_open_again(host):
    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        pytest.skip(f"{host}: {error.strerror}")
    with accepting(host) as (turnstile, port, accept), socket.create_connection((host, port), 5.0) as early:
        inside = accept()
        turnstile.set_open(False)
        with pytest.raises(TimeoutError):
            socket.create_connection((host, port), 0.3)
        early.sendall(b"there")
        assert inside.recv(5) == b"there"
        inside.sendall(b"back")
        assert early.recv(4) == b"back"
        turnstile.set_open(True)
        with socket.create_connection((host, port), 5.0) as late:
            late.sendall(b"late")
            second = accept()
            assert second.recv(4) == b"late"
            second.close()
        inside.close()


def test_a_port_that_is_taken_is_an_error():
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(OSError, match=r"in use") as refusal,
    ):
        Turnstile("127.0.0.1", other.getsockname()[1])
    assert refusal.value.errno == errno.EADDRINUSE
