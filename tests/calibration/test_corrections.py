"""What of a profile is undone, and the level that devices are brought to."""

import numpy as np
import pytest

from calibration.corrections import common_gain, corrections_of, in_use
from calibration.profile import ReceiverProfile, estimate, interval, number
from radio.hardware_correction import ReceiveCorrection, TransmitCorrection
from radio.impairments import NEVER_DB
from tests.calibration.made_profile import AT_S, device_profile, profile_of


def missed(level, gains, noise_variance):
    """The error of the sum that the level is to make least: the definition, term by term."""
    short = np.maximum(0.0, 1.0 - np.asarray(gains)[:, None] / level)
    return np.sum(short**2, axis=0) + noise_variance / level**2


@pytest.mark.parametrize("noise_variance", [1e-6, 1e-3, 0.1, 3.0])
def test_the_level_makes_the_error_of_the_sum_least(noise_variance, rng):
    for count in (1, 2, 5, 9):
        gains = rng.uniform(0.01, 2.0, size=count)
        levels = np.geomspace(1e-3, 1e3, 200_000)
        found = missed(np.array([common_gain(gains, noise_variance)]), gains, noise_variance)[0]
        assert found <= missed(levels, gains, noise_variance).min() * (1 + 1e-9)


def test_without_noise_the_weakest_sets_the_level_and_with_it_a_little_more_than_the_weakest():
    assert common_gain([1.0, 0.5, 0.7], 0.0) == pytest.approx(0.5)
    # where one alone lies below it: g + s^2 / g, by setting the derivative to 0
    assert common_gain([1.0, 0.9, 1.1], 0.01) == pytest.approx(0.9 + 0.01 / 0.9)


def test_devices_are_brought_down_to_the_level_and_none_is_raised():
    gains_db = (0.0, -3.0, -6.0)
    profile = profile_of(*(device_profile(d, gain, snr_db=90.0 + gain) for d, gain in enumerate(gains_db)))
    _, transmit = corrections_of(profile)
    levelled = [gain + transmit[device].level_db for device, gain in enumerate(gains_db)]
    assert levelled == pytest.approx([-6.0] * 3, abs=1e-6)
    assert all(correction.level_db <= 0.0 for correction in transmit.values())


@pytest.mark.parametrize(
    ("strong_snr_db", "weak_db", "is_worth_it"),
    [(40.0, -29.0, True), (40.0, -31.0, False), (90.0, -90.0, False), (8.0, -9.0, True), (8.0, -11.0, False)],
)
def test_nobody_is_drawn_down_by_a_device_that_is_all_but_dead(strong_snr_db, weak_db, is_worth_it):
    profile = profile_of(
        device_profile(0, 0.0, snr_db=strong_snr_db),
        device_profile(1, 0.0, snr_db=strong_snr_db),
        device_profile(2, weak_db, snr_db=strong_snr_db + weak_db),
    )
    levels_db = [each.level_db for each in corrections_of(profile)[1].values()]
    assert levels_db[2] == 0.0
    assert levels_db[0] == levels_db[1]
    assert (levels_db[0] < -1.0) == is_worth_it
    assert levels_db[0] >= weak_db


def test_a_difference_that_is_no_more_than_its_doubt_is_left():
    profile = profile_of(
        device_profile(0, 0.0, gain_std_db=0.2, snr_db=90.0),
        device_profile(1, -0.3, gain_std_db=0.2, snr_db=89.7),
    )
    assert [each.level_db for each in corrections_of(profile)[1].values()] == [0.0, 0.0]
    assert list(in_use(profile)) == []


def test_a_channel_that_moves_is_not_levelled_and_one_that_moves_about_a_strong_line_of_sight_is():
    lag = interval(0.05, 0.04, 0.06, AT_S, "path")
    bound = interval(2.0, 2.0, 2.0, AT_S, "path", "lower")
    strong, weak = (estimate(k_db, 0.5, AT_S, "path") for k_db in (15.0, 3.0))
    for fields, level_db in (
        ({"coherence_time_s": lag, "rician_k_db": weak}, 0.0),
        ({"coherence_time_s": lag}, 0.0),
        ({"coherence_time_s": lag, "rician_k_db": strong}, -3.0),
        ({"coherence_time_s": bound, "rician_k_db": weak}, -3.0),
    ):
        profile = profile_of(
            device_profile(0, 0.0, snr_db=90.0, **fields), device_profile(1, -3.0, snr_db=87.0)
        )
        _, transmit = corrections_of(profile)
        assert (transmit[0].level_db, transmit[1].level_db) == pytest.approx((level_db, 0.0), abs=1e-5)


def test_only_what_was_seen_to_be_there_is_undone():
    receiver = ReceiverProfile(
        serial="r", firmware="f", rx_gain_db=0.0,
        image=number(0.02j, 0.001, AT_S, "hardware"), dc=number(0.001, 0.001, AT_S, "hardware"),
    )  # fmt: skip
    saturation, smoothness = estimate(-6.0, 0.1, AT_S, "hardware"), estimate(2.5, 0.2, AT_S, "hardware")
    profile = profile_of(
        device_profile(0, image=0.05j, leakage=0.0019),
        device_profile(1, leakage=0.03, saturation_db=saturation, smoothness=smoothness),
        device_profile(2, saturation_db=saturation),
        device_profile(
            3, smoothness=smoothness, saturation_db=interval(-6.0, -6.0, -6.0, AT_S, "hardware", "lower")
        ),
        device_profile(4, image=0.7, leakage=0.3, saturation_db=saturation, smoothness=smoothness),
        device_profile(5),
        receiver=receiver,
    )
    receive, transmit = corrections_of(profile)
    assert receive == ReceiveCorrection(image=0.02j)
    assert transmit == {
        0: TransmitCorrection(image=0.05j),
        1: TransmitCorrection(leakage=0.03, saturation_db=-6.0, smoothness=2.5),
        2: TransmitCorrection(),
        3: TransmitCorrection(),
        4: TransmitCorrection(saturation_db=-6.0, smoothness=2.5),  # that mixer is beyond correction
        5: TransmitCorrection(),
    }
    assert transmit[2].saturation_db == NEVER_DB
    assert list(in_use(profile)) == [
        "receiver image",
        "device 0 image",
        "device 1 leakage", "device 1 saturation_db", "device 1 smoothness",
        "device 4 saturation_db", "device 4 smoothness",
    ]  # fmt: skip


def test_all_gains_are_in_use_as_soon_as_one_device_is_levelled():
    profile = profile_of(device_profile(0, 0.0), device_profile(1, -3.0), device_profile(2))
    assert list(in_use(profile)) == ["device 0 gain_db", "device 1 gain_db"]
