import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radio.sketch import draw_sketch, max_rows


@settings(deadline=None, max_examples=40)
@given(st.integers(8, 700), st.floats(0.02, 0.98), st.integers(0, 5))
def test_the_adjoint_is_the_adjoint(dimension, share, seed):
    sketch = draw_sketch(dimension, max(1, int(share * max_rows(dimension))), seed, 0)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=dimension)
    y = rng.normal(size=sketch.num_rows) + 1j * rng.normal(size=sketch.num_rows)
    # Re<y, A x> = <A* y, x>: the inner product of two complex vectors as real ones
    assert np.vdot(y, sketch.forward(x)).real == pytest.approx(
        np.dot(sketch.adjoint(y), x), rel=1e-9, abs=1e-9
    )


def test_rows_are_those_of_the_unitary_dft(rng):
    sketch = draw_sketch(60, 20, 3, 1)
    assert sketch.transform_len == 60
    matrix = np.exp(-2j * np.pi * np.outer(sketch.bins, np.arange(60)) / 60) / np.sqrt(60)
    x = rng.normal(size=60)
    np.testing.assert_allclose(sketch.forward(x), matrix @ x, atol=1e-12)


def test_real_rows_are_orthonormal_so_that_noise_stays_white():
    sketch = draw_sketch(48, 15, 0, 0)
    rows = np.stack([sketch.forward(unit) for unit in np.eye(48)], axis=1)
    real = np.sqrt(2.0) * np.concatenate([rows.real, rows.imag])
    np.testing.assert_allclose(real @ real.T, np.eye(30), atol=1e-12)


def test_energy_is_kept_in_proportion_to_the_rows(rng):
    # E|A x|^2 = (M / n)|x|^2 over draws of the rows; 400 draws of a vector without structure
    x = rng.normal(size=1000)
    ratios = [
        float(np.vdot(u, u).real) / np.dot(x, x)
        for u in (draw_sketch(1000, 200, 9, r).forward(x) for r in range(400))
    ]
    assert np.mean(ratios) == pytest.approx(200 / 1000, rel=0.02)


def test_bins_come_from_the_open_lower_half_each_once():
    for dimension in (99, 100):
        sketch = draw_sketch(dimension, max_rows(dimension), 0, 0)
        n = sketch.transform_len
        assert sorted(sketch.bins) == list(range(1, (n - 1) // 2 + 1))


def test_rounds_draw_different_rows_and_a_seed_the_same():
    first, again, other = (
        draw_sketch(500, 50, 1, 0),
        draw_sketch.__wrapped__(500, 50, 1, 0),
        draw_sketch(500, 50, 1, 1),
    )
    np.testing.assert_array_equal(first.bins, again.bins)
    assert (first.bins != other.bins).any()


def test_more_rows_than_bins_are_refused():
    with pytest.raises(
        ValueError, match=r"a sketch of 100 values has 1 to 49 rows, got 50; lower update.measurements"
    ):
        draw_sketch(100, 50, 0, 0)
