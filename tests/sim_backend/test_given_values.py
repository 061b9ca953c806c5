"""Given devices on the simulated air: what was given comes back out, by closed forms."""

import math

import numpy as np
import pytest

from radio.impairments import Impairments
from radio.interface import RadioConfig
from radio.measured_air import MeasuredAir, MeasuredDevice
from radio.scenarios import SCENARIOS
from radio.seeds import Use, stream
from sim_backend.air import Air
from sim_backend.chain import Burst
from sim_backend.crystal import draw_crystal
from sim_backend.front_end import draw_front_end
from sim_backend.medium import PathMedium
from sim_backend.path import draw_path
from sim_backend.ports import port_key
from sim_backend.radio import SimRadio
from sim_backend.stream_medium import carry_one
from sim_backend.transmitter import draw_transmitter

RATE_HZ, CENTER_HZ = 4e6, 915e6
TONE_HZ, AMPLITUDE = 0.31e6, 0.5
LATE = 4_000_000 * 100  # minutes into a run
COUNT, EDGE = 6000, 400
CONFIG = RadioConfig(sample_rate_hz=RATE_HZ, center_hz=CENTER_HZ)
EVERYTHING = MeasuredDevice(
    gain_db=-17.0,
    phase_rad=1.1,
    delay_s=2.3e-6,
    tap_delays_s=(0.0, 130e-9, 410e-9),
    taps=(0.8 + 0.1j, 0.3j, -math.sqrt(1 - 0.65 - 0.09) + 0j),
    clock_offset_ppm=4.0,
    drift_hz_per_root_s=0.5,
    phase_noise_deg=1.5,
    image=0.02 - 0.01j,
    lo_leakage=0.003j,
    saturation_db=2.0,
    rapp_smoothness=2.0,
)


def path_of(device, seed=5, number=0):
    others = tuple(MeasuredDevice() for _ in range(number))
    return draw_path(MeasuredAir(devices=(*others, device)), seed, number, RATE_HZ, CENTER_HZ)


def tone(freq_hz=TONE_HZ, amplitude=AMPLITUDE):
    """On the clock of its transmitter, from index LATE on."""
    times = (LATE + np.arange(COUNT)) / RATE_HZ
    return (amplitude * np.exp(2j * np.pi * freq_hz * times)).astype(np.complex64)


def through(device, samples):
    """(times, samples) at the receiver, ends apart."""
    heard = carry_one(Burst(path_of(device), samples, LATE))
    inside = slice(EDGE, len(heard.samples) - EDGE)
    return (heard.start + np.arange(len(heard.samples)))[inside] / RATE_HZ, heard.samples[inside]


def amplitude_at(samples, times, freq_hz):
    return np.mean(samples * np.exp(-2j * np.pi * freq_hz * times))


def test_a_tone_has_the_gain_phase_and_delay_that_are_given():
    device = MeasuredDevice(gain_db=-12.0, phase_rad=0.7, delay_s=1.7e-6)
    times, heard = through(device, tone())
    expected = AMPLITUDE * 10 ** (-12 / 20) * np.exp(1j * (0.7 + 2 * np.pi * TONE_HZ * (times - 1.7e-6)))
    np.testing.assert_allclose(heard, expected, atol=2e-6)  # single precision


@pytest.mark.parametrize("sample_ppm", [None, -3.0, 0.0])
def test_a_tone_is_turned_by_the_carrier_and_stretched_by_the_sample_clock(sample_ppm):
    device = MeasuredDevice(clock_offset_ppm=7.0, sample_clock_offset_ppm=sample_ppm, delay_s=1e-6)
    times, heard = through(device, tone())
    faster = 1 + 1e-6 * (7.0 if sample_ppm is None else sample_ppm)
    phase = 2 * np.pi * (7e-6 * CENTER_HZ * times + TONE_HZ * faster * (times - 1e-6))
    np.testing.assert_allclose(heard, AMPLITUDE * np.exp(1j * phase), atol=2e-5)  # the interpolator's


def test_taps_add_up_to_their_response():
    device = MeasuredDevice(
        gain_db=3.0, tap_delays_s=(0.0, 0.4e-6, 1.3e-6), taps=(0.6, 0.64j, -math.sqrt(1 - 0.36 - 0.4096))
    )
    for freq_hz in (-0.9e6, TONE_HZ):
        times, heard = through(device, tone(freq_hz))
        response = sum(
            tap * np.exp(-2j * np.pi * freq_hz * delay)
            for tap, delay in zip(device.taps, device.tap_delays_s, strict=True)
        )
        got = amplitude_at(heard, times, freq_hz)
        assert got == pytest.approx(AMPLITUDE * 10 ** (3 / 20) * response, abs=3e-5)
        assert abs(got) ** 2 == pytest.approx(AMPLITUDE**2 * device.mean_power([freq_hz]), rel=1e-4)


