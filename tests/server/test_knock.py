"""What becomes of a handshake: with a server, a stranger's, a stranger that listens, nobody."""

import socket
import threading
from contextlib import ExitStack, contextmanager

import pytest

from devices.wire.keys import KeyFileError, make_keys
from server.addresses import AddressError
from server.door import Door
from server.knock import knock


@contextmanager
def listening(keys=None):
    """URL of a server's door that somebody minds."""
    door, ended = Door("tcp://127.0.0.1:0", keys, 4), threading.Event()

    def mind():
        while not ended.is_set():
            door.poll(0.02)

    thread = threading.Thread(target=mind)
    thread.start()
    try:
        yield door.url
    finally:
        ended.set()
        thread.join()
        door.close()


def strike_off(allowed, name):
    """Delete a line of the list."""
    lines = allowed.read_text().splitlines(keepends=True)
    allowed.write_text("".join(line for line in lines if not line.startswith(f"{name} ")))


@pytest.fixture
def keys(tmp_path):
    make_keys(tmp_path / "keys", ("left", "right"))
    return tmp_path / "keys"


def test_who_is_on_the_list_is_let_in_without_a_word(keys, caplog):
    with listening(keys) as url:
        assert knock(url, "left", keys) == "let in"
        assert knock(url, "left", keys) == "let in"  # while another connection of that name may be there
    assert caplog.text == ""


def test_who_was_taken_off_the_list_is_not(keys):
    strike_off(keys / "allowed", "right")
    with listening(keys) as url:
        assert knock(url, "right", keys) == "not let in"
        assert knock(url, "left", keys) == "let in"


def test_keys_of_another_server_and_keys_on_one_side_alone(keys, tmp_path):
    make_keys(tmp_path / "others", ("left",))
    with listening(keys) as url:
        assert knock(url, "left", tmp_path / "others") == "other key"
        assert knock(url, "left", None) == "other key"
    with listening() as url:
        assert knock(url, "left", keys) == "other key"
        assert knock(url, "left", None) == "let in"


def test_a_port_of_somebody_else_of_nobody_and_of_no_network():
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        assert knock(url, "left", None, deadline_s=0.3) == "mute"
    assert knock(url, "left", None) == "nobody"


def test_a_host_that_does_not_answer():
    with ExitStack() as opened:
        deaf = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(2):  # its queue is full then, and Linux drops who else would connect
            client = opened.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(deaf.getsockname())
        url = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        assert knock(url, "left", None, deadline_s=0.3) == "silence"


def test_a_name_without_an_address_and_a_key_that_is_not_there(tmp_path):
    with pytest.raises(AddressError, match=r"nowhere.invalid has no address: .*; write an IP address"):
        knock("tcp://nowhere.invalid:5750", "left", None)
    with pytest.raises(KeyFileError, match="make it with airmeta keys"):
        knock("tcp://127.0.0.1:1", "left", tmp_path)
