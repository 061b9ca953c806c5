import numpy as np
import pytest

from sim_backend.bands import FILTER_HALF, Band, translate, translated_span
from sim_backend.chain import Heard

SENT = Band(4e6, 915e6)


def tone(band, frequency_hz, start, count):
    times = (start + np.arange(count)) / band.sample_rate_hz
    return np.exp(2j * np.pi * (frequency_hz - band.center_hz) * times).astype(np.complex64)


@pytest.mark.parametrize(
    "tuned",
    [
        Band(4e6, 916e6),
        Band(2e6, 915e6),
        Band(1e6, 914.2e6),
        Band(20e6, 918e6),
        Band(3e6, 915.5e6),
        Band(10e6, 909.5e6),
        Band(3_001_000.0, 915.2e6),
        Band(53_333_000.0, 914e6),
        Band(4e6 + 1 / 3, 915e6),
    ],
)
def test_a_tone_in_both_bands_is_heard_where_it_is(tuned):
    reach_hz = min(0.45 * tuned.sample_rate_hz, 0.5 * tuned.sample_rate_hz - 0.03 * SENT.sample_rate_hz)
    low = max(SENT.center_hz - 1.8e6, tuned.center_hz - reach_hz)
    high = min(SENT.center_hz + 1.8e6, tuned.center_hz + reach_hz)
    start, count = 1_000_003, 8000
    for frequency_hz in (low, (low + high) / 2, high):
        heard = translate(Heard(start, tone(SENT, frequency_hz, start, count)), SENT, tuned)
        expected = tone(tuned, frequency_hz, heard.start, len(heard.samples))
        ends = round(2 * FILTER_HALF * max(1, tuned.sample_rate_hz / SENT.sample_rate_hz)) + 50
        np.testing.assert_allclose(heard.samples[ends:-ends], expected[ends:-ends], atol=2e-3)
        low_index, high_index = translated_span(start, start + count, SENT, tuned)
        assert low_index <= heard.start
        assert heard.start + len(heard.samples) <= high_index


@pytest.mark.parametrize("tuned", [Band(4e6, 917e6), Band(1e6, 915e6)])
def test_a_tone_outside_the_receivers_band_is_not_heard(tuned):
    frequency_hz = 913.9e6
    heard = translate(Heard(0, tone(SENT, frequency_hz, 0, 8000)), SENT, tuned)
    assert np.abs(heard.samples[200:-200]).max() < 1e-3


def test_the_same_band_is_untouched_and_others_do_not_overlap():
    heard = Heard(5, tone(SENT, 915.3e6, 5, 100))
    assert translate(heard, SENT, SENT) is heard
    assert SENT.overlaps(Band(4e6, 918.9e6))
    assert not SENT.overlaps(Band(4e6, 919e6))
    assert SENT.overlaps(Band(20e6, 905e6))
