"""A target for tests of the protocol, whose devices are in a dictionary, and a client that speaks bytes."""

import errno
import os
import socket
import threading
import time

from sim_backend.iiod_target import Place

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
        self.lock = threading.Lock()
        self.counts, self.opened, self.buffers = {}, [], []
        self.chunk, self.dry, self.full, self.fail = 1 << 20, False, False, None
        self.ends_at = self.fails_at = 1 << 30

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
        with self.lock:
            self._check_free(device)
            self.opened.append((device, num_samples, mask, cyclic))
            self.buffers.append(Counting(self, device))
            return self.buffers[-1]

    def set_buffers_count(self, device, count):
        self._check_free(device)
        self.counts[device] = count

    def _check_free(self, device):
        if any(not buffer.closed.is_set() and buffer.device == device for buffer in self.buffers):
            raise OSError(errno.EBUSY, "")

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
        self.waiting = False

    def read(self, num_bytes, timeout_s):
        if self.shelf.fail or self.given >= self.shelf.fails_at:
            raise OSError(self.shelf.fail or errno.EIO, "")
        if self.given >= self.shelf.ends_at:
            return b""
        self.waiting = self.shelf.dry or self.shelf.full
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
        self.waiting = self.shelf.dry or self.shelf.full
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


def wait_for(condition):
    """The other side of a socket takes its time."""
    until = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def held():
    """(descriptors, threads) of this process."""
    return len(os.listdir("/proc/self/fd")), threading.active_count()
