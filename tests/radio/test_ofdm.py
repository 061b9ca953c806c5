import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radio.ofdm import OfdmConfig, demodulate, modulate
from tests.radio.waveform_strategies import numerologies
from tests.reference import ofdm as reference


def draw(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def test_modulate_matches_the_textbook_sum(rng):
    ofdm = OfdmConfig(fft_len=64, prefix_len=7, num_active=40)
    symbols = draw(rng, 3, 40)
    np.testing.assert_allclose(modulate(symbols, ofdm), reference.modulate(symbols, ofdm), atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(numerologies(), st.integers(1, 4))
def test_demodulate_is_the_inverse_of_modulate(ofdm, num_symbols):
    symbols = draw(np.random.default_rng(1), num_symbols, ofdm.num_active)
    np.testing.assert_allclose(demodulate(modulate(symbols, ofdm), ofdm), symbols, atol=1e-5)


def test_a_symbols_body_has_the_energy_of_its_amplitudes(rng):
    ofdm = OfdmConfig(prefix_len=0)
    symbols = draw(rng, 5, ofdm.num_active)
    samples = modulate(symbols, ofdm)
    assert np.vdot(samples, samples).real == pytest.approx(np.vdot(symbols, symbols).real, rel=1e-5)


def test_the_dc_bin_and_the_band_edges_stay_empty():
    ofdm = OfdmConfig()
    assert 0 not in ofdm.active_bins
    assert len(set(ofdm.active_bins.tolist())) == ofdm.num_active
    assert not set(range(97, 160)) & set(ofdm.active_bins.tolist())


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 64))
def test_a_delay_inside_the_prefix_turns_subcarriers_and_never_leaks(delay):
    ofdm = OfdmConfig()
    symbols = draw(np.random.default_rng(2), 3, ofdm.num_active)
    delayed = np.concatenate([np.zeros(delay, np.complex64), modulate(symbols, ofdm)])[: 3 * ofdm.symbol_len]
    turned = symbols * np.exp(-2j * np.pi * ofdm.active_bins * delay / ofdm.fft_len)
    np.testing.assert_allclose(demodulate(delayed, ofdm), turned, atol=2e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fft_len": 32}, r"fft_len must be in \[64, 4096\], got 32"),
        ({"prefix_len": 257}, r"prefix_len must be in \[0, 256\] \(fft_len\), got 257"),
        ({"num_active": 193}, "must be even"),
        ({"num_active": 256}, r"in \[2, 254\], got 256"),
        ({"num_pilots": 7}, r"must be even and in \[0, 96\], half of the 192 active ones, got 7"),
        ({"num_pilots": 98}, r"got 98; lower radio.pilots or raise radio.active"),
    ],
)
def test_a_numerology_that_cannot_be_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        OfdmConfig(**values)


def test_a_broken_number_of_samples_is_refused():
    with pytest.raises(ValueError, match="321 samples are not a whole number of symbols of 320"):
        demodulate(np.zeros(321, np.complex64), OfdmConfig())
