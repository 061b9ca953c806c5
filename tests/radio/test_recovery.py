"""Sparse recovery against the reference's table and against each other."""

import numpy as np
import pytest

from radio import oamp
from radio.sketch import draw_sketch
from radio.thresholding import backproject, iterative_hard_thresholding


def superposition(dimension, keep, measurements, snr_db, seed, num_devices=10):
    """sum |h_i| g_i of k-sparse normal vectors, its noisy sketch at the common power scale, and the noise."""
    rng = np.random.default_rng(seed)
    num_kept = int(keep * dimension)
    sketch = draw_sketch(dimension, int(measurements * dimension), seed, 0)
    gains = np.abs(rng.normal(size=num_devices) + 1j * rng.normal(size=num_devices)) / np.sqrt(2)
    vectors = np.zeros((num_devices, dimension))
    for vector in vectors:
        vector[rng.permutation(dimension)[:num_kept]] = rng.normal(size=num_kept)
    strongest = max(np.mean(np.abs(sketch.forward(vector)) ** 2) for vector in vectors)
    noise_variance = strongest * 10 ** (-snr_db / 10)
    truth = gains @ vectors
    noise = rng.normal(size=(2, sketch.num_rows)) * np.sqrt(noise_variance / 2)
    return truth, sketch.forward(truth) + noise[0] + 1j * noise[1], noise_variance, sketch


def nmse_db(estimates, truths):
    ratios = [np.sum((e - t) ** 2) / np.sum(t**2) for e, t in zip(estimates, truths, strict=True)]
    return 10 * np.log10(np.mean(ratios))


@pytest.mark.parametrize(("snr_db", "expected_db"), [(0, -10.6), (10, -20.1), (20, -31.0), (30, -41.9)])
def test_oamp_reaches_the_reference_table(snr_db, expected_db):
    # 65,536 values, ten devices, (k/d, M/d) = (0.04, 0.4), linear mean over 20 draws
    cases = [superposition(65536, 0.04, 0.4, snr_db, 100 + draw) for draw in range(20)]
    found_db = nmse_db(
        [oamp.recover(y, s2, sketch) for _, y, s2, sketch in cases], [case[0] for case in cases]
    )
    assert found_db == pytest.approx(expected_db, abs=1.5)


@pytest.mark.parametrize(("keep", "measurements", "expected_db"), [(0.04, 0.2, -5.3), (0.1, 0.4, -13.5)])
def test_below_the_recovery_threshold_the_estimator_is_the_floor(keep, measurements, expected_db):
    cases = [superposition(65536, keep, measurements, 20, 300 + draw) for draw in range(20)]
    found_db = nmse_db(
        [oamp.recover(y, s2, sketch) for _, y, s2, sketch in cases], [case[0] for case in cases]
    )
    assert found_db == pytest.approx(expected_db, abs=1.5)


def test_without_noise_a_sparse_vector_is_recovered_exactly(rng):
    sketch = draw_sketch(4000, 1200, 0, 0)
    truth = np.zeros(4000)
    truth[rng.permutation(4000)[:200]] = rng.normal(size=200)
    y = sketch.forward(truth)
    for estimate in (oamp.recover(y, 0.0, sketch), iterative_hard_thresholding(y, 200, sketch)):
        assert np.linalg.norm(estimate - truth) < 1e-3 * np.linalg.norm(truth)


def test_oamp_beats_hard_thresholding_beats_the_adjoint():
    truth, y, s2, sketch = superposition(16384, 0.01, 0.4, 15, 7)
    errors = [
        np.linalg.norm(estimate - truth)
        for estimate in (
            oamp.recover(y, s2, sketch),
            iterative_hard_thresholding(y, np.count_nonzero(truth), sketch),
            backproject(y, sketch),
        )
    ]
    assert errors[0] < errors[1] < errors[2]


def test_the_scaled_adjoint_is_unbiased_over_rows(rng):
    x = rng.normal(size=50)
    mean = np.mean(
        [backproject(s.forward(x), s) for s in (draw_sketch(50, 12, 4, r) for r in range(4000))], axis=0
    )
    # 12 of 24 usable bins, DC and Nyquist never drawn: the mean is x without them, scaled to all 50 real rows
    usable = np.fft.rfft(x)
    usable[[0, 25]] = 0.0
    np.testing.assert_allclose(mean, np.fft.irfft(usable, 50) * 50 / 48, atol=0.12)


def test_silence_is_recovered_as_zero():
    sketch = draw_sketch(100, 20, 0, 0)
    silence = np.zeros(20, dtype=complex)
    assert not oamp.recover(silence, 0.1, sketch).any()
    assert not iterative_hard_thresholding(silence, 5, sketch).any()