def test_image_and_leakage_are_where_they_belong():
    device = MeasuredDevice(gain_db=-6.0, delay_s=1e-6, image=0.03 - 0.04j, lo_leakage=0.01 + 0.02j)
    times, heard = through(device, tone())
    gain = 10 ** (-6 / 20)
    mirrored = gain * (0.03 - 0.04j) * AMPLITUDE * np.exp(2j * np.pi * TONE_HZ * 1e-6)
    assert amplitude_at(heard, times, -TONE_HZ) == pytest.approx(mirrored, abs=2e-5)
    assert amplitude_at(heard, times, 0.0) == pytest.approx(gain * (0.01 + 0.02j), abs=2e-5)


def test_strong_tones_are_compressed_by_rapps_law():
    device = MeasuredDevice(saturation_db=-3.0, rapp_smoothness=2.0)
    limit = 10 ** (-3 / 20)
    for amplitude in (0.1, 0.5, 0.95):
        _, heard = through(device, tone(amplitude=amplitude))
        expected = amplitude / (1 + (amplitude / limit) ** 4) ** 0.25
        np.testing.assert_allclose(np.abs(heard), expected, rtol=1e-4)


def test_converters_have_the_bits_that_are_given():
    transmitter = draw_transmitter(MeasuredAir(devices=(MeasuredDevice(dac_bits=3),)), 1, 0)
    levels = np.unique(transmitter.radiate(np.linspace(-1, 1, 999).astype(np.complex64)).real)
    np.testing.assert_allclose(levels, np.arange(-3, 4) / 3, atol=1e-6)  # 7 of them, the outermost full scale


def test_constants_do_not_depend_on_the_seed_and_processes_do():
    one, again, other = path_of(EVERYTHING), path_of(EVERYTHING), path_of(EVERYTHING, seed=6)
    for path in (one, other):
        assert (path.delay_s, path.steady, path.transmitter.image, path.transmitter.leakage) == (
            EVERYTHING.delay_s,
            EVERYTHING.taps,
            EVERYTHING.image,
            EVERYTHING.lo_leakage,
        )
        assert 20 * np.log10(abs(path.gain)) == pytest.approx(-17.0)
        assert np.angle(path.gain) == pytest.approx(1.1)
        assert path.cfo_hz == pytest.approx(4e-6 * CENTER_HZ)
    times = LATE / RATE_HZ + np.arange(50) * 1e-4
    np.testing.assert_array_equal(one.phase(times), again.phase(times))
    assert np.abs(one.phase(times) - other.phase(times)).min() > 1e-3


def test_processes_have_the_parameters_that_are_given():
    """Phase noise by its rms; the drift by the variance of a random walk, which is the lag times the rate's square."""
    crystals = [
        draw_crystal(
            MeasuredAir(devices=(MeasuredDevice(phase_noise_deg=2.0, drift_hz_per_root_s=3.0),)),
            seed,
            0,
            915e6,
        )
        for seed in range(150)
    ]
    times = np.arange(2000) * 1.7e-3
    noise = np.array([crystal.jitter.at(times).real for crystal in crystals])
    assert np.rad2deg(noise.std()) == pytest.approx(2.0, rel=0.02)
    steps = np.array([np.diff(crystal.frequency_hz(np.array([0.0, 1.0])))[0] for crystal in crystals])
    assert steps.std() == pytest.approx(3.0, rel=0.2)  # 3.5 standard errors of 150 Gaussians


def test_a_channel_that_fades_has_its_line_of_sight_and_its_power():
    half = math.sqrt(0.5)
    device = MeasuredDevice(
        gain_db=-20.0,
        phase_rad=0.5,
        tap_delays_s=(0.0, 1e-6),
        taps=(half * np.exp(0.4j), half),
        fading="rician",
        rician_k_db=6.0,
        doppler_hz=40.0,
    )
    times = np.arange(4000) * 7e-3
    gains = np.concatenate([path_of(device, seed).tap_gains(times) for seed in range(20)], axis=1)
    k = 10**0.6
    assert np.mean(np.abs(gains) ** 2, axis=1).sum() == pytest.approx(0.01, rel=0.03)
    # the line of sight is the mean of the first tap, and nothing of the second
    expected = 0.1 * math.sqrt(k / (k + 1)) * np.exp(0.9j)
    assert gains[0].mean() == pytest.approx(expected, abs=0.003)
    assert gains[1].mean() == pytest.approx(0.0, abs=0.003)
    assert np.mean(np.abs(gains[1]) ** 2) == pytest.approx(0.01 * 0.5 / (k + 1), rel=0.1)


def test_every_device_has_its_own_values_and_another_receiver_hears_through_no_measured_path():
    air = MeasuredAir(devices=(MeasuredDevice(gain_db=-20.0), EVERYTHING))
    usual = draw_path(air, 5, 1, RATE_HZ, CENTER_HZ)
    assert (usual.delay_s, usual.gain) == (EVERYTHING.delay_s, EVERYTHING.gain)
    elsewhere = draw_path(air, 5, 1, RATE_HZ, CENTER_HZ, receiver=0)
    mean_power = (10**-2 + 10**-1.7) / 2
    assert (elsewhere.delay_s, elsewhere.tap_delays_s) == (0.0, (0.0,))
    assert abs(elsewhere.gain) ** 2 == pytest.approx(mean_power)
    assert elsewhere.transmitter == usual.transmitter
    assert elsewhere.crystal.offset == 4e-6
    back = draw_path(air, 5, -1, RATE_HZ, CENTER_HZ, receiver=1)  # waves go both ways
    assert (back.delay_s, back.gain, back.steady) == (usual.delay_s, usual.gain, usual.steady)
    assert back.crystal.offset == 0.0


