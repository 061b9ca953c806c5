"""Rounds in which devices invert their channels: what the server plans, and what comes of it."""

import math

import numpy as np
import pytest

from radio.channel_state import ChannelState
from radio.truncation import inverse_power, is_used, optimal_threshold, truncation_cost
from radio.uplink import Sounding
from server.config import LinkSettings
from server.truncation_plan import round_threshold
from tests.server.fleet import DIMENSION, make_rounds

ZERO = np.zeros(DIMENSION, np.float32)
NUM_ELEMENTS = DIMENSION // 2


def fading_rounds(snr_db=20.0, **link):
    """Four active devices, one Rayleigh gain each in a round."""
    settings = {
        "backend": "symbol", "scheme": "inversion", "fading": "rayleigh", "snr_db": snr_db, "threshold": 0.3,
    }  # fmt: skip
    return make_rounds(scheme="inversion", fading="rayleigh", snr_db=snr_db, link=settings | link)


def devices_of(rounds):
    return list(rounds.proxy.devices.values())[:4]


def is_heard(device, threshold):
    return bool(is_used(device.channel.gains, threshold)[0])


def test_the_estimate_errs_by_noise_over_what_was_sent():
    ratios = []
    for seed in range(12):
        rounds = fading_rounds(snr_db=10.0)
        record = rounds.run(seed, ZERO).record
        scale = math.sqrt(record["rho"]) / record["outer_rate"]
        mean_sent = np.mean([device.sent for device in devices_of(rounds)], axis=0)
        noise = DIMENSION * 0.1 / (2 * scale**2 * 4**2)
        ratios.append(record["nmse"] * np.dot(mean_sent, mean_sent) / noise)
        assert record["used_share"] == [float(is_heard(device, 0.3)) for device in devices_of(rounds)]
    # each is the mean of 400 squares of normal values
    assert abs(np.mean(ratios) - 1.0) < 3.0 * math.sqrt(2.0 / (12 * DIMENSION))


def test_a_device_in_a_fade_sends_nothing_and_keeps_all_of_its_update():
    rounds = fading_rounds()
    silent = []
    for index in range(8):
        rounds.run(index, ZERO)
        for device in devices_of(rounds):
            heard = is_heard(device, 0.3)
            np.testing.assert_array_equal(device.memory, ZERO if heard else device.update)
            silent.append(not heard)
    assert 0 < sum(silent) < len(silent)


def test_gains_that_differ_are_no_error_where_they_are_undone():
    record = fading_rounds(snr_db=60.0).run(0, ZERO).record
    budget = record["error_budget"]
    assert sum(budget.values()) == pytest.approx(record["nmse_full"])
    assert abs(budget["fading"]) < 1e-12
    assert abs(budget["estimator"]) < 1e-12
    assert 0.0 < record["nmse_air"] < 1e-4


def test_the_realised_rule_limits_each_round_and_the_average_rule_the_mean():
    realised, average = fading_rounds(), fading_rounds(power_rule="average")
    powers = []
    for index in range(8):
        record = realised.run(index, ZERO).record
        sent = [
            np.sum(d.sent.astype(float) ** 2) / abs(d.channel.gains[0]) ** 2 for d in devices_of(realised)
        ]
        powers.append(record["rho"] / record["outer_rate"] ** 2 * np.array(sent) / NUM_ELEMENTS)
        assert max(powers[-1]) == pytest.approx(1.0, rel=1e-5)
        assert record["transmit_energy"] == pytest.approx(sum(powers[-1]) * NUM_ELEMENTS, rel=1e-5)
        record = average.run(index, ZERO).record
        largest = max(float(device.update @ device.update) for device in devices_of(average))
        expected = record["outer_rate"] ** 2 * NUM_ELEMENTS / (inverse_power(0.3) * largest)
        assert record["rho"] == pytest.approx(expected, rel=1e-5)


def test_when_every_channel_is_too_weak_the_round_fails_and_everything_is_kept():
    rounds = fading_rounds(threshold=50.0)
    record = rounds.run(0, ZERO).record
    assert record["failed"] == (
        "every update is zero, or every channel's |h|^2 below 50; lower link.threshold; nothing to transmit"
    )
    for device in devices_of(rounds):
        np.testing.assert_array_equal(device.memory, device.update)


def heard_as(powers, errors, noise_variance):
    channels = {d: ChannelState(np.array([math.sqrt(power) + 0j])) for d, power in enumerate(powers)}
    return Sounding(channels, noise_variance, dict(enumerate(errors)))


def test_a_threshold_is_relative_to_the_mean_power_of_the_channels():
    sounding = heard_as([0.01, 0.05, 9.0], [0.01, 0.0, 0.0], 1e-3)
    link = LinkSettings(scheme="inversion", threshold=0.5)
    assert round_threshold(link, sounding, (0, 1), None) == pytest.approx(0.5 * 0.025)
    assert round_threshold(link, sounding, (0, 1), 1.0) == 0.5


@pytest.mark.parametrize("noise_variance", [1e-4, 0.1, 10.0])
def test_the_optimal_threshold_weighs_noise_against_memory(noise_variance):
    link, sounding = LinkSettings(scheme="inversion"), heard_as([0.02, 0.02], [0.0, 0.0], noise_variance)
    threshold = round_threshold(link, sounding, (0, 1), None)
    best = threshold / 0.02
    weights = 1 / 2, noise_variance / 0.02 / 4
    assert best == pytest.approx(optimal_threshold(*weights))
    for other in (0.8 * best, 1.25 * best):
        assert truncation_cost(best, *weights) < truncation_cost(other, *weights)


def test_other_schemes_know_no_threshold():
    assert "threshold" not in make_rounds(fading="rayleigh").run(0, ZERO).record
