"""Buffers over IIOD: chunks, masks, blocks, sharing and time-outs."""

import errno
import threading
import time

import pytest

from sim_backend.iiod_target import Device, read_catalog
from tests.sim_backend.iiod_shelf import VERSION, XML, Client, wait_for


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


def test_busy_is_said_after_the_time_that_iiod_waits(client, server):
    client.asks(b"OPEN iio:device1 4 00000003", b"0\n")
    other = Client(server)
    for command in (b"OPEN iio:device1 4 00000003 cyclic", b"SET iio:device1 BUFFERS_COUNT 2"):
        start = time.monotonic()
        other.asks(command, b"-16\n").in_step()
        assert 0.05 <= time.monotonic() - start < 1.0  # 500 times 100 us; the rest for a busy machine
    other.socket.close()


@pytest.mark.parametrize("command", [b"OPEN iio:device1 4 00000003", b"SET iio:device1 BUFFERS_COUNT 2"])
def test_one_who_left_while_a_buffer_had_nothing_is_not_busy(client, server, shelf, command):
    """No CLOSE, as iio_buffer_cancel and a crash leave it, and the server waits for samples meanwhile."""
    client.asks(b"TIMEOUT 0", b"0\n").asks(b"OPEN iio:device1 4 00000003", b"0\n")
    shelf.dry = True
    client.says(b"READBUF iio:device1 16\r\n")
    wait_for(lambda: shelf.buffers[0].waiting)
    client.socket.close()
    Client(server).asks(command, b"0\n").socket.close()


def test_one_who_left_with_more_to_say_is_not_busy(client, server, shelf):
    client.asks(b"TIMEOUT 0", b"0\n").asks(b"OPEN iio:device1 4 00000003", b"0\n")
    shelf.full = True
    client.asks(b"WRITEBUF iio:device1 64", b"0\n").says(bytes(64))
    wait_for(lambda: shelf.buffers[0].waiting)
    client.says(b"VERSION\r\n").socket.close()
    other = Client(server).asks(b"OPEN iio:device1 4 00000003", b"0\n")
    assert shelf.buffers[0].blocks == []
    other.socket.close()


def test_one_who_leaves_while_it_waits_for_a_device_is_not_waited_for(client, server):
    client.asks(b"OPEN iio:device1 4 00000003", b"0\n")
    impatient = Client(server)
    impatient.says(40 * b"OPEN iio:device1 4 00000003\r\n").socket.close()
    start = time.monotonic()
    wait_for(lambda: len(server._connections) == 1)
    assert time.monotonic() - start < 0.5  # 40 times 50 ms are 2 s


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


def test_a_stream_that_ends_or_fails_between_chunks(client, shelf):
    shelf.chunk, shelf.ends_at = 8, 8
    client.asks(b"OPEN iio:device1 5 00000003", b"0\n")
    client.asks(b"READBUF iio:device1 20", b"8\n00000003\n\x00\x01\x02\x03\x04\x05\x06\x070\n").in_step()
    shelf.ends_at, shelf.fails_at = 1 << 30, 16
    client.asks(b"READBUF iio:device1 20", b"8\n00000003\n\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f-5\n").in_step()


def test_writebuf_of_nothing_is_nothing(client, shelf):
    client.asks(b"OPEN iio:device1 4 00000003", b"0\n").asks(b"WRITEBUF iio:device1 0", b"0\n0\n").in_step()
    assert shelf.buffers[0].blocks == []


def test_the_last_timeout_of_any_client_holds_for_all(client, server, shelf):
    """As in iiod: it is the context's."""
    other = Client(server)
    other.asks(b"TIMEOUT 60000", b"0\n")
    client.asks(b"TIMEOUT 30", b"0\n")
    shelf.dry = True
    other.asks(b"OPEN iio:device1 4 00000003", b"0\n").asks(b"READBUF iio:device1 16", b"-110\n")
    other.socket.close()


def test_a_buffer_of_each_device_on_one_connection(client, shelf):
    client.asks(b"OPEN iio:device1 4 00000003", b"0\n").asks(b"OPEN wide 4 0000000000000001", b"0\n")
    client.asks(b"READBUF wide 4", b"4\n0000000000000001\n\x00\x01\x02\x03")
    client.asks(b"CLOSE wide", b"0\n").asks(b"CLOSE wide", b"-6\n").asks(b"READBUF wide 4", b"-9\n")
    client.asks(b"READBUF iio:device1 4", b"4\n00000003\n\x00\x01\x02\x03")
    client.says(b"\r\nEXIT\r\n").is_left()
    wait_for(shelf.buffers[0].closed.is_set)


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
