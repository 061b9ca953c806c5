import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radio.sparse import top_k


@given(arrays(np.float32, st.integers(1, 40), elements=st.floats(-4, 4, width=16)), st.data())
def test_exactly_the_k_largest_survive_unchanged(vector, data):
    k = data.draw(st.integers(1, len(vector)))
    kept = top_k(vector, k)
    order = np.argsort(-np.abs(vector), kind="stable")[
        :k
    ]  # sorting everything is the oracle; ties go to the earlier
    expected = np.zeros_like(vector)
    expected[order] = vector[order]
    np.testing.assert_array_equal(kept, expected)
    lost = float(np.sum((vector - kept) ** 2.0))
    assert lost <= (1 - k / len(vector)) * float(np.sum(vector**2.0)) + 1e-3
