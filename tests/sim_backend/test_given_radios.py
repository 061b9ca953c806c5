"""Given devices behind virtual radios: as on the air in one process, but for the levels of the hardware."""

import math

import numpy as np
import pytest

from radio.measured_air import MeasuredAir, MeasuredDevice
from radio.ofdm import OfdmConfig
from radio.uplink import Plan
from sim_backend.elements import ElementTruth, PathElements
from sim_backend.medium import PathMedium
from sim_backend.station_settings import StationSettings
from sim_backend.stream_air import StreamAirConfig
from sim_backend.stream_truth import StreamTruth
from sim_backend.streaming import Engine
from tests.reference.waves import complex_of, frequency, level_db, tone, words

RATE_HZ, LO_HZ = 1e6, 915e6
BASE = StationSettings(
    sample_rate_hz=RATE_HZ,
    tx_lo_hz=LO_HZ,
    rx_lo_hz=LO_HZ,
    tx_attenuation_db=(20.0,),
    rx_gain_db=(30.0,),
    gain_mode=("manual",),
    tx_bandwidth_hz=RATE_HZ,
    rx_bandwidth_hz=RATE_HZ,
)
HARDWARE_DB = 7.0 - 20.0 + 30.0  # out, attenuation, gain, against 0 dBm
DEVICES = (
    MeasuredDevice(
        gain_db=-30.0,
        delay_s=2.5e-6,
        tap_delays_s=(0.0, 1.5e-6),
        taps=(0.8, 0.6j),
        image=0.06 + 0.08j,
        lo_leakage=0.05j,
    ),
    MeasuredDevice(gain_db=-41.0, clock_offset_ppm=12.0, saturation_db=-6.0, rapp_smoothness=2.0),
)
RECEIVER = len(DEVICES)


def engine(air, receiver=RECEIVER, num_radios=RECEIVER + 1, **settings):
    return Engine(StreamAirConfig(impairments=air, receiver=receiver, **settings), num_radios, BASE)


def heard(air, sent, device=0, **options):
    """What the receiver has of words that a device repeats; skips the beginning."""
    receiver = options.get("receiver", RECEIVER)
    with engine(air, **options) as bench, bench.open_tx(device, len(sent), cyclic=True) as tx:
        tx.write(sent)
        with bench.open_rx(receiver, 21_000) as rx:
            return complex_of(rx.read())[1000:]


def power_db(samples, cycles):
    """Of a tone."""
    spectrum = np.mean(samples * np.exp(-2j * np.pi * cycles * np.arange(len(samples))))
    return 20 * math.log10(abs(spectrum))


def test_tone_image_and_leakage_have_the_levels_of_the_budget():
    got = heard(MeasuredAir(devices=DEVICES), tone(0.1, 1000, 0.5))

    def response_db(freq_hz):
        return 20 * math.log10(abs(0.8 + 0.6j * np.exp(-2j * np.pi * freq_hz * 1.5e-6)))

    through_db = HARDWARE_DB - 30.0
    own_db = 20 * math.log10(0.5)
    assert power_db(got, 0.1) == pytest.approx(through_db + own_db + response_db(0.1e6), abs=0.02)
    assert power_db(got, -0.1) == pytest.approx(through_db + own_db - 20.0 + response_db(-0.1e6), abs=0.05)
    assert power_db(got, 0.0) == pytest.approx(through_db - 26.0206 + response_db(0.0), abs=0.05)


def test_leakage_lasts_as_long_as_a_burst_however_the_stream_is_cut():
    """An eighth of each repetition is a burst: it and half a hundred samples beside it are not silent."""
    sent = np.concatenate([tone(0.1, 500, 0.5), np.zeros((3500, 2), np.int16)])
    got = heard(MeasuredAir(devices=DEVICES), sent)[:16_000].reshape(4, -1)
    silent = np.all(np.abs(got) < 1e-3, axis=0)
    assert 4000 - 500 - 2 * 80 <= np.count_nonzero(silent) <= 4000 - 500 - 2 * 48


