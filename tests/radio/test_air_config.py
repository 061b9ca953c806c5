import math

import numpy as np
import pytest

from radio.air_config import AirConfig, Fading


def test_mean_gain_of_rayleigh_and_of_a_pure_line_of_sight():
    assert Fading(law="none").mean_gain() == 1.0
    assert Fading(law="rayleigh").mean_gain() == pytest.approx(math.sqrt(math.pi) / 2)
    assert Fading(law="rician", rician_k_db=-60).mean_gain() == pytest.approx(
        math.sqrt(math.pi) / 2, rel=1e-5
    )
    assert Fading(law="rician", rician_k_db=50).mean_gain() == pytest.approx(1.0, rel=1e-4)


def test_mean_gain_of_rician_fading_is_the_mean_magnitude(rng):
    k = 10 ** (6 / 10)
    scattered = (rng.normal(size=400_000) + 1j * rng.normal(size=400_000)) / np.sqrt(2)
    drawn = np.abs(np.sqrt(k / (k + 1)) + scattered / np.sqrt(k + 1))
    expected, error = drawn.mean(), drawn.std() / np.sqrt(len(drawn))
    assert Fading(law="rician", rician_k_db=6.0).mean_gain() == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tap_delays_samples": (0, 1)}, "equally many entries, at least one; got 2 and 1"),
        ({"tap_delays_samples": (), "tap_powers_db": ()}, "at least one; got 0 and 0"),
        ({"tap_delays_samples": (-1,)}, r"distinct and at least 0, got \[-1\]"),
        ({"tap_delays_samples": (2, 2), "tap_powers_db": (0.0, 0.0)}, "must be distinct"),
        ({"start_offset_samples": 1025}, r"must be in \[0, 1024\], got 1025"),
    ],
)
def test_an_air_that_cannot_be_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        AirConfig(**values)
