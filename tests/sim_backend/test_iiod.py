"""The IIOD v0 protocol over raw sockets: transcripts of libiio's client and of iiod's answers are the oracle."""

import errno
import os
import random
import socket
import struct
import threading
import time

import pytest

from sim_backend.iiod import MAX_CONNECTIONS, IiodServer
from sim_backend.iiod_target import Device, Place, read_catalog
from sim_backend.iiod_wire import MAX_LINE

XML = b"""<?xml version="1.0"?><context name="local">
<device id="iio:device0" name="thing" label="shelf"><channel id="voltage0" type="output" name="left">
<attribute name="gain" filename="out_voltage0_left_gain"/><attribute name="adi,odd-name" filename="x"/></channel>
<channel id="voltage0" type="input"><attribute name="raw" filename="in_voltage0_raw"/></channel>
<attribute name="mode"/><attribute name="broken"/><attribute name="empty"/><debug-attribute name="loopback"/>
<buffer-attribute name="watermark"/></device>
<device id="iio:device1" name="stream">
<channel id="voltage1" type="input"><scan-element index="1" format="le:S12/16&gt;&gt;0"/></channel>
<channel id="voltage0" type="input"><scan-element index="0" format="le:S12/16&gt;&gt;0"/></channel>
<channel id="timestamp" type="input"><scan-element index="2" format="le:s64/64&gt;&gt;0"/></channel></device>
<device id="iio:device2" name="wide">""" + b"".join(
    b'<channel id="voltage%d" type="input"><scan-element index="%d" format="le:u8/8&gt;&gt;0"/></channel>'
    % (number, number)
    for number in range(33)
) + b"</device></context>"  # fmt: skip
VERSION = b"0.21.565bf68\n"


class Shelf:
    """A target of three devices whose values are in a dictionary; buffers count bytes."""

    def __init__(self):
        self.values = {
            (Place("iio:device0", "device"), "mode"): "auto",
            (Place("iio:device0", "device"), "empty"): "",
            (Place("iio:device0", "debug"), "loopback"): "0",
            (Place("iio:device0", "buffer"), "watermark"): "2048",
            (Place("iio:device0", "output", "voltage0"), "gain"): "-10.000000 dB",
            (Place("iio:device0", "output", "voltage0"), "adi,odd-name"): "7",
            (Place("iio:device0", "input", "voltage0"), "raw"): "975",
        }
        self.counts, self.opened, self.buffers = {}, [], []
        self.chunk, self.dry, self.full, self.fail = 1 << 20, False, False, None

    def xml(self):
        return XML

    def read(self, place, attribute):
        if attribute == "broken":
            raise OSError(errno.ENODEV, "")
        return self.values[place, attribute]

    def write(self, place, attribute, value):
        if value == "wrong":
            raise OSError(errno.EINVAL, "")
        if value == "bug":
            raise KeyError("bug")
        self.values[place, attribute] = value

    def open_buffer(self, device, num_samples, mask, cyclic):
        if any(not buffer.closed.is_set() and buffer.device == device for buffer in self.buffers):
            raise OSError(errno.EBUSY, "")
        self.opened.append((device, num_samples, mask, cyclic))
        self.buffers.append(Counting(self, device))
        return self.buffers[-1]

    def set_buffers_count(self, device, count):
        self.counts[device] = count

    def get_trigger(self, device):
        if device == "iio:device1":
            return "trigger0"
        if device == "iio:device2":
            return ""
        raise OSError(errno.ENOENT, "")

    def set_trigger(self, device, name):
        self.counts["trigger", device] = name


class Counting:
    """Bytes 0, 1, 2, ... 255, 0, ...; keeps what was written."""

    def __init__(self, shelf, device):
        self.shelf, self.device, self.given, self.blocks = shelf, device, 0, []
        self.closed = threading.Event()

    def read(self, num_bytes, timeout_s):
        if self.shelf.fail:
            raise OSError(self.shelf.fail, "")
        if self.shelf.dry:
            if self.closed.wait(timeout_s):
                return b""
            raise TimeoutError
        size = min(num_bytes, self.shelf.chunk)
        found = bytes((self.given + place) % 256 for place in range(size))
        self.given += size
        return found

    def write(self, block, timeout_s):
        if self.shelf.fail:
            raise OSError(self.shelf.fail, "")
        if self.shelf.full:
            self.closed.wait(timeout_s)
            raise TimeoutError
        self.blocks.append(bytes(block))

    def close(self):
        self.closed.set()


class Client:
    """A socket that says and hears bytes."""

    def __init__(self, server):
        self.socket = socket.create_connection((server.host, server.port), timeout=10.0)

    def says(self, data):
        self.socket.sendall(data)
        return self

    def hears(self, expected):
        heard = b""
        while len(heard) < len(expected):
            if not (more := self.socket.recv(len(expected) - len(heard))):
                break
            heard += more
        assert heard == expected
        return self

    def asks(self, line, expected):
        return self.says(line + b"\r\n").hears(expected)

    def is_left(self):
        assert self.socket.recv(1) == b""
        self.socket.close()

    def in_step(self):
        return self.asks(b"VERSION", VERSION)


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def server(shelf):
    with IiodServer(shelf, "127.0.1.1", 0) as serving:
        yield serving