def test_carrier_and_compression_are_the_devices_own():
    # A tone of amplitude 0.5 at the saturation of -6.02 dB, p = 2: 1 / (1 + 1)^(1 / 4), 1.505 dB
    got = heard(MeasuredAir(devices=DEVICES), words(np.full(1000, 0.5 + 0j)), device=1)
    assert frequency(got) == pytest.approx(12e-6 * LO_HZ / RATE_HZ, abs=2e-7)
    ratio = (0.5 / 10 ** (-6 / 20)) ** 4
    compressed_db = -2.5 * math.log10(1 + ratio) * 2
    assert level_db(got) == pytest.approx(HARDWARE_DB - 41.0 - 6.0206 + compressed_db, abs=0.03)


def test_noise_and_mixer_of_a_receiver_are_those_measured():
    # 4e-4 of full scale's 7 dBm at twice the rate: at a gain of 30 dB 3 dB above full scale times 4e-4
    air = MeasuredAir(devices=DEVICES, noise_variance=4e-6, sample_rate_hz=RATE_HZ / 2, rx_dc=0.03 - 0.04j)
    with engine(air) as bench, bench.open_rx(RECEIVER, 50_000) as rx:
        got = complex_of(rx.read())
    assert got.mean() == pytest.approx(0.03 - 0.04j, abs=0.005)
    expected_db = 7.0 + 30.0 + 10 * math.log10(8e-6)
    assert level_db(got - got.mean()) == pytest.approx(expected_db, abs=0.1)
    stated = heard(air, tone(0.1, 1000, 0.0), noise_variance=0.0)  # an SNR's noise counts where there is one
    assert level_db(stated - stated.mean()) < -60.0


def test_the_first_radio_may_be_the_receiver():
    shifted = MeasuredAir(devices=DEVICES, first_port=1)
    usual = heard(MeasuredAir(devices=DEVICES), tone(0.1, 1000, 0.5), device=0)
    first = heard(shifted, tone(0.1, 1000, 0.5), device=1, receiver=0)
    assert power_db(first, 0.1) == pytest.approx(power_db(usual, 0.1), abs=0.03)


def test_a_device_hears_the_receiver_through_the_path_that_was_measured():
    def through_db(sender, listener):
        """Of a tone whose leakage and image are none."""
        with engine(MeasuredAir(devices=DEVICES)) as bench, bench.open_tx(sender, 1000, cyclic=True) as tx:
            tx.write(tone(0.1, 1000, 0.5))
            with bench.open_rx(listener, 21_000) as rx:
                return power_db(complex_of(rx.read())[1000:], 0.1)

    assert through_db(RECEIVER, 0) == pytest.approx(through_db(0, RECEIVER), abs=0.03)
    shape = 0.8 + 0.6j * np.exp(-2j * np.pi * 0.1e6 * 1.5e-6)
    expected_db = HARDWARE_DB - 30.0 + 20 * math.log10(0.5 * abs(shape))
    assert through_db(RECEIVER, 0) == pytest.approx(expected_db, abs=0.02)


def test_truths_of_both_airs_agree_but_for_the_hardware():
    air, ofdm = MeasuredAir(devices=DEVICES), OfdmConfig(sample_rate_hz=RATE_HZ, fft_len=64, num_active=48)
    plan = Plan(round=0, seed=0, devices=(0, 1), dimension=96, num_elements=96, num_kept=96, start_index=5000)
    symbols = ElementTruth(PathElements(PathMedium(air, 9), ofdm, LO_HZ))
    streams = StreamTruth(air, 9, ofdm, LO_HZ, receiver=RECEIVER, settings_of=lambda radio: BASE)
    for device in (0, 1):
        ratio = streams.gains(plan, device) / symbols.gains(plan, device)
        np.testing.assert_allclose(ratio, 10 ** (HARDWARE_DB / 20), rtol=1e-6)
    # and both are what the taps say; 96 elements are two of each subcarrier
    shape = 0.8 + 0.6j * np.exp(-2j * np.pi * ofdm.active_freqs_hz * 1.5e-6)
    assert sorted(np.abs(symbols.gains(plan, 0))) == pytest.approx(sorted([*(10**-1.5 * np.abs(shape))] * 2))
    assert np.abs(symbols.gains(plan, 1)) == pytest.approx(10 ** (-41 / 20))
