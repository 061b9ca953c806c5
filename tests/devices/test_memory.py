import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from devices.memory import combine, remember
from radio.sparse import top_k

vectors = arrays(np.float32, 12, elements=st.floats(-8, 8, width=16))


@given(vectors, vectors, st.integers(1, 12))
def test_long_memory_loses_nothing(memory, delta, kept):
    update = combine(memory, delta)
    sent = top_k(update, kept)
    np.testing.assert_array_equal(sent + remember("long", update, delta, sent), update)


@given(vectors, vectors)
def test_a_round_that_failed_delivers_nothing_and_counts_nothing_twice(memory, delta):
    update = combine(memory, delta)
    np.testing.assert_array_equal(remember("long", update, delta, None), memory + delta)


def test_short_memory_keeps_what_this_round_withheld_only():
    memory, delta = np.float32([5, 5, 5]), np.float32([1, 2, 3])
    update = combine(memory, delta)
    sent = np.float32([0, 0, 8])
    np.testing.assert_array_equal(remember("short", update, delta, sent), [1, 2, 0])
    np.testing.assert_array_equal(remember("short", update, delta, None), delta)


@pytest.mark.parametrize("sent", [None, np.float32([1, 0])])
def test_no_memory_forgets(sent):
    vector = np.float32([1, 2])
    assert not remember("none", vector, vector, sent).any()


def test_over_rounds_the_sum_of_what_was_sent_trails_the_sum_of_updates_by_the_memory(rng):
    memory, total_sent, total_delta = np.zeros(50, np.float32), np.zeros(50), np.zeros(50)
    for _ in range(30):
        delta = rng.normal(size=50).astype(np.float32)
        update = combine(memory, delta)
        sent = top_k(update, 5)
        memory = remember("long", update, delta, sent)
        total_sent, total_delta = total_sent + sent, total_delta + delta
    np.testing.assert_allclose(total_sent + memory, total_delta, atol=1e-4)
