"""The filters that pyadi-iio programs, as the streams see them."""

import re

import numpy as np
import pytest

from sim_backend.pluto_passband import _Listener, passband

adi = pytest.importorskip("adi")


@pytest.mark.parametrize(("rate_hz", "ripple"), [(1e6, 6e-3), (4e6, 6e-3), (30e6, 8e-3)])
def test_a_band_passes_as_through_the_taps_at_their_own_rate(rate_hz, ripple):
    """ripple: of the streams' filter, whose sincs end somewhere: 0.4 % at the edges of the band."""
    listener = _Listener()
    adi.ad9364.sample_rate.fset(listener, rate_hz)
    factor = int(re.search(r"INT (\d)", listener.filters)[1])
    taps = np.array([int(first) for first in re.findall(r"^(-?\d+),", listener.filters, re.MULTILINE)])
    freqs_hz = np.linspace(-0.37, 0.37, 41) * rate_hz
    turns = np.exp(-2j * np.pi * np.outer(freqs_hz, np.arange(len(taps))) / (factor * rate_hz))
    amplitude = np.abs(turns @ taps)
    received, sent = amplitude / 2**15 * 10 ** (-6 / 20), amplitude / 2**16
    np.testing.assert_allclose(np.abs(passband(freqs_hz, rate_hz)), received * sent, rtol=ripple)