@pytest.fixture
def client(server):
    speaking = Client(server)
    yield speaking
    speaking.socket.close()


def wait_for(condition):
    until = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_start_up_as_libiio_does_it(client):
    client.asks(b"PRINT", b"%d\n%s\n" % (len(XML), XML))
    client.asks(b"TIMEOUT 2500", b"0\n").asks(b"VERSION", VERSION)
    client.says(b"\r\nEXIT\r\n").is_left()


@pytest.mark.parametrize(
    "line", [b"ZPRINT", b"BINARY", b"NONSENSE", b"Print", b"PRINT now", b"\xff\xfe", b"_obey"]
)
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
    packed = struct.pack(">i", 4) + b"975\0"
    client.asks(b"READ iio:device0 INPUT voltage0", b"%d\n%s\n" % (len(packed), packed)).in_step()


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


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (b"iio:device9 16 00000003", b"-19\n"),
        (b"iio:device1 16 3", b"-22\n"),
        (b"iio:device1 16 0000000g", b"-22\n"),
        (b"iio:device1 16 0000000000000003", b"-22\n"),
        (b"iio:device1 16 00000000", b"-22\n"),
        (b"iio:device1 16 00000008", b"-22\n"),
        (b"iio:device1 0 00000003", b"-22\n"),
        (b"iio:device1 16 00000003 CYCLE", b"-22\n"),
        (b"iio:device1 2000000000 00000003", b"-12\n"),
        (b"iio:device0 16 00000001", b"-22\n"),
    ],
)
def test_open_checks_before_it_allocates(client, shelf, words, reply):
    client.asks(b"OPEN " + words, reply).in_step()
    assert shelf.opened == []


def test_masks_have_a_word_for_32_channels_the_highest_first(client, shelf):
    client.asks(b"OPEN wide 4 0000000100000003", b"0\n")
    assert shelf.opened == [("iio:device2", 4, (1 << 32) + 3, False)]
    client.asks(b"READBUF wide 3", b"3\n0000000100000003\n\x00\x01\x02")


def test_frames_are_aligned_to_each_element():
    device = read_catalog(XML)["stream"]
    assert device.sizes == (2, 2, 8)  # by index, not by place in the XML
    assert [device.frame_bytes(mask) for mask in (0b001, 0b011, 0b100, 0b101, 0b111)] == [2, 4, 8, 16, 16]
    assert Device("x", 1, (3,), {}, {}).frame_bytes(1) == 3


def test_readbuf_gives_the_mask_with_the_first_chunk_only(client, shelf):
    shelf.chunk = 8
    client.asks(b"OPEN iio:device1 5 00000003", b"0\n")
    counted = bytes(range(20))
    client.asks(
        b"READBUF iio:device1 20", b"8\n00000003\n%s8\n%s4\n%s" % (counted[:8], counted[8:16], counted[16:])
    )
    client.asks(b"READBUF stream 4", b"4\n00000003\n\x14\x15\x16\x17").in_step()


def test_readbuf_of_less_than_a_frame_is_a_zero(client):
    client.asks(b"OPEN iio:device1 5 00000003", b"0\n").asks(b"READBUF iio:device1 3", b"0\n")
    client.asks(b"READBUF iio:device1 6", b"4\n00000003\n\x00\x01\x02\x030\n").in_step()


def test_buffers_that_are_not_open_on_this_connection(client, server):
    client.asks(b"READBUF iio:device1 16", b"-9\n").asks(b"WRITEBUF iio:device1 16", b"-9\n")
    client.asks(b"CLOSE iio:device1", b"-6\n").asks(b"OPEN iio:device1 4 00000003", b"0\n")
    other = Client(server)
    other.asks(b"READBUF iio:device1 16", b"-9\n").asks(b"CLOSE iio:device1", b"-6\n")
    other.socket.close()


def test_one_client_a_device_and_the_next_when_it_has_left(client, server, shelf):
    client.asks(b"OPEN iio:device1 4 00000003", b"0\n").asks(b"OPEN iio:device1 4 00000003", b"-16\n")
    other = Client(server)
    other.asks(b"OPEN iio:device1 4 00000003", b"-16\n")
    client.socket.close()  # no CLOSE: as iio_buffer_cancel and a crash do it
    wait_for(shelf.buffers[0].closed.is_set)
    other.asks(b"OPEN iio:device1 4 00000003 CYCLIC", b"0\n").asks(b"CLOSE iio:device1", b"0\n")
    assert shelf.opened[-1] == ("iio:device1", 4, 3, True)
    other.socket.close()


def test_open_waits_a_moment_for_one_who_is_leaving(client, server, shelf):
    client.asks(b"OPEN iio:device1 4 00000003", b"0\n")
    threading.Timer(0.02, shelf.buffers[0].close).start()
    other = Client(server)
    other.asks(b"OPEN iio:device1 4 00000003", b"0\n")
    other.socket.close()


