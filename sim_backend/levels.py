"""Absolute levels of a virtual radio: dBm at its connectors, full scale at its converters."""

import math

from radio.decibel import from_db

DAC_FULL_SCALE = 32767.0  # of 16 bits, of which the converter takes the upper 12
ADC_FULL_SCALE = 2047.0  # of 12 bits
DAC_BITS = 12
TX_FULL_SCALE_DBM = (
    7.0  # AD9363 data sheet, table 1: maximum output power of a transmitter, 800 MHz to 2.4 GHz, 7 to 8
)
RX_FULL_SCALE_DBM = 0.0  # input that drives the receiver's converter to full scale at a gain of 0 dB
THERMAL_DBM_HZ = -174.0  # kT at 290 K
SILENCE_DBM = -200.0


def dbm(power: float) -> float:
    """Power on the air, a transmitter's full scale = 1, in dBm."""
    return 10.0 * math.log10(power) + TX_FULL_SCALE_DBM if power > 0.0 else SILENCE_DBM


def adc_amplitude(gain_db: float) -> float:
    """Amplitude at the converter, full scale = 1, of amplitude 1 on the air."""
    return math.sqrt(from_db(TX_FULL_SCALE_DBM - RX_FULL_SCALE_DBM + gain_db))


def thermal_variance(sample_rate_hz: float, noise_figure_db: float) -> float:
    """E|w|^2 a sample of a receiver's own noise at its input, a transmitter's full scale = 1."""
    return from_db(THERMAL_DBM_HZ + 10.0 * math.log10(sample_rate_hz) + noise_figure_db - TX_FULL_SCALE_DBM)
