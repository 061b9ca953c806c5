"""Unmodified clients in processes of their own: libiio's tools, and scripts with pyadi-iio.

Buffers are destroyed before contexts in every script: libiio crashes at exit otherwise.
"""

import itertools
import os
import shutil
import subprocess
import sys
import textwrap
from importlib.util import find_spec

import pytest

_numbers = itertools.count(1)


def address():
    """A loopback address of this process's own: contexts are cloned on the usual port only."""
    pid = os.getpid()
    return f"127.{2 + pid % 250}.{pid // 250 % 250}.{next(_numbers)}"


def tool(*words, text=None, code=0):
    """What a tool of libiio prints; nothing on stderr but what it always says."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"needs {words[0]} from the package libiio-utils")
    done = subprocess.run(words, capture_output=True, timeout=30, input=text)
    assert done.returncode == code, done.stderr
    assert b"validity" not in done.stderr
    return done.stdout


def script(body, *words, complaint=""):
    """Output of a Python script with pyadi-iio. complaint: what libiio says on stderr."""
    if find_spec("adi") is None or find_spec("iio") is None:
        pytest.skip("needs pyadi-iio and pylibiio (extra radio)")
    lines = "import sys, adi, iio, numpy as np\n" + textwrap.dedent(body)
    done = subprocess.run([sys.executable, "-c", lines, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == complaint
    return done.stdout


# What pyadi-iio's own tests of real hardware set and read back, within their tolerances.
PROPERTIES = """
sdr = adi.Pluto(sys.argv[1])
text = repr(sdr)
assert "rx_lo:                   2400.0       MHz" in text, text
for name in ("rx_lo", "tx_lo"):
    for value in (325000000, 868300001, 920000000, 2412345678, 3799999999):
        setattr(sdr, name, value)
        assert abs(getattr(sdr, name) - value) <= 8, (name, value)
for value in (521000, 600000, 1000000, 2083333, 2084000, 4000000, 10000000, 20000001, 40000000, 50000000,
              53333334, 61440000, 1000000, 3000000):
    sdr.sample_rate = value
    assert abs(sdr.sample_rate - value) <= 4, value
assert "sample_rate:             3.0 " in repr(sdr)
sdr.sample_rate = 1e6
for name in ("rx_rf_bandwidth", "tx_rf_bandwidth"):
    setattr(sdr, name, 4000000)
    assert getattr(sdr, name) == 4000000
for step in range(0, 360, 7):
    sdr.tx_hardwaregain_chan0 = -step / 4
    assert sdr.tx_hardwaregain_chan0 == -step / 4
sdr.gain_control_mode_chan0 = "fast_attack"
before = sdr.rx_hardwaregain_chan0
sdr.rx_hardwaregain_chan0 = 3  # pyadi-iio drops it
assert sdr.rx_hardwaregain_chan0 == before
sdr.gain_control_mode_chan0 = "manual"
for gain in (-3, 0, 40, 71):
    sdr.rx_hardwaregain_chan0 = gain
    assert sdr.rx_hardwaregain_chan0 == gain
for mode in (1, 2, 0):
    sdr.loopback = mode
    assert sdr.loopback == mode
sdr.rx_dec8_filter_en = True
assert sdr.rx_dec8_filter_en and not sdr.tx_int8_filter_en
sdr.rx_dec8_filter_en = False
sdr.dds_single_tone(100000, 0.5)
assert [float(x) for x in sdr.dds_scales] == [0.5, 0.0, 0.5, 0.0]
assert sdr.dds_phases == ["90000", "0", "0", "0"]
assert abs(int(sdr.dds_frequencies[0]) - 100000) < 31
sdr.disable_dds()
assert sdr.dds_enabled == ["0"] * 4
for value, code in ((200000000, 22), (4000000000, 22)):
    try:
        sdr.rx_lo = value
    except OSError as error:
        assert error.errno == code
    else:
        raise AssertionError(value)
assert sdr._rxadc.reg_read(0x80000088) == 0
sdr._rxadc.reg_write(0x80000088, 0x6)
assert sdr._ctrl.reg_read(0x37) == 0x0A
sdr._rxadc.set_kernel_buffers_count(1)
print(sdr.ctx.attrs["hw_serial"], sdr.ctx.attrs["ip,ip-addr"])
"""  # fmt: skip