def test_writebuf_answers_twice_and_pushes_blocks(client, shelf):
    client.asks(b"OPEN iio:device1 4 00000003", b"0\n")
    client.asks(b"WRITEBUF iio:device1 16", b"0\n").says(bytes(range(16))).hears(b"16\n")
    client.asks(b"WRITEBUF iio:device1 8", b"0\n").says(b"partial.").hears(b"8\n")
    client.asks(b"WRITEBUF iio:device1 40", b"0\n").says(bytes(40)).hears(b"40\n").in_step()
    assert shelf.buffers[0].blocks == [bytes(range(16)), b"partial.", bytes(16), bytes(16), bytes(8)]


def test_pipelined_clients_do_not_wait_for_answers(client, shelf):
    client.says(
        b"OPEN iio:device1 4 00000003\r\nWRITEBUF iio:device1 4\r\nabcdWRITEBUF iio:device1 4\r\nefghVERSION\r\n"
    )
    client.hears(b"0\n0\n4\n0\n4\n" + VERSION)
    assert shelf.buffers[0].blocks == [b"abcd", b"efgh"]


def test_a_failing_buffer_gives_its_error_and_stays_in_step(client, shelf):
    client.asks(b"OPEN iio:device1 4 00000003", b"0\n")
    shelf.fail = errno.EIO
    client.asks(b"READBUF iio:device1 16", b"-5\n").in_step()
    client.says(b"WRITEBUF iio:device1 32\r\n" + bytes(32)).hears(b"0\n-5\n").in_step()


def test_a_buffer_that_has_nothing_times_out_and_the_next_command_parses(client, shelf):
    client.asks(b"TIMEOUT 60", b"0\n").asks(b"OPEN iio:device1 4 00000003", b"0\n")
    shelf.dry = shelf.full = True
    start = time.monotonic()
    client.asks(b"READBUF iio:device1 16", b"-110\n").in_step()
    client.says(b"WRITEBUF iio:device1 16\r\n" + bytes(16)).hears(b"0\n-110\n").in_step()
    assert 0.12 <= time.monotonic() - start < 2.0
    shelf.dry = shelf.full = False
    client.asks(b"READBUF iio:device1 4", b"4\n00000003\n\x00\x01\x02\x03")


def test_without_a_timeout_one_who_leaves_is_noticed_all_the_same(client, shelf):
    client.asks(b"TIMEOUT 0", b"0\n").asks(b"OPEN iio:device1 4 00000003", b"0\n")
    shelf.dry = True
    client.says(b"READBUF iio:device1 16\r\n")
    client.socket.close()
    assert shelf.buffers[0].closed.wait(5.0)


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


def test_lines_without_end_take_no_memory_and_are_answered_once(client):
    client.says(b"x" * (10 * MAX_LINE) + b"\r\n").hears(b"-22\n").in_step()
    client.says(b"READ " + b"y" * (MAX_LINE + 10) + b"\n").hears(b"-22\n").in_step()


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


def test_it_listens_on_loopback_only():
    with pytest.raises(
        ValueError, match=r"no authentication and would listen on 0\.0\.0\.0; use an address in 127"
    ):
        IiodServer(Shelf(), "0.0.0.0")
    assert IiodServer(Shelf(), "192.168.2.1", beyond_loopback=True).uri == "ip:192.168.2.1"


def test_random_bytes_never_hang_or_crash_or_leak(shelf, caplog):
    """AIRMETA_FUZZ_S: how long; 600 for a thorough run."""
    words = (
        b"READ WRITE OPEN CLOSE READBUF WRITEBUF PRINT TIMEOUT SET SETTRIG GETTRIG HELP iio:device0 iio:device1 wide "
        b"thing INPUT OUTPUT DEBUG BUFFER voltage0 mode gain 00000003 CYCLIC 16 4 0 -1 99999999999 BUFFERS_COUNT"
    ).split()
    draw = random.Random(7)
    descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    until = time.monotonic() + float(os.environ.get("AIRMETA_FUZZ_S", "2"))
    with IiodServer(shelf, "127.0.1.4", 0) as serving:
        while time.monotonic() < until:
            fuzzing = Client(serving)
            for _ in range(draw.randrange(1, 30)):
                if draw.random() < 0.2:
                    data = draw.randbytes(draw.randrange(200))
                else:
                    data = b" ".join(draw.choices(words, k=draw.randrange(1, 7))) + draw.choice(
                        [b"\n", b"\r\n", b""]
                    )
                try:
                    fuzzing.says(data)
                except ConnectionError:
                    break  # a word among them was a large WRITE
            fuzzing.socket.close()
            Client(serving).in_step().socket.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert threading.active_count() == threads
    assert "a connection to" not in caplog.text  # no thread died


def test_requests_fit_many_clients_at_once(server):
    clients = [Client(server) for _ in range(16)]
    for each in clients:
        each.says(b"READ iio:device0 mode\r\n")
    for each in clients:
        each.hears(b"5\nauto\0\n").socket.close()
