import numpy as np
import pytest
from drawn_soundings import assert_covered, white
from scipy.integrate import trapezoid
from scipy.signal import lfilter

from calibration.one_pole import one_pole_spectrum
from calibration.phase_noise import burst_phases, estimate_phase_noise
from sim_backend.tones import one_pole

SYMBOL_S, WINDOW_S = 80e-6, 64e-6


def relaxing(rng, corner_hz, rms_rad, step_s, count):
    """Gaussian one-pole noise (num_instants,), exact at its instants; it has no end at 20 corners."""
    kept = np.exp(-2 * np.pi * corner_hz * step_s)
    steps = np.sqrt(1 - kept**2) * rng.normal(size=count)
    steps[0] = rng.normal()
    return rms_rad * lfilter([1.0], [1.0, -kept], steps)


def averaged(phases, per_value, used):
    """Means over the last `used` of each `per_value`."""
    return phases.reshape(-1, per_value)[:, per_value - used :].mean(axis=1)


def of_symbols(rng, corner_hz, rms_rad, count, noise):
    """Bodies of consecutive symbols, 40 instants each."""
    fine = relaxing(rng, corner_hz, rms_rad, SYMBOL_S / 40, 40 * count)
    return averaged(fine, 40, 32) + np.sqrt(noise) * rng.normal(size=count)


def test_120_oscillators_are_known_as_well_as_stated(rng):
    """From symbols where the noise is slower than they are, from samples where it is faster."""
    rms, corners, common = [], [], []
    for setting in range(120):
        rms_deg = rng.uniform(0.4, 2.0)
        if setting % 2:
            corner_hz, noise = rng.uniform(500, 3000), 10 ** rng.uniform(-6, -5)
            phases = of_symbols(rng, corner_hz, np.deg2rad(rms_deg), 1500, noise)
            found = estimate_phase_noise(phases, SYMBOL_S, WINDOW_S, noise)
            window = WINDOW_S
        else:
            corner_hz, noise = rng.uniform(4e3, 20e3), 10 ** rng.uniform(-6, -5)
            fine = relaxing(rng, corner_hz, np.deg2rad(rms_deg), 0.25e-6, 4 * 8192)
            phases = averaged(fine, 4, 4) + np.sqrt(noise) * rng.normal(size=8192)
            found = estimate_phase_noise(phases, 1e-6, 1e-6, noise)
            window = 1e-6
        assert found.seen
        # the model's power ends at 20 corners: 2 / pi atan 20 of what these draws have
        true_deg = rms_deg * np.sqrt(np.arctan(20.0) * 2 / np.pi)
        rms.append((*found.rms_interval_deg, true_deg, found.rms_deg))
        corners.append((*found.corner_interval_hz, corner_hz, found.corner_hz))
        # mean of the covariance exp(-c |t - s|) over a window
        c = 2 * np.pi * corner_hz * window
        held = 2 / c**2 * (c - 1 + np.exp(-c))
        common.append((*found.common_rms_interval_deg, rms_deg * np.sqrt(held), found.common_rms_deg))
    for rows, most in ((rms, 0.03), (corners, 0.05), (common, 0.03)):
        low, high, truth, value = np.array(rows).T
        assert_covered(np.column_stack([low, high]), truth)
        assert abs(np.mean(np.log(value / truth))) < most


def test_fast_noise_seen_through_symbols_is_told_from_little_noise(rng):
    """At a corner of 10 kHz a symbol's mean holds 0.4 of the noise: what is common is less than what there is."""
    found = estimate_phase_noise(of_symbols(rng, 1e4, np.deg2rad(1.0), 8000, 1e-6), SYMBOL_S, WINDOW_S, 1e-6)
    assert found.common_rms_deg == pytest.approx(0.612, rel=0.03)
    assert found.rms_interval_deg[0] < 1.0 < found.rms_interval_deg[1]
    assert found.rms_deg == pytest.approx(1.0, rel=0.3)


