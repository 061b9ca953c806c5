import numpy as np
import pytest

from sim_backend.agc import (
    HYSTERESIS_DB,
    MAX_GAIN_DB,
    MIN_GAIN_DB,
    OVERLOAD,
    TARGET_DBFS,
    AgcState,
    control,
)

MODES = ["slow_attack", "fast_attack", "hybrid"]


def tone(level_db, num_samples):
    amplitude = 10 ** (level_db / 20)
    return (amplitude * np.exp(2j * np.pi * 0.01 * np.arange(num_samples))).astype(np.complex64)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("level_db", [-70.0, -43.0, -20.0])
def test_settles_at_the_target_from_the_highest_gain(mode, level_db):
    gains, state = control(AgcState(), mode, tone(level_db, 100_000))
    assert abs(level_db + gains[-1] - TARGET_DBFS) <= HYSTERESIS_DB + 1e-6
    assert gains[0] == MAX_GAIN_DB
    assert state.gain_db == gains[-1]
    assert np.ptp(gains[-20_000:]) == 0


@pytest.mark.parametrize("mode", MODES)
def test_gain_goes_in_steps_of_one_decibel_down_and_up(mode):
    samples = np.concatenate([tone(-30, 60_000), tone(-60, 120_000)])
    gains, _ = control(AgcState(), mode, samples)
    steps = np.diff(gains)
    assert set(steps) == {-1.0, 0.0, 1.0}
    assert abs(-60 + gains[-1] - TARGET_DBFS) <= HYSTERESIS_DB + 1e-6


@pytest.mark.parametrize("mode", MODES)
def test_limits_of_the_gain(mode):
    assert control(AgcState(gain_db=60), mode, tone(-150, 100_000))[1].gain_db == MAX_GAIN_DB
    assert control(AgcState(), mode, tone(20, 100_000))[1].gain_db == MIN_GAIN_DB


@pytest.mark.parametrize("mode", MODES)
def test_an_overload_does_not_last(mode):
    gains, _ = control(AgcState(), mode, tone(-40, 20_000))
    overloaded = 10 ** ((-40 + gains) / 20) > OVERLOAD
    assert overloaded[0]
    # 71 dB - 40 dB is 32 dB above -1 dBFS: that many windows of at most 64 samples
    assert not overloaded[33 * 64 :].any()


@pytest.mark.parametrize("mode", MODES)
def test_where_a_stretch_is_cut_does_not_matter(mode, rng):
    samples = 0.01 * rng.normal(size=(30_000, 2)).astype(np.float32).view(np.complex64)[:, 0]
    samples[15_000:] *= 8
    whole, last = control(AgcState(), mode, samples)
    state, parts = AgcState(), []
    for part in np.split(samples, np.sort(rng.integers(0, 30_000, 40))):
        gains, state = control(state, mode, part)
        parts.append(gains)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert state.gain_db == last.gain_db


def test_fast_attack_holds_its_gain_against_fading_that_slow_attack_follows():
    samples = np.concatenate([tone(-40, 20_000), tone(-45, 60_000)])
    gains = {mode: control(AgcState(), mode, samples)[0] for mode in ("fast_attack", "slow_attack")}
    assert gains["fast_attack"][-1] == gains["fast_attack"][19_999]
    assert gains["slow_attack"][-1] >= gains["slow_attack"][19_999] + 3


def test_fast_attack_is_faster():
    samples = tone(-60, 60_000)
    settled = {}
    for mode in ("fast_attack", "slow_attack"):
        gains, _ = control(AgcState(gain_db=0), mode, samples)
        settled[mode] = int(np.argmax(gains == gains[-1]))
    assert settled["fast_attack"] * 10 < settled["slow_attack"]


def test_digital_silence_is_no_error():
    gains, state = control(AgcState(gain_db=10), "slow_attack", np.zeros(5_000, np.complex64))
    assert np.isfinite(gains).all()
    assert state.gain_db > 10
    assert len(control(state, "slow_attack", np.zeros(0, np.complex64))[0]) == 0
