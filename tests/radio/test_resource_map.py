import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radio.ofdm import OfdmConfig
from radio.resource_map import element_places, element_subcarriers, num_payload_symbols
from tests.radio.waveform_strategies import numerologies


@settings(deadline=None, max_examples=60)
@given(numerologies(), st.integers(1, 5000))
def test_every_element_has_a_data_subcarrier_of_its_own(ofdm, num_elements):
    places = element_places(num_elements, ofdm)
    assert len(set(places.tolist())) == num_elements
    assert places.max() < num_payload_symbols(num_elements, ofdm) * ofdm.num_active
    assert not np.isin(places % ofdm.num_active, ofdm.pilot_subcarriers).any()
    symbols = np.arange(num_elements) // ofdm.num_data  # one symbol is filled after the other
    np.testing.assert_array_equal(places // ofdm.num_active, symbols)
    np.testing.assert_array_equal(places % ofdm.num_active, element_subcarriers(num_elements, ofdm))


def test_without_interleaving_and_pilots_elements_run_along_the_band():
    ofdm = OfdmConfig(fft_len=64, num_active=48, prefix_len=16, interleave=False)
    np.testing.assert_array_equal(element_places(200, ofdm), np.arange(200))


@pytest.mark.parametrize(("elements", "expected"), [(1, 1), (184, 1), (185, 2), (45_288, 247)])
def test_symbols_are_counted_by_data_subcarriers(elements, expected):
    assert num_payload_symbols(elements, OfdmConfig(num_pilots=8)) == expected


@pytest.mark.parametrize("num_active", [48, 192, 254])
def test_no_two_symbols_in_a_row_of_the_band_begin_alike(num_active):
    ofdm = OfdmConfig(num_active=num_active)
    rows = element_subcarriers(num_active**2, ofdm).reshape(num_active, num_active)
    for place in (0, 7, num_active - 1):  # once through the band before a place sees a subcarrier again
        assert len(set(rows[:, place].tolist())) == num_active


def test_neighbours_and_successors_see_different_fades():
    """Over 8 taps of equal power: adjacent subcarriers correlate at 0.97 in the mean square, random ones at 1/8."""
    ofdm = OfdmConfig()
    bins = ofdm.active_bins[element_subcarriers(40 * 192, ofdm)].reshape(40, 192)
    taps = np.arange(8)

    def correlation(first, second):
        apart = (first - second).ravel()
        return np.mean(np.abs(np.exp(2j * np.pi * np.outer(apart, taps) / ofdm.fft_len).mean(axis=1)) ** 2)

    assert correlation(bins[:, 1:], bins[:, :-1]) < 0.25
    assert correlation(bins[1:], bins[:-1]) < 0.25
    plain = OfdmConfig(interleave=False)
    along = plain.active_bins[element_subcarriers(192, plain)]
    assert correlation(along[1:], along[:-1]) > 0.9


@settings(deadline=None, max_examples=60)
@given(numerologies())
def test_pilots_are_symmetric_about_dc_and_spread_evenly(ofdm):
    teeth = ofdm.pilot_subcarriers
    assert len(set(teeth.tolist())) == ofdm.num_pilots
    np.testing.assert_array_equal(teeth, ofdm.num_active - 1 - teeth[::-1])
    bins = ofdm.active_bins[teeth]
    centred = np.where(bins > ofdm.fft_len // 2, bins - ofdm.fft_len, bins)
    np.testing.assert_array_equal(centred, -centred[::-1])
    if ofdm.num_pilots >= 4:
        steps = np.diff(teeth)
        assert steps.max() - steps.min() <= 2  # to the rounding of a place on either side
    both = np.concatenate([teeth, ofdm.data_subcarriers])
    np.testing.assert_array_equal(np.sort(both), np.arange(ofdm.num_active))
