"""Rice codes against a bit-by-bit oracle and against entropy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.rice import best_parameter, decode_positions, encode_positions, from_bits, to_bits

POSITIONS = st.sets(st.integers(0, 3000), max_size=60).map(lambda found: np.array(sorted(found), int))


def spelt_out(positions, parameter):
    """Unary quotients of the gaps, zeros ended by a one, then all remainders; characters."""
    gaps = [after - before - 1 for before, after in zip([-1, *positions], positions, strict=False)]
    unary = "".join("0" * (gap // 2**parameter) + "1" for gap in gaps)
    return unary + "".join(f"{gap % 2**parameter:0{parameter}b}" for gap in gaps if parameter)


@given(POSITIONS, st.integers(0, 11))
def test_the_code_is_that_of_the_book_and_read_back_whatever_follows(positions, parameter):
    bits = encode_positions(positions, parameter)
    assert "".join(map(str, bits)) == spelt_out(positions.tolist(), parameter)
    followed = np.concatenate([bits, np.array([1, 0, 1], np.uint8)])
    found, used = decode_positions(followed, len(positions), parameter)
    np.testing.assert_array_equal(found, positions)
    assert used == len(bits)


@given(st.lists(st.integers(0, 2**24 - 1), max_size=20))
def test_numbers_come_back_from_their_bits_the_highest_first(numbers):
    bits = to_bits(np.array(numbers, int), 24)
    assert "".join(map(str, bits)) == "".join(f"{number:024b}" for number in numbers)
    np.testing.assert_array_equal(from_bits(bits, 24), numbers)


@pytest.mark.parametrize(("count", "dimension"), [(20, 400), (4529, 113_221), (400, 1000), (1, 1000)])
def test_a_random_support_takes_little_more_than_its_entropy(count, dimension, rng):
    entropy = math.log2(math.comb(dimension, count))
    lengths = []
    for _ in range(40):
        positions = np.sort(rng.permutation(dimension)[:count])
        lengths.append(len(encode_positions(positions, best_parameter(count, dimension))))
    assert entropy < np.mean(lengths) < 1.06 * entropy + 2.0  # Rice codes of geometric gaps lose up to 4 %


@pytest.mark.parametrize("count", [3, 50, 900])
def test_no_other_parameter_is_shorter_by_much(count, rng):
    positions = np.sort(rng.permutation(2000)[:count])
    lengths = [len(encode_positions(positions, parameter)) for parameter in range(12)]
    assert lengths[best_parameter(count, 2000)] < 1.05 * min(lengths)


def test_too_few_bits_are_refused():
    bits = encode_positions(np.array([5, 90]), 3)
    for cut in range(len(bits)):
        with pytest.raises(ValueError, match=f"{cut} bits hold fewer than 2 positions"):
            decode_positions(bits[:cut], 2, 3)
