"""The IIOD v0 protocol over raw sockets: transcripts of libiio's client and of iiod's answers are the oracle."""

import shutil
import socket
import struct
import subprocess

import pytest

from sim_backend.iiod import IiodServer
from sim_backend.iiod_target import Place
from tests.sim_backend.iiod_shelf import VERSION, XML, Client, Shelf


def test_start_up_as_libiio_does_it(client):
    client.asks(b"PRINT", b"%d\n%s\n" % (len(XML), XML))
    client.asks(b"TIMEOUT 2500", b"0\n").asks(b"VERSION", VERSION)
    client.says(b"\r\nEXIT\r\n").is_left()


@pytest.mark.parametrize(
    "line",
    [
        b"ZPRINT", b"BINARY", b"NONSENSE", b"Print", b"PRINT now", b"\xff\xfe", b"run", b"READ iio:device0 mo/de",
        b"READ iio:device0 Debug loopback", b"READ iio:device0\x0bmode", b"VERSION;", b"\0", b"TIMEOUT", b"TIMEOUT -1",
        b"TIMEOUT 1 2", b"HELP me", b"EXIT now", b"GETTRIG", b"SETTRIG", b"SET iio:device1 BUFFERS_COUNT", b"CLOSE",
        b"READBUF iio:device1", b"WRITEBUF iio:device1 1 2", b"WRITE 4", b"OPEN iio:device1 4",
    ],
)  # fmt: skip
def test_what_is_not_known_is_einval(client, line):
    client.asks(line, b"-22\n").in_step()


@pytest.mark.parametrize("line", [b"EXIT", b"QUIT", b"exit", b"quit"])
def test_leaving_has_no_reply(client, line):
    client.says(line + b"\n").is_left()


def test_lower_case_and_plain_line_ends_and_empty_lines(client):
    client.says(b"\n\r\n\nversion\n").hears(VERSION)
    client.says(b"read iio:device0 debug loopback\n").hears(b"2\n0\0\n")


def test_help_names_every_command(client):
    client.says(b"HELP\n")
    text = client.socket.recv(65536).decode()
    for word in [
        "HELP",
        "EXIT",
        "PRINT",
        "VERSION",
        "TIMEOUT",
        "OPEN",
        "CLOSE",
        "READ",
        "WRITE",
        "READBUF",
        "WRITEBUF",
        "GETTRIG",
        "SETTRIG",
        "SET",
    ]:
        assert f"\t{word}" in text


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (b"iio:device0 mode", b"5\nauto\0\n"),
        (b"thing mode", b"5\nauto\0\n"),
        (b"shelf mode", b"5\nauto\0\n"),
        (b"iio:device0 empty", b"0\n\n"),
        (b"iio:device0 DEBUG loopback", b"2\n0\0\n"),
        (b"iio:device0 BUFFER watermark", b"5\n2048\0\n"),
        (b"iio:device0 OUTPUT voltage0 gain", b"14\n-10.000000 dB\0\n"),
        (b"iio:device0 OUTPUT left gain", b"14\n-10.000000 dB\0\n"),
        (b"iio:device0 INPUT voltage0 raw", b"4\n975\0\n"),
        (b"iio:device0 OUTPUT voltage0 adi,odd-name", b"2\n7\0\n"),
        (b"iio:device9 mode", b"-19\n"),
        (b"iio:device0 INPUT voltage7 raw", b"-6\n"),
        (b"iio:device0 INPUT left raw", b"-6\n"),
        (b"iio:device0 unknown", b"-2\n"),
        (b"iio:device0 INPUT voltage0 gain", b"-2\n"),
        (b"iio:device0 broken", b"-19\n"),
        (b"iio:device0 INPUT", b"-22\n"),
        (b"iio:device0 mode more", b"-22\n"),
        (b"", b"-22\n"),
    ],
)
def test_read(client, words, reply):
    client.asks(b"READ " + words, reply).in_step()


def test_read_of_all_attributes_is_packed(client):
    packed = struct.pack(">i", 5) + b"auto\0\0\0\0" + struct.pack(">i", -19) + struct.pack(">i", 0)
    client.asks(b"READ iio:device0", b"%d\n%s\n" % (len(packed), packed))
    for place, value in ((b"INPUT voltage0", b"975\0"), (b"DEBUG", b"0\0"), (b"BUFFER", b"2048\0")):
        packed = struct.pack(">i", len(value)) + value + bytes(-len(value) % 4)
        client.asks(b"READ iio:device0 " + place, b"%d\n%s\n" % (len(packed), packed)).in_step()
    client.asks(b"READ wide INPUT voltage3", b"0\n\n").in_step()


def test_write_takes_the_value_with_its_terminator(client, shelf):
    client.says(b"WRITE iio:device0 OUTPUT voltage0 gain 6\r\n-10.5\0").hears(b"6\n")
    assert shelf.values[Place("iio:device0", "output", "voltage0"), "gain"] == "-10.5"
    client.says(b"WRITE iio:device0 mode 6\r\nmanual").hears(b"6\n")
    assert shelf.values[Place("iio:device0", "device"), "mode"] == "manual"
    client.in_step()


