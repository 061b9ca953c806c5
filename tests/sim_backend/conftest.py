"""An IIOD server for each test of the protocol, which must leave neither a descriptor nor a thread behind."""

import pytest

from sim_backend.iiod import IiodServer
from tests.sim_backend.iiod_shelf import Client, Shelf, held, wait_for


@pytest.fixture
def nothing_left():
    """Clients are the test's own to close."""
    before = held()
    yield
    wait_for(lambda: held() == before)


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def server(shelf, nothing_left):
    with IiodServer(shelf, "127.0.1.1", 0) as serving:
        yield serving


@pytest.fixture
def client(server):
    speaking = Client(server)
    yield speaking
    speaking.socket.close()
