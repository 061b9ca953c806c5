"""Shared supports: uniform draws, bits against exact counting."""

import math

import numpy as np
import pytest

from radio.support import num_kept, random_support, support_bits


def test_a_draw_is_uniform_without_replacement_and_another_in_every_round():
    drawn = np.array([random_support(20, 5, 7, index) for index in range(4000)])
    assert drawn.dtype == np.int32
    assert np.all(np.diff(drawn, axis=1) > 0)  # rising, so each at most once
    counts = np.bincount(drawn.ravel(), minlength=20)
    np.testing.assert_allclose(counts, 1000, atol=5 * math.sqrt(4000 * 0.25 * 0.75))
    together = np.mean(np.any(drawn == 3, axis=1) & np.any(drawn == 17, axis=1))
    chance = 5 * 4 / (20 * 19)
    assert abs(together - chance) < 5 * math.sqrt(chance / 4000)
    np.testing.assert_array_equal(random_support(20, 5, 7, 1), drawn[1])
    assert not np.array_equal(random_support(20, 5, 8, 1), drawn[1])


@pytest.mark.parametrize(("dimension", "count"), [(10, 3), (400, 16), (400, 400), (1000, 1), (3000, 500)])
def test_a_support_takes_the_log_of_how_many_there_are(dimension, count):
    assert support_bits(dimension, count) == math.ceil(math.log2(math.comb(dimension, count)))


def test_at_least_one_entry_is_kept():
    assert [num_kept(113_221, keep) for keep in (0.04, 1e-9, 1.0)] == [4529, 1, 113_221]