@pytest.mark.parametrize(
    ("head", "payload", "reply"),
    [
        (b"iio:device9 mode", b"VERSION\n", b"-19\n"),
        (b"iio:device0 INPUT voltage7 raw", b"VERSION\n", b"-6\n"),
        (b"iio:device0 unknown", b"VERSION\n", b"-2\n"),
        (b"iio:device0 mode", b"wrong\0", b"-22\n"),
        (b"iio:device0 mode", b"\xff\xff", b"-22\n"),
    ],
)
def test_a_refused_write_takes_its_payload_off_the_wire(client, head, payload, reply):
    client.says(b"WRITE %s %d\r\n%s" % (head, len(payload), payload)).hears(reply).in_step()


def test_values_have_a_length_that_a_client_may_refuse(client, shelf):
    """libiio's Python binding takes less than 1024 bytes, iiod less than 65536."""
    mode = Place("iio:device0", "device"), "mode"
    for length, reply in ((1023, b"1024\n"), (65535, b"65536\n")):
        shelf.values[mode] = "x" * length
        client.asks(b"READ iio:device0 mode", reply + b"x" * length + b"\0\n").in_step()
    shelf.values[mode] = "x" * 65536
    client.asks(b"READ iio:device0 mode", b"-5\n").in_step()


def test_commands_come_in_any_pieces(client):
    """Byte by byte, and many in one segment; answers come in order."""
    for byte in b"WRITE iio:device0 mode 4\r\nslow":
        client.says(bytes([byte]))
    client.hears(b"4\n")
    client.says(b"READ iio:device0 mode\r\nVERSION\nWRITE iio:device0 mode 2\nx\0READ iio:device0 mode\n")
    client.hears(b"5\nslow\0\n" + VERSION + b"2\n" + b"2\nx\0\n")


def test_sockets_have_the_options_that_iiod_sets(client, server):
    client.in_step()
    ((accepted, _),) = server._connections.values()
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_an_address_of_version_six(shelf, nothing_left):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("needs IPv6 on the loopback")
    with IiodServer(shelf, "::1", 0) as serving:
        assert serving.uri == f"ip:[::1]:{serving.port}"
        Client(serving).in_step().socket.close()
        if shutil.which("iio_info") is not None:
            done = subprocess.run(["iio_info", "-u", serving.uri], capture_output=True, timeout=20)
            assert b"IIO context has 3 devices" in done.stdout


def test_a_fault_of_the_target_is_an_io_error_and_is_logged(client, caplog):
    client.says(b"WRITE iio:device0 mode 3\r\nbug").hears(b"-5\n").in_step()
    assert "a command failed: WRITE iio:device0 mode 3" in caplog.text


@pytest.mark.parametrize("size", [b"-1", b"x", b"99999999999", b"4294967296"])
def test_sizes_that_are_none_are_einval(client, size):
    client.asks(b"WRITE iio:device0 mode " + size, b"-22\n").in_step()
    client.asks(b"OPEN iio:device1 16 00000003", b"0\n").asks(
        b"READBUF iio:device1 " + size, b"-22\n"
    ).in_step()


def test_a_value_too_large_to_be_one_ends_the_connection(client):
    client.asks(b"WRITE iio:device0 mode 2000000000", b"-12\n").is_left()


def test_triggers_and_kernel_buffers(client, shelf):
    client.asks(b"GETTRIG iio:device0", b"-2\n").asks(b"GETTRIG iio:device1", b"8\ntrigger0\n")
    client.asks(b"GETTRIG iio:device2", b"0\n").asks(b"SETTRIG iio:device1 trigger0", b"0\n")
    client.asks(b"SETTRIG iio:device2", b"0\n").asks(b"SET iio:device1 BUFFERS_COUNT 2", b"0\n")
    client.asks(b"SET iio:device1 ELSE 2", b"-22\n").asks(b"SET iio:device9 BUFFERS_COUNT 2", b"-19\n")
    assert shelf.counts == {
        ("trigger", "iio:device1"): "trigger0",
        ("trigger", "iio:device2"): "",
        "iio:device1": 2,
    }


def test_it_listens_on_loopback_only():
    with pytest.raises(
        ValueError, match=r"no authentication and would listen on 0\.0\.0\.0; use an address in 127"
    ):
        IiodServer(Shelf(), "0.0.0.0")
    assert IiodServer(Shelf(), "192.168.2.1", beyond_loopback=True).uri == "ip:192.168.2.1"


def test_requests_fit_many_clients_at_once(server):
    clients = [Client(server) for _ in range(16)]
    for each in clients:
        each.says(b"READ iio:device0 mode\r\n")
    for each in clients:
        each.hears(b"5\nauto\0\n").socket.close()
