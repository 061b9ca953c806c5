"""Virtual benches for tests: addresses of their own, and radios whose buffers end before their contexts."""

import itertools
import os
from contextlib import contextmanager

import pytest

_numbers = itertools.count(1)


def first_host():
    """With 254 more behind it; of this process and call alone."""
    pid = os.getpid()
    return f"127.{2 + pid % 250}.{(17 * pid // 250 + next(_numbers)) % 250}.1"


@contextmanager
def plutos(uris, **settings):
    """One adi.Pluto (or `of`) a URI, at 1 Msample/s, 915 MHz, 1 MHz wide, manual gain; settings: of all of them."""
    adi = pytest.importorskip("adi", reason="needs pyadi-iio and pylibiio (extra radio)")
    of = settings.pop("of", adi.Pluto)
    common = {
        "sample_rate": 1_000_000, "rx_lo": 915_000_000, "tx_lo": 915_000_000, "rx_rf_bandwidth": 1_000_000,
        "tx_rf_bandwidth": 1_000_000, "gain_control_mode_chan0": "manual", "rx_hardwaregain_chan0": 10,
        "tx_hardwaregain_chan0": -20, "rx_buffer_size": 4096,
    } | settings  # fmt: skip
    radios = [of(uri) for uri in uris]
    try:
        for radio in radios:
            for name, value in common.items():
                setattr(radio, name, value)
        yield radios
    finally:
        for radio in radios:
            radio.rx_destroy_buffer()
            radio.tx_destroy_buffer()
