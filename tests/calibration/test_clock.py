import numpy as np
import pytest
from drawn_soundings import (
    CENTER_HZ,
    EVEN,
    GROWING,
    OFDM,
    RATE_HZ,
    assert_covered,
    assert_unbiased,
    bursts,
    crystal,
    noisy,
    plus_minus,
    responses,
    sounded,
)

from calibration.clock import estimate_clock
from radio.correction import Correction
from sim_backend.tones import scattering

DEVICES, CALLS = 8, 25


def single_paths(rng, delays):
    return responses(delays[:, None], np.exp(2j * np.pi * rng.random((len(delays), 1))))


def test_200_settings_are_known_as_well_as_stated(rng):
    """Walks, noise, phase noise, delays and schedules at random; every crystal drives both clocks."""
    found = {name: [] for name in ("cfo", "sro", "delay")}
    agreements = []
    for call in range(CALLS):
        instants = (EVEN, GROWING)[call % 2]
        delays = rng.uniform(2, 12, DEVICES)
        clocks = [crystal(rng, rng.choice([0.0, rng.uniform(0, 1)])) for _ in range(DEVICES)]
        snr_db = rng.uniform(8, 30)
        soundings = sounded(
            rng, clocks, single_paths(rng, delays), instants, snr_db, np.deg2rad(rng.uniform(0, 1))
        )
        estimate = estimate_clock(soundings, CENTER_HZ)
        ends = instants[[0, -1]]
        turned = np.array([np.diff(clock.phase(ends))[0] for clock in clocks]) / (2 * np.pi)
        led = np.array([clock.lead_s(ends) for clock in clocks])
        truths = {
            "cfo": turned / soundings.span_s,
            "sro": 1e6 * (led[:, 1] - led[:, 0]) / soundings.span_s,
            "delay": delays - led[:, 1] * RATE_HZ,
        }
        for name, value, std in (
            ("cfo", estimate.cfo_hz, estimate.cfo_std_hz),
            ("sro", estimate.sro_ppm, estimate.sro_std_ppm),
            ("delay", estimate.delay_samples, estimate.delay_std_samples),
        ):
            found[name].extend(zip(value, std, truths[name], strict=True))
        agreements.extend(estimate.agreement)
        assert np.min(estimate.quality) > 0.99
        assert not estimate.separate_clocks.any()
    for rows in found.values():
        values, stds, truths = np.array(rows).T
        assert_unbiased((values - truths) / stds)
        assert_covered(plus_minus(values, stds), truths)
    sro, delay = np.array(found["sro"]), np.array(found["delay"])
    assert np.sqrt(np.mean((sro[:, 0] - sro[:, 2]) ** 2)) < 0.02  # ppm over a second
    assert np.sqrt(np.mean((delay[:, 0] - delay[:, 2]) ** 2)) < 0.05  # samples
    assert_covered(plus_minus(np.array(agreements), np.ones(len(agreements))), 0.0)


def test_without_a_walk_the_frequency_is_near_its_bound(rng):
    """A line through phases of variance sigma^2 / (2 energy) each: Cramer-Rao bound for a channel known to a factor."""
    snr = 100.0
    bound_hz = np.sqrt(0.5 / (snr * OFDM.num_active) / np.sum((EVEN - EVEN.mean()) ** 2)) / (2 * np.pi)
    errors = []
    for _ in range(12):
        clocks = [crystal(rng) for _ in range(DEVICES)]
        estimate = estimate_clock(
            sounded(rng, clocks, single_paths(rng, rng.uniform(2, 12, DEVICES)), EVEN, 20.0), CENTER_HZ
        )
        errors.extend(estimate.cfo_hz - [clock.cfo_hz for clock in clocks])
    # 96 errors: their rms is known to 7 %; 1 dB of the bound is 12 %
    assert np.sqrt(np.mean(np.square(errors))) < 1.12 * bound_hz * 1.14


def test_multipath_cancels(rng):
    delays = rng.uniform(0, 8, (DEVICES, 1)) + np.array([0.0, 1.3, 4.1])
    channels = responses(delays, white_paths(rng, DEVICES))
    clocks = [crystal(rng) for _ in range(DEVICES)]
    estimate = estimate_clock(sounded(rng, clocks, channels, EVEN, 25.0), CENTER_HZ)
    assert np.max(np.abs(estimate.sro_ppm - [clock.sro_ppm for clock in clocks])) < 1e-3
    assert np.max(np.abs(estimate.cfo_hz - [clock.cfo_hz for clock in clocks])) < 1e-3


def white_paths(rng, count):
    paths = np.array([1.0, 0.4, 0.2]) * np.exp(2j * np.pi * rng.random((count, 3)))
    return paths / np.linalg.norm(paths, axis=1, keepdims=True)