def test_who_keeps_time():
    air = MeasuredAir(
        devices=(
            MeasuredDevice(phase_noise_deg=1.0, image=0.1, delay_s=1e-6),
            MeasuredDevice(clock_offset_ppm=1.0),
            MeasuredDevice(drift_hz_per_root_s=1.0),
            MeasuredDevice(sample_clock_offset_ppm=1.0),
        )
    )
    medium = PathMedium(air, 1)
    assert [medium.keeps_time(port) for port in (-1, 0, 1, 2, 3)] == [True, True, False, False, False]
    crystals = [draw_crystal(air, 1, port, CENTER_HZ) for port in (-1, 0, 1, 2, 3)]
    assert [crystal.keeps_time for crystal in crystals] == [True, True, False, False, False]


def test_the_receiver_hears_with_its_noise_image_and_offset():
    air = MeasuredAir(
        devices=(MeasuredDevice(),), noise_variance=2e-3, rx_image=0.02 + 0.05j, rx_dc=0.1 - 0.2j, adc_bits=0
    )
    front_end = draw_front_end(air, 1, -1, RATE_HZ, air.noise_variance, 0.1)
    times = np.arange(200_000) / RATE_HZ
    arriving = (AMPLITUDE * np.exp(2j * np.pi * 0.5e6 * times)).astype(np.complex64)
    heard, num_saturated = front_end.receive(arriving, 0)
    assert num_saturated == 0
    # four deviations of a mean of 200,000 samples of noise
    assert amplitude_at(heard, times, -0.5e6) == pytest.approx(AMPLITUDE * (0.02 + 0.05j), abs=4e-4)
    assert amplitude_at(heard, times, 0.0) == pytest.approx(0.1 - 0.2j, abs=4e-4)
    assert np.mean(np.abs(front_end.noise(0, 200_000)) ** 2) == pytest.approx(2e-3, rel=0.01)


def test_simulated_radios_hear_it_through_gnuradio():
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    device = MeasuredDevice(gain_db=-9.0, phase_rad=-0.4, delay_s=2e-6, clock_offset_ppm=2.0)
    air = MeasuredAir(devices=(MeasuredDevice(), device))
    shared = Air(PathMedium(air, 3), 0.05)
    transmitter = SimRadio(shared, 1, CONFIG, draw_front_end(air, 3, 1, RATE_HZ, 0.0, 0.1))
    receiver = SimRadio(shared, -1, CONFIG, draw_front_end(air, 3, -1, RATE_HZ, 0.0, 0.1))
    at = 40_000
    samples = AMPLITUDE * np.exp(2j * np.pi * TONE_HZ / RATE_HZ * (at + np.arange(COUNT)))
    transmitter.transmit(samples.astype(np.complex64), at)
    heard = receiver.receive(at + EDGE, COUNT - 2 * EDGE, 1.0)
    times = (at + EDGE + np.arange(len(heard))) / RATE_HZ
    phase = -0.4 + 2 * np.pi * (2e-6 * CENTER_HZ * times + TONE_HZ * (1 + 2e-6) * (times - 2e-6))
    np.testing.assert_allclose(heard, AMPLITUDE * 10 ** (-9 / 20) * np.exp(1j * phase), atol=2e-5)


def test_airs_that_give_nothing_are_drawn_from_the_streams_they_always_were():
    """What an older seed meant: which stream each value comes from, and its law."""
    harsh, seed, device = SCENARIOS["harsh"], 11, 3
    path = draw_path(harsh, seed, device, RATE_HZ, CENTER_HZ)

    def first(*steps):
        return stream(seed, *steps)

    assert path.crystal.offset == first(Use.CRYSTAL, device, 0).uniform(-1e-6 * 10, 1e-6 * 10)
    assert path.delay_s == first(Use.PATH, port_key(-1), device, 1).uniform(0.0, 3e-6)
    turn = first(Use.PATH, port_key(-1), device, 3).random()
    assert np.angle(path.gain) == pytest.approx(np.angle(np.exp(2j * np.pi * turn)))
    image_phase = 2 * np.pi * first(Use.TRANSMITTER, device).random(2)[0]
    assert path.transmitter.image == pytest.approx(10 ** (-25 / 20) * np.exp(1j * image_phase))
    front_end = draw_front_end(Impairments(rx_dc_db=-20.0), seed, -1, RATE_HZ, 0.0, 0.1)
    offset_phase = 2 * np.pi * first(Use.RECEIVER, port_key(-1)).random(2)[1]
    assert front_end.offset == pytest.approx(0.1 * np.exp(1j * offset_phase))
