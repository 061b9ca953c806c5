import numpy as np

from radio.seeds import Use, stream


def test_equal_paths_give_equal_draws_and_different_paths_do_not():
    paths = [
        (Use.FADING,),
        (Use.FADING, 0),
        (Use.FADING, 0, 0),
        (Use.FADING, 1),
        (Use.TAPS, 0),
        (Use.TAPS, 0, 1),
    ]
    draws = {path: stream(7, *path).random(1000) for path in paths}
    np.testing.assert_array_equal(draws[paths[1]], stream(7, Use.FADING, 0).random(1000))
    matrix = np.corrcoef(list(draws.values()))
    # 1,000 independent draws correlate by 0.032 rms: five times that is a shared stream
    assert np.abs(matrix - np.eye(len(paths))).max() < 0.16


def test_seeds_differ():
    assert stream(1, Use.FADING).random() != stream(2, Use.FADING).random()