def test_separate_clocks_are_told(rng):
    clocks = [crystal(rng), crystal(rng, sample_offset=2e-6, one_crystal=False)]
    estimate = estimate_clock(
        sounded(rng, clocks, single_paths(rng, np.array([3.0, 4.0])), EVEN, 20.0), CENTER_HZ
    )
    assert estimate.separate_clocks.tolist() == [False, True]
    assert estimate.sro_ppm[1] == pytest.approx(2.0, abs=0.005)


def test_what_devices_undid_is_added(rng):
    """The whole offset is applied, and undone as a device does it: on its own clock."""
    clock = crystal(rng, ppm=0.0, offset=10e-6, sample_offset=10e-6)
    undone = Correction(cfo_hz=9_140.0, drift=-9.98e-6)
    index = EVEN * RATE_HZ  # of the receiver; the device's own is ahead by its lead
    own_index = index + clock.lead_s(EVEN) * RATE_HZ
    left = clock.phase(EVEN) - 2 * np.pi * undone.cfo_hz * own_index / RATE_HZ
    moved = -(clock.sro_ppm * 1e-6 + undone.drift) * index
    gains = np.exp(1j * left)[:, None] * responses(5.0 + moved[:, None], np.ones((len(EVEN), 1)))
    soundings = noisy(rng, gains[:, None], EVEN, 25.0)
    estimate = estimate_clock(soundings, CENTER_HZ, [undone])
    assert estimate.cfo_hz[0] == pytest.approx(9_150.0, abs=4 * estimate.cfo_std_hz[0])
    assert estimate.cfo_std_hz[0] < 0.01  # on a clock that keeps time it would be 0.09 Hz less
    assert estimate.sro_ppm[0] == pytest.approx(10.0, abs=1e-3)


def test_fading_is_not_taken_for_knowledge(rng):
    """Paths that fade turn a channel as an offset does: by hertz, where noise leaves a thousandth of one."""
    misses = []
    for _ in range(4):
        clocks = [crystal(rng) for _ in range(DEVICES)]
        soundings = sounded(rng, clocks, np.ones((DEVICES, OFDM.num_active)), EVEN, 300.0)
        gains = np.empty_like(soundings.gains)
        for device in range(DEVICES):
            paths = [scattering(5.0, rng).at(EVEN) for _ in range(3)]
            gains[:, device] = responses(np.array([2.0, 2.6, 4.1]), np.stack(paths, axis=1) / np.sqrt(3))
        estimate = estimate_clock(noisy(rng, soundings.gains * gains, EVEN, 20.0), CENTER_HZ)
        misses.extend((estimate.cfo_hz - [clock.cfo_hz for clock in clocks]) / estimate.cfo_std_hz)
        assert np.median(estimate.cfo_std_hz) > 0.5
    assert np.mean(np.abs(misses) < 1.96) > 0.8  # fading is not Gaussian: short of 95 %, and far from nothing


def test_over_long_gaps_turns_are_not_invented(rng):
    """Bursts 3 s apart: a walk of 1 Hz per root second loses count, and the deviations say so."""
    instants = bursts(np.concatenate([np.geomspace(1e-3, 1.0, 15), np.arange(2.0, 18.0, 3.0)]), 12)
    ends, misses = instants[[0, -1]], []
    for _ in range(5):
        clocks = [crystal(rng, 1.0, ppm=0.02) for _ in range(DEVICES)]
        soundings = sounded(rng, clocks, single_paths(rng, rng.uniform(2, 12, DEVICES)), instants, 20.0)
        estimate = estimate_clock(soundings, CENTER_HZ)
        turned = np.array([np.diff(clock.phase(ends))[0] for clock in clocks]) / (2 * np.pi)
        misses.extend((estimate.cfo_hz - turned / soundings.span_s) / estimate.cfo_std_hz)
    assert_covered(plus_minus(np.array(misses), np.ones(len(misses))), 0.0)


def test_a_silent_device_is_not_known(rng):
    clocks = [crystal(rng), crystal(rng)]
    channels = single_paths(rng, np.array([3.0, 4.0])) * np.array([[1.0], [0.0]])
    estimate = estimate_clock(sounded(rng, clocks, channels, EVEN, 10.0), CENTER_HZ)
    assert np.isfinite(estimate.cfo_std_hz[0])
    assert np.isinf([estimate.cfo_std_hz[1], estimate.sro_std_ppm[1], estimate.delay_std_samples[1]]).all()
    assert estimate.quality[1] == 0.0


def test_too_little_is_refused(rng):
    soundings = sounded(rng, [crystal(rng)], single_paths(rng, np.array([3.0])), EVEN[:3], 20.0)
    with pytest.raises(ValueError, match="at least 4 soundings, got 3; sound longer"):
        estimate_clock(soundings, CENTER_HZ)
    soundings = sounded(rng, [crystal(rng)], single_paths(rng, np.array([3.0])), EVEN, 20.0)
    with pytest.raises(ValueError, match="one for each of 1 devices, got 2"):
        estimate_clock(soundings, CENTER_HZ, [Correction(), Correction()])