def test_the_simulators_lines_are_within_the_interval_too(rng):
    """48 lines under a one-pole envelope, of fixed power."""
    held = 0
    for _ in range(40):
        fine = np.deg2rad(1.0) * one_pole(1e4, rng).real_on_grid(int(rng.integers(10**6)), 4 * 8192, 4e6)
        phases = averaged(fine.astype(float), 4, 4) + 1e-3 * rng.normal(size=8192)
        found = estimate_phase_noise(phases, 1e-6, 1e-6, 1e-6)
        held += found.rms_interval_deg[0] <= 1.0 <= found.rms_interval_deg[1]
        assert found.corner_hz == pytest.approx(1e4, rel=0.6)
    assert held >= 35


def test_the_spectrum_is_that_of_the_process(rng):
    hits, bands = 0, 0
    for _ in range(20):
        phases = of_symbols(rng, 800.0, np.deg2rad(1.5), 3000, 1e-5)
        found = estimate_phase_noise(phases, SYMBOL_S, WINDOW_S, 1e-5)
        power = np.deg2rad(1.5) ** 2 * np.arctan(20.0) * 2 / np.pi
        truth = 10 * np.log10(one_pole_spectrum(found.freqs_hz, power, 800.0))
        low, high = found.spectrum_interval_dbc_hz.T
        hits += np.sum((low <= truth) & (truth <= high))
        bands += len(truth)
    assert 0.9 < hits / bands < 0.99  # the window is undone by the fitted model, which is not the truth


def test_one_poles_power_is_the_integral_of_its_spectrum():
    freqs = np.linspace(-2e4, 2e4, 400_001)
    assert trapezoid(one_pole_spectrum(freqs, 0.3, 1e3), freqs) == pytest.approx(0.3, rel=1e-4)


def test_what_noise_hides_is_bounded(rng):
    seen = 0
    for _ in range(40):
        phases = 1e-2 * rng.normal(size=2000)
        found = estimate_phase_noise(phases, SYMBOL_S, WINDOW_S, 1e-4)
        seen += found.seen
        if not found.seen:
            assert np.isnan(found.rms_deg)
            assert found.rms_interval_deg[0] == 0.0
            assert 0.0 < found.rms_interval_deg[1] < np.rad2deg(1e-2)
    assert seen <= 3  # one in a hundred
    loud = estimate_phase_noise(phases + relaxing(rng, 300.0, 5e-3, SYMBOL_S, 2000), SYMBOL_S, WINDOW_S, 1e-4)
    assert loud.seen


def test_phases_of_a_burst_are_those_that_turned_it(rng):
    expected = 0.3 * white(rng, 4000).astype(np.complex64)
    turned = 3.0 + np.cumsum(0.01 * rng.normal(size=4000))
    received = (expected * np.exp(1j * turned)).astype(np.complex64)
    noise = 1e-4
    phases, variance = burst_phases(received, expected, 20, noise)
    np.testing.assert_allclose(phases, turned.reshape(-1, 20).mean(axis=1), atol=0.05)
    noisy = received + np.sqrt(noise) * white(rng, 4000)
    scatter = np.mean((burst_phases(noisy, expected, 20, noise)[0] - phases) ** 2)
    assert scatter == pytest.approx(variance, rel=0.4)  # 200 groups: 10 %, four of them


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="at least 192 phases, got 100; record longer"):
        estimate_phase_noise(np.zeros(100), SYMBOL_S, WINDOW_S, 1e-4)
    with pytest.raises(ValueError, match=r"window_s must be in \[0, 6.4e-05\]"):
        estimate_phase_noise(np.zeros(500), WINDOW_S, SYMBOL_S, 1e-4)
    with pytest.raises(ValueError, match="equally long, got 5 and 6"):
        burst_phases(np.ones(5, np.complex64), np.ones(6, np.complex64), 1, 0.1)
    with pytest.raises(ValueError, match=r"group_len must be in \[1, 5\] samples, got 9"):
        burst_phases(np.ones(5, np.complex64), np.ones(5, np.complex64), 9, 0.1)
    with pytest.raises(ValueError, match="nothing is expected in 2 of 2 groups"):
        burst_phases(np.ones(4, np.complex64), np.zeros(4, np.complex64), 2, 0.1)
