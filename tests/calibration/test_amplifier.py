import math

import numpy as np
import pytest

from calibration.amplifier import estimate_compression
from calibration.ramp import Ramp, ramp
from calibration.rapp import fit_rapp, rapp_gain_db, saturation_db
from radio.interface import check_full_scale
from sim_backend.transmitter import Transmitter, compress
from tests.calibration.honesty import assert_honest, white

RATE = 4e6
LEVELS_DB = np.arange(-20.0, 0.1, 1.0)


def one_db_point_db(saturation, smoothness):
    """Where y = x / (1 + (x / A)^(2 p))^(1 / (2 p)) has lost 1 dB, by solving it for x."""
    return 20 * math.log10(saturation * (10 ** (smoothness / 10) - 1) ** (1 / (2 * smoothness)))


def through_the_air(
    rng, radiated, *, snr_db=20.0, offset_hz=300.0, phase_noise_rad=0.0, drift_db=0.0, paths=True
):
    """Paths over some samples, carrier, noise relative to a tone at full scale."""
    if paths:
        taps = white(rng, 4) * [1.0, 0.5, 0.3, 0.2]
        impulse = np.zeros(32, complex)
        impulse[[0, 3, 11, 30]] = taps
        response = np.exp(-2j * np.pi * np.arange(32) / 25) @ impulse
        radiated = np.convolve(radiated, impulse / abs(response))[: len(radiated)]
    index = np.arange(len(radiated))
    phase = 2 * np.pi * (offset_hz / RATE * index + rng.random())
    phase = phase + phase_noise_rad * np.repeat(rng.normal(size=len(index) // 50), 50)
    drift = 10 ** (drift_db / 20 * index / len(index))
    noise = 10 ** (-snr_db / 20) * white(rng, len(index))
    return (radiated * drift * np.exp(1j * phase) + noise).astype(np.complex64)


def trial(rng, low_db=-8.0, high_db=-0.5, *, turn=0.0, dac_bits=12, **air):
    """An amplifier after Rapp with its 1 dB point between two levels; its estimate and the truth."""
    sent = ramp(LEVELS_DB, rng)
    smoothness, point_db = math.exp(rng.uniform(0.0, math.log(6.0))), rng.uniform(low_db, high_db)
    saturation = 10 ** ((point_db - one_db_point_db(1.0, smoothness)) / 20)
    phasor = np.exp(2j * np.pi * rng.random())
    transmitter = Transmitter(dac_bits, 0.01 * phasor, 0.003, saturation, smoothness)
    radiated = transmitter.radiate(sent.samples) * np.exp(1j * turn * np.abs(sent.samples) ** 2)
    return estimate_compression(through_the_air(rng, radiated, **air), sent, RATE), point_db, smoothness


def test_one_db_points_are_within_half_a_decibel_and_their_intervals_cover(rng):
    trials = [trial(rng) for _ in range(100)]
    found = [(e, point) for e, point, _ in trials if e.one_db_dbfs is not None]
    assert len(found) > 95
    errors = [e.one_db_dbfs - point for e, point in found]
    assert np.sqrt(np.mean(np.square(errors))) < 0.5
    assert_honest(errors, [e.one_db_std_db for e, _ in found])
    assert np.mean([e.at_least_dbfs < point for e, point, _ in trials]) > 0.92  # 97.5 % is meant
    laws = [(e, point, p) for e, point, p in trials if e.saturation_db is not None]
    assert len(laws) > 80
    assert_honest(
        [e.saturation_db - point + one_db_point_db(1.0, p) for e, point, p in laws],
        [e.saturation_std_db for e, *_ in laws],
    )
    assert_honest([e.smoothness - p for e, _, p in laws], [e.smoothness_std for e, *_ in laws])


def test_gain_and_phase_over_level_are_found_with_honest_intervals(rng):
    gains, phases = [], []
    for _ in range(60):
        found, point_db, smoothness = trial(rng, turn=0.4, snr_db=30.0)
        np.testing.assert_array_equal(found.levels_db, LEVELS_DB)
        saturation = 10 ** ((point_db - one_db_point_db(1.0, smoothness)) / 20)
        amplitudes = 10 ** (LEVELS_DB / 20)
        passed = np.abs(compress(amplitudes.astype(complex), saturation, smoothness)) / amplitudes
        gains.append((found.gains_db - 20 * np.log10(passed), found.gain_stds_db))
        turned = 0.4 * (amplitudes**2 - 10 ** (-12.0 / 10))
        phases.append((found.phases_rad - turned, found.phase_stds_rad))
    for place in (0, 5, 10, 15, 20):
        for seen in (gains, phases):
            assert_honest([errors[place] for errors, _ in seen], [stds[place] for _, stds in seen])


@pytest.mark.parametrize(
    "air",
    [
        {"snr_db": 60.0},
        {"snr_db": 30.0, "phase_noise_rad": 0.1},
        {"snr_db": 30.0, "offset_hz": 5e3, "drift_db": 1.0},
        {"low_db": -15.0, "high_db": -10.0, "snr_db": 30.0},
    ],
    ids=["only the converter's steps", "phase noise", "offset and drift", "strong compression"],
)
def test_intervals_of_the_point_cover_elsewhere_too(rng, air):
    trials = [trial(rng, **air) for _ in range(60)]
    found = [(e, point) for e, point, _ in trials if e.one_db_dbfs is not None]
    assert len(found) > 55
    assert_honest([e.one_db_dbfs - point for e, point in found], [e.one_db_std_db for e, _ in found])


def test_a_point_beyond_full_scale_has_a_lower_bound_instead(rng):
    for low_db, high_db, least_db in ((0.5, 3.0, -2.0), (6.0, 30.0, -0.1)):
        for _ in range(20):
            found, point_db, _ = trial(rng, low_db, high_db, snr_db=25.0)
            assert found.one_db_dbfs is None or found.one_db_dbfs > -1.0
            assert least_db < found.at_least_dbfs <= 0.0
            assert found.at_least_dbfs < point_db
    assert found.one_db_std_db is None


def test_an_amplifier_after_no_law_has_its_point_read_off_the_curve(rng):
    def gain_db(level_db):  # swells by 0.7 dB before it falls
        return 0.7 * np.exp(-(((level_db + 9.0) / 2.5) ** 2)) - 10 ** ((level_db + 5.0) / 5)

    for snr_db, limit_db in ((25.0, 0.7), (45.0, 0.1)):
        sent = ramp(LEVELS_DB, rng)
        levels_db = 20 * np.log10(np.abs(sent.samples.astype(complex)))
        received = through_the_air(rng, sent.samples * 10 ** (gain_db(levels_db) / 20), snr_db=snr_db)
        found = estimate_compression(received, sent, RATE)
        grid = np.linspace(-12.0, 0.0, 100_001)
        point_db = grid[np.argmax(gain_db(grid) <= -1.0)]
        assert not found.is_rapp
        assert found.saturation_db is None
        assert abs(found.one_db_dbfs - point_db) < min(limit_db, 4 * found.one_db_std_db)


def test_without_noise_the_truth_is_returned(rng):
    found, point_db, smoothness = trial(rng, dac_bits=0, snr_db=200.0, paths=False)
    assert found.one_db_dbfs == pytest.approx(
        point_db, abs=0.01
    )  # an image of -40 dB moves the level a little
    assert found.smoothness == pytest.approx(smoothness, rel=0.02)
    assert found.quality == pytest.approx(1.0, abs=1e-3)


def test_rapps_gain_is_that_of_the_simulated_amplifier():
    levels_db = np.linspace(-20.0, 6.0, 27)
    amplitudes = 10 ** (levels_db / 20)
    passed = np.abs(compress(amplitudes.astype(complex), 0.7, 2.3)) / amplitudes
    point_db = one_db_point_db(0.7, 2.3)
    np.testing.assert_allclose(rapp_gain_db(levels_db, point_db, 2.3), 20 * np.log10(passed), atol=1e-5)
    assert rapp_gain_db(np.array(point_db), point_db, 2.3) == pytest.approx(-1.0)
    assert saturation_db(point_db, 2.3) == pytest.approx(20 * math.log10(0.7))


def test_exact_gains_give_back_their_law():
    gains_db = rapp_gain_db(LEVELS_DB, -3.3, 2.0) - rapp_gain_db(np.array(-12.0), -3.3, 2.0)
    fit = fit_rapp(LEVELS_DB, gains_db, 1e-4 * np.eye(len(LEVELS_DB)), -12.0)
    assert fit.one_db_db == pytest.approx(-3.3, abs=1e-5)
    assert fit.smoothness == pytest.approx(2.0, rel=1e-4)
    assert fit.misfit < 1e-6


def test_a_ramp_keeps_to_full_scale_and_to_its_levels(rng):
    sent = ramp(LEVELS_DB, rng)
    check_full_scale(sent.samples)
    assert sorted(sent.levels_db) == LEVELS_DB.tolist()
    assert list(sent.levels_db) != LEVELS_DB.tolist()
    segments = np.abs(sent.samples.astype(complex)).reshape(sent.num_segments, sent.segment_len)
    np.testing.assert_allclose(segments[::2], 10 ** (-12 / 20), rtol=1e-6)
    np.testing.assert_allclose(20 * np.log10(segments[1::2, 0]), sent.levels_db, atol=1e-5)
    frequency = np.angle(sent.samples[1:] * sent.samples[:-1].conj()) / (2 * np.pi)
    np.testing.assert_allclose(frequency, 1 / 25, atol=1e-6)  # no jump of phase anywhere


def test_bad_ramps_and_captures_are_refused(rng):
    with pytest.raises(ValueError, match="a ramp needs 5 different levels or more, got 2"):
        ramp([-3.0, -3.0, 0.0], rng)
    with pytest.raises(ValueError, match=r"levels must be at most 0 dB \(amplitude 1 is full scale\), got 1"):
        ramp(LEVELS_DB + 1.0, rng)
    with pytest.raises(
        ValueError, match="period must be odd, 3 or more, and segment_len at least 16 of them"
    ):
        Ramp(levels_db=tuple(LEVELS_DB), period=16)
    sent = ramp(LEVELS_DB, rng)
    with pytest.raises(ValueError, match="the ramp lasts 34400 samples, received 34399"):
        estimate_compression(sent.samples[1:], sent, RATE)
    with pytest.raises(ValueError, match="all 34400 samples are zero; nothing was received"):
        estimate_compression(0 * sent.samples, sent, RATE)
    with pytest.raises(ValueError, match=r"guard_samples must be in \[0, 480\] for segments of 800, got 700"):
        estimate_compression(sent.samples, sent, RATE, guard_samples=700)
