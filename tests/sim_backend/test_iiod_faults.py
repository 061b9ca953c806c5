"""What clients do wrong to an IIOD server: it goes on serving, and nothing of them is left."""

import subprocess
import sys
import threading

import pytest

from sim_backend.iiod import MAX_CONNECTIONS, IiodServer
from sim_backend.iiod_target import Place
from sim_backend.iiod_wire import MAX_LINE
from sim_backend.pluto_context import PlutoModel
from sim_backend.pluto_engine import MemoryEngine
from sim_backend.virtual_pluto import VirtualPluto
from tests.sim_backend.iiod_fuzz import fuzz, fuzzing
from tests.sim_backend.iiod_shelf import VERSION, XML, Client, Shelf, wait_for


def test_lines_without_end_take_no_memory_and_are_answered_once(client):
    client.says(b"x" * (10 * MAX_LINE) + b"\r\n").hears(b"-22\n").in_step()
    client.says(b"READ " + b"y" * (MAX_LINE + 10) + b"\n").hears(b"-22\n").in_step()


def test_a_line_that_never_ends_and_its_client_leaves(server):
    endless = Client(server)
    for _ in range(200):
        endless.says(b"z" * 50_000)
    endless.socket.close()
    Client(server).in_step().socket.close()


KILLED = """
import socket, sys
client = socket.create_connection((sys.argv[1], int(sys.argv[2])))
client.sendall(sys.argv[3].encode().decode("unicode_escape").encode("latin1"))
while True:
    sys.stdout.write(client.recv(1)[:0].decode() + "heard\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize(
    "said",
    [
        r"OPEN iio:device1 65536 00000003\r\nREADBUF iio:device1 260000000\r\n",
        r"OPEN iio:device1 65536 00000003\r\nWRITEBUF iio:device1 262144\r\nhalf",
        r"OPEN iio:device1 16 00000003 CYCLIC\r\nWRITEBUF iio:device1 64\r\n" + 64 * "x",
    ],
)
def test_a_client_that_is_killed_lets_go_of_the_device(server, shelf, said):
    command = [sys.executable, "-S", "-c", KILLED, server.host, str(server.port), said]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as killed:
        assert killed.stdout.readline() == b"heard\n"
        wait_for(lambda: shelf.opened)
        killed.kill()
        killed.wait()
        other = Client(server).asks(b"OPEN iio:device1 16 00000003", b"0\n")
    assert shelf.buffers[0].closed.is_set()
    other.socket.close()


def test_one_who_never_listens_lets_go_when_it_leaves(server, shelf):
    deaf = Client(server).asks(b"OPEN iio:device1 65536 00000003", b"0\n")
    deaf.says(b"READBUF iio:device1 260000000\r\n")
    other = Client(server).asks(b"OPEN iio:device1 4 00000003", b"-16\n")
    deaf.socket.close()
    other.asks(b"OPEN iio:device1 4 00000003", b"0\n").socket.close()


def test_without_threads_a_client_is_refused_and_the_next_is_not(server, monkeypatch, caplog):
    def exhausted(thread):
        monkeypatch.undo()
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", exhausted)
    Client(server).is_left()
    assert "has no thread" in caplog.text
    Client(server).in_step().socket.close()


def test_sixteen_contexts_at_once(server, shelf):
    """Each with a control connection and a buffer's; one has the device, the others are told so."""
    controls = [Client(server) for _ in range(16)]
    streams = [Client(server) for _ in range(16)]
    for control in controls:
        control.says(b"PRINT\r\nTIMEOUT 2500\r\nVERSION\r\n")
    for stream in streams:
        stream.says(b"OPEN iio:device1 4 00000003\r\n")
    for control in controls:
        control.hears(b"%d\n%s\n0\n%s" % (len(XML), XML, VERSION))
    answers = sorted(stream.socket.recv(16) for stream in streams)
    assert answers == [b"-16\n"] * 15 + [b"0\n"]
    for each in (*controls, *streams):
        each.socket.close()


def test_half_a_write_disturbs_nobody_and_leaves_nothing(server, shelf):
    threads = threading.active_count()
    half = [Client(server) for _ in range(4)]
    half[0].says(b"WRITE iio:device0 mode 100\r\nhalf")
    half[1].says(b"REA")
    half[2].asks(b"OPEN iio:device1 4 00000003", b"0\n").says(b"WRITEBUF iio:device1 16\r\nhalf")
    half[3].says(b"PRINT\r\n" * 2000)  # never reads
    other = Client(server).in_step()
    for broken in half:
        broken.socket.close()
    assert shelf.buffers[0].closed.wait(5.0)
    assert shelf.buffers[0].blocks == []
    assert shelf.values[Place("iio:device0", "device"), "mode"] == "auto"
    other.in_step().socket.close()
    wait_for(lambda: threading.active_count() == threads)


def test_closing_ends_connections_that_wait(shelf):
    before = threading.active_count()
    serving = IiodServer(shelf, "127.0.1.2", 0)
    with serving:
        idle, reading, deaf = (Client(serving) for _ in range(3))
        idle.in_step()
        reading.asks(b"TIMEOUT 0", b"0\n").asks(b"OPEN iio:device1 4 00000003", b"0\n")
        shelf.dry = True
        reading.says(b"READBUF iio:device1 16\r\n")
        deaf.says(b"PRINT\r\n" * 5000)
    for gone in (idle, reading, deaf):
        gone.socket.close()
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        Client(serving)
    serving.close()  # once more is no failure


def test_connections_are_bounded(shelf):
    with IiodServer(shelf, "127.0.1.3", 0) as serving:
        clients = [Client(serving).in_step() for _ in range(MAX_CONNECTIONS)]
        Client(serving).is_left()
        clients.pop().says(b"EXIT\n").is_left()
        wait_for(lambda: threading.active_count() < MAX_CONNECTIONS + 2)
        clients.append(Client(serving).in_step())
        for each in clients:
            each.socket.close()


@fuzzing
@pytest.mark.parametrize("target", [Shelf, lambda: VirtualPluto(MemoryEngine(), PlutoModel(tdd=True))])
def test_random_bytes_never_hang_or_crash_or_leak(target, caplog, nothing_left):
    with IiodServer(target(), "127.0.1.4", 0) as serving:
        fuzz(serving)
        wait_for(lambda: len(serving._connections) == 0)
    assert "a connection to" not in caplog.text  # no thread died
    assert "a command failed" not in caplog.text or target is Shelf
