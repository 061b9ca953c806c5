import math

import numpy as np
import pytest

from devices.messages import Scores
from radio.channel_state import ChannelState
from radio.uplink import Plan
from server.metrics import (
    mean_and_interval,
    mean_db,
    mean_vector,
    perfect_superposition,
    relative_error,
    summarise_scores,
    unturn,
)


def test_relative_error_is_energy_over_energy():
    assert relative_error(np.array([1.0, 2.0]), np.array([0.0, 2.0])) == pytest.approx(1 / 4)
    assert relative_error(np.array([2j]), np.array([1.0 + 0j])) == pytest.approx(5.0)
    assert relative_error(np.ones(2), np.zeros(2)) is None


def test_decibels_are_of_the_linear_mean_of_what_is_known():
    assert mean_db([0.1, None, 0.3]) == pytest.approx(10 * math.log10(0.2))
    assert mean_db([]) is None
    assert mean_db([None]) is None
    assert mean_db([0.0]) is None


def test_mean_vector_is_the_mean(rng):
    vectors = [rng.normal(size=5).astype(np.float32) for _ in range(3)]
    np.testing.assert_allclose(
        mean_vector(vectors), np.mean(np.stack(vectors).astype(float), axis=0), rtol=1e-12
    )


def test_the_interval_covers_the_mean_as_often_as_it_says(rng):
    covered = 0
    for _ in range(1000):
        mean, (low, high) = mean_and_interval(rng.binomial(25, 0.8, size=100) / 25)
        assert low < mean < high
        covered += low <= 0.8 <= high
    assert 925 <= covered <= 970  # 95 % of 1,000, four standard errors


def test_scores_are_summarised_with_intervals():
    scores = Scores((2.0, 4.0), (1.0, 1.0), (0.2, 0.2), (0.5, 1.0))
    summary = summarise_scores(scores)
    assert summary["test_tasks"] == 2
    assert (summary["loss_before"], summary["accuracy_after"]) == (3.0, 0.75)
    assert summary["loss_after_ci95"] == [1.0, 1.0]
    assert summary["accuracy_after_ci95"] == pytest.approx([0.75 - 1.96 * 0.25, 0.75 + 1.96 * 0.25])


def test_the_perfect_superposition_sums_magnitudes_times_intended_amplitudes(rng):
    class Truth:
        def gains(self, plan, device):
            return gains[device]

    gains = {d: rng.normal(size=6) + 1j * rng.normal(size=6) for d in (0, 1)}
    told = {d: ChannelState(g * np.exp(0.3j)) for d, g in gains.items()}  # estimates with a phase error
    intended = {d: rng.normal(size=6) + 1j * rng.normal(size=6) for d in gains}
    transmitted = {d: intended[d] * np.exp(-1j * np.angle(told[d].over(6))) for d in gains}
    plan = Plan(round=0, seed=0, devices=(0, 1), dimension=1, num_elements=6, num_kept=1)
    expected = sum(np.abs(gains[d]) * intended[d] for d in gains)
    unturned = unturn(plan, transmitted, told)
    np.testing.assert_allclose(perfect_superposition(plan, unturned, Truth()), expected)
