"""Fading, phase noise and drift: their statistics against closed forms and against GNU Radio's own model."""

import numpy as np
import pytest
from scipy.special import j0
from scipy.stats import ks_2samp, kstest

from radio.impairments import Impairments
from sim_backend.crystal import draw_crystal
from sim_backend.path import draw_path
from sim_backend.tones import BLOCK, Tones, one_pole, random_walk, scattering


def autocorrelation(values, lags):
    power = np.vdot(values, values).real / len(values)
    return (
        np.array([np.vdot(values[: len(values) - lag], values[lag:]) / (len(values) - lag) for lag in lags])
        / power
    )


def gnuradio_fading(count, cycles, los, k, seed):
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    from gnuradio import blocks, channels, gr

    flowgraph = gr.top_block()
    source = blocks.vector_source_c(np.ones(count, np.complex64), False)
    model = channels.fading_model(32, cycles, los, k, seed)
    sink = blocks.vector_sink_c(1, count)
    flowgraph.connect(source, model, sink)
    flowgraph.run()
    return np.array(sink.data())


def test_fading_has_gnuradios_autocorrelation_and_bessels():
    cycles, lags = 0.01, np.arange(0, 150, 10)
    ours = np.mean(
        [
            autocorrelation(scattering(cycles, np.random.default_rng(seed)).on_grid(0, 40_000, 1.0), lags)
            for seed in range(20)
        ],
        axis=0,
    )
    theirs = np.mean(
        [autocorrelation(gnuradio_fading(40_000, cycles, False, 1.0, seed), lags) for seed in range(1, 21)],
        axis=0,
    )
    np.testing.assert_allclose(ours, j0(2 * np.pi * cycles * lags), atol=0.03)
    np.testing.assert_allclose(theirs, j0(2 * np.pi * cycles * lags), atol=0.1)
    np.testing.assert_allclose(ours, theirs, atol=0.12)


def test_fading_has_gnuradios_levels_and_rayleighs():
    ours = np.concatenate(
        [
            np.abs(scattering(0.01, np.random.default_rng(seed)).on_grid(0, 40_000, 1.0))[::400]
            for seed in range(20)
        ]
    )
    theirs = np.concatenate(
        [np.abs(gnuradio_fading(40_000, 0.01, False, 1.0, seed))[::400] for seed in range(1, 21)]
    )
    assert kstest(ours, "rayleigh", args=(0, np.sqrt(0.5))).pvalue > 1e-3
    theirs = theirs * np.sqrt(np.mean(ours**2) / np.mean(theirs**2))  # its power is not normalised
    assert ks_2samp(ours, theirs).pvalue > 1e-3


def test_rician_fading_has_its_factor_over_the_whole_profile():
    impairments = Impairments(
        fading="rician", rician_k_db=6.0, tap_delays_s=(0.0, 1e-7), tap_powers_db=(0.0, -3.0), doppler_hz=10.0
    )
    gains = np.array(
        [
            draw_path(impairments, 0, device, 4e6, 915e6).response(np.arange(5.0), np.array([1e6]))[:, 0]
            for device in range(600)
        ]
    )
    power = np.abs(gains) ** 2
    assert power.mean() == pytest.approx(1.0, abs=0.05)
    k = 10**0.6  # E|h|^4 of Rician fading
    assert np.mean(power**2) == pytest.approx((k**2 + 4 * k + 2) / (k + 1) ** 2, rel=0.06)


def test_phase_noise_has_its_level_and_its_corner():
    power, correlation = 0.0, 0.0
    lag = 1.0 / (
        2 * np.pi * 1e4
    )  # a one-pole spectrum decays as exp(-2 pi corner lag), apart from the cut-off
    for seed in range(200):
        noise = one_pole(1e4, np.random.default_rng(seed))
        values = noise.at(np.array([1.0, 1.0 + lag])).real
        power += values[0] ** 2 / 200
        correlation += values[0] * values[1] / 200
    assert power == pytest.approx(1.0, rel=0.25)
    assert correlation == pytest.approx(np.exp(-1.0), abs=0.2)
    long = one_pole(1e4, np.random.default_rng(1)).on_grid(0, 400_000, 4e6).real
    assert np.mean(long**2) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("lag_s", [2e-2, 1.0, 100.0])
def test_drift_is_a_random_walk_at_every_scale(lag_s):
    increments = []
    for seed in range(400):
        walk = random_walk(np.random.default_rng(seed), 1e-5, 1e3)
        at = walk.at(np.array([7.0, 7.0 + lag_s])).real
        increments.append(at[1] - at[0])
    assert np.mean(np.square(increments)) == pytest.approx(lag_s, rel=0.25)  # 400 squares: 7 % each sigma
    assert kstest(np.array(increments) / np.sqrt(lag_s), "norm").pvalue > 1e-3


def test_phase_is_the_integral_of_frequency_and_the_sample_clock_follows():
    impairments = Impairments(clock="free", max_clock_offset_ppm=10.0, drift_hz_per_root_s=3.0)
    crystal = draw_crystal(impairments, 3, 1, 915e6)
    times = 100.0 + np.arange(200_001) * 1e-5
    frequency, phase = crystal.frequency_hz(times), crystal.phase(times)
    integral = np.sum((frequency[1:] + frequency[:-1]) / 2) * 1e-5
    assert (phase[-1] - phase[0]) / (2 * np.pi) == pytest.approx(integral, abs=1e-4)
    np.testing.assert_allclose(phase / (2 * np.pi * 915e6), crystal.lead_s(times), rtol=1e-9)
    assert crystal.frequency_hz(np.zeros(1))[0] == pytest.approx(crystal.cfo_hz)
    clock = crystal.true_time(50.0)
    assert clock + crystal.lead_s(np.array([clock]))[0] == pytest.approx(50.0, abs=1e-12)


def test_relative_drift_does_not_depend_on_the_carrier():
    impairments = Impairments(clock="free", max_clock_offset_ppm=10.0, drift_hz_per_root_s=1.0)
    low, high = (draw_crystal(impairments, 3, 1, center) for center in (915e6, 2 * 915e6))
    times = np.array([0.0, 5.0, 70.0])
    np.testing.assert_allclose(high.frequency_hz(times), 2 * low.frequency_hz(times))


def test_a_separate_sample_clock_overrides_the_crystal():
    impairments = Impairments(
        clock="free",
        max_clock_offset_ppm=10.0,
        drift_hz_per_root_s=1.0,
        separate_sample_clock=True,
        sample_clock_offset_ppm=-4.0,
    )
    crystal = draw_crystal(impairments, 3, 1, 915e6)
    assert crystal.sro_ppm == pytest.approx(-4.0)
    np.testing.assert_allclose(crystal.lead_s(np.array([0.0, 10.0])), [0.0, -40e-6])


@pytest.mark.parametrize("start", [0, BLOCK - 1, 123_456_789_012])
def test_a_grid_is_its_instants_wherever_it_starts(start, rng):
    process = Tones(rng.normal(size=9) + 1j * rng.normal(size=9), rng.uniform(-2e5, 2e5, size=9))
    times = (start + np.arange(700)) / 4e6
    np.testing.assert_allclose(
        process.on_grid(start, 700, 4e6), process.at(times), atol=1e-3 if start > 1e9 else 1e-9
    )
    np.testing.assert_array_equal(
        process.on_grid(start, 700, 4e6)[300:], process.on_grid(start + 300, 400, 4e6)
    )
