import numpy as np
import pytest
from drawn_soundings import (
    EVEN,
    GROWING,
    OFDM,
    assert_covered,
    assert_unbiased,
    noisy,
    responses,
)

from calibration.soundings import Soundings
from calibration.structure import estimate_structure


def relaxing(rng, instants_s, rms, rate, count):
    """(num_instants, count) a Gaussian process of variance rms^2 that forgets as exp(-rate lag), exactly."""
    values = np.empty((len(instants_s), count))
    values[0] = rms * rng.normal(size=count)
    for step, gap_s in enumerate(np.diff(instants_s)):
        kept = np.exp(-rate * gap_s)
        values[step + 1] = kept * values[step] + rms * np.sqrt(1 - kept**2) * rng.normal(size=count)
    return values


def walking(rng, instants_s, rad_per_root_s, count):
    """(num_instants, count) Brownian phases."""
    steps = np.sqrt(np.diff(instants_s, prepend=instants_s[0]))[:, None]
    return rad_per_root_s * np.cumsum(steps * rng.normal(size=(len(instants_s), count)), axis=0)


def turned(rng, phases_rad, instants_s, snr_db):
    channels = responses(rng.uniform(0, 8, (phases_rad.shape[1], 2)), [1.0, 0.5j])
    channels /= np.sqrt(np.mean(np.abs(channels) ** 2, axis=1, keepdims=True))
    return noisy(rng, channels * np.exp(1j * phases_rad)[:, :, None], instants_s, snr_db)


@pytest.mark.parametrize(
    ("law", "schedule"), [("relaxing", EVEN), ("relaxing", GROWING), ("walking", GROWING)]
)
def test_what_lags_show_is_as_well_known_as_stated(law, schedule, rng):
    """160 devices and 80 differences of pairs that share no device, in 20 captures; each lag by itself."""
    rms, rate, walk = 0.05, 300.0, 0.3
    devices, differences = [], []
    for _ in range(20):
        own = relaxing(rng, schedule, rms, rate, 8) if law == "relaxing" else walking(rng, schedule, walk, 8)
        found = estimate_structure(turned(rng, own, schedule, 15.0))
        devices.append((found.devices_rad2, found.devices_interval_rad2))
        chosen = [found.pairs.index(pair) for pair in ((0, 1), (2, 3), (4, 5), (6, 7))]
        differences.append((found.differences_rad2[chosen], found.differences_interval_rad2[chosen]))
    lags = found.lags_s
    truth = 2 * rms**2 * (1 - np.exp(-rate * lags)) if law == "relaxing" else walk**2 * lags
    for parts, scale in ((devices, 1.0), (differences, 2.0)):
        values, intervals = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        for place in np.linspace(0, len(lags) - 1, 4).astype(int):
            assert_covered(intervals[:, place], scale * truth[place])
            assert_unbiased(values[:, place] - scale * truth[place])


def test_what_the_receiver_does_is_in_no_difference(rng):
    common = walking(rng, EVEN, 1.0, 1)
    found = estimate_structure(turned(rng, np.tile(common, (1, 3)), EVEN, 40.0))
    assert found.pairs == ((0, 1), (0, 2), (1, 2))
    assert np.all(found.differences_rad2[:, -1] < 1e-4 * found.devices_rad2[:, -1].mean())


def test_what_stands_still_is_bounded(rng):
    found = estimate_structure(turned(rng, np.zeros((len(EVEN), 8)), EVEN, 15.0))
    assert np.mean(found.devices_interval_rad2[..., 0] == 0.0) > 0.7
    noise = 10**-1.5 / OFDM.num_active  # of two phases: error over the energy
    assert np.mean(np.abs(found.devices_rad2)) < 0.3 * noise
    assert np.median(found.devices_interval_rad2[..., 1]) < noise


def test_noise_is_measured_where_it_acts(rng):
    """Stated five times too small, it is removed all the same: magnitudes show it."""
    honest = turned(rng, np.zeros((len(EVEN), 6)), EVEN, 10.0)
    wrong = Soundings(
        gains=honest.gains,
        instants_s=EVEN,
        error_variances=honest.error_variances / 5,
        ofdm=OFDM,
    )
    found = estimate_structure(wrong)
    expected = 0.1 / (2 * OFDM.num_active)  # error over twice the energy
    # second-order noise adds 5 % at 10 dB; six devices with 75 degrees of freedom each: 7 %
    assert found.noise_rad2.mean() == pytest.approx(expected, rel=0.3)
    assert np.mean(found.devices_rad2) < 0.3 * expected


def test_turns_are_within_half_a_one(rng):
    phases = np.pi * 40 * rng.random((len(EVEN), 2))  # anything
    found = estimate_structure(turned(rng, phases, EVEN, 30.0))
    assert np.mean(found.devices_rad2) == pytest.approx(np.pi**2 / 3, rel=0.1)


def test_the_fewest_soundings_and_none(rng):
    soundings = turned(rng, np.zeros((3, 1)), EVEN[:3], 20.0)
    with pytest.raises(ValueError, match="at least 4 soundings, got 3; sound longer"):
        estimate_structure(soundings)
    found = estimate_structure(turned(rng, np.zeros((len(EVEN), 1)), EVEN, 20.0))
    assert found.pairs == ()
    assert found.differences_rad2.shape == (0, len(found.lags_s))
