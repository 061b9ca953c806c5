import pytest

from radio.thermal_noise import noise_dbm


def test_noise_of_a_resistor_at_290_k_is_minus_174_dbm_in_a_hertz():
    assert noise_dbm(1.0, 0.0) == pytest.approx(-173.975, abs=1e-3)  # the textbooks' -174


def test_bandwidth_and_figure_add_in_decibels():
    assert noise_dbm(20e6, 7.0) == pytest.approx(
        -174 + 73.01 + 7, abs=0.03
    )  # -94 dBm, of many a Wi-Fi budget
    assert noise_dbm(4e6, 3.0) - noise_dbm(4e5, 0.0) == pytest.approx(13.0)
