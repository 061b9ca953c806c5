import numpy as np
import pytest

from calibration.tracking import Prediction, Track, from_table, is_fresh, predict, to_table
from radio.correction import Correction
from radio.ofdm import OfdmConfig

OFDM = OfdmConfig()
CENTER_HZ, RATE_HZ = 915e6, 4e6


def track(cfo_std_hz=0.3, delay_std_samples=0.05, confirmed=True, **known):
    return Track(
        correction=Correction(**known),
        cfo_std_hz=cfo_std_hz,
        delay_std_samples=delay_std_samples,
        confirmed=confirmed,
    )


@pytest.mark.parametrize("center_hz", [915e6, 2.45e9])
def test_the_prediction_is_the_spread_of_random_walks(center_hz, rng):
    age_s, steps, walks = 40.0, 400, 4000
    scale = center_hz / 915e6  # one crystal's relative frequency walks alike at any carrier
    noise = rng.normal(size=(walks, steps)) * scale * np.sqrt(age_s / steps)
    frequency_hz = 2.0 * rng.normal(size=(walks, 1)) + np.cumsum(noise, axis=1)
    cycles = np.sum(frequency_hz, axis=1) * age_s / steps
    late = 0.5 * rng.normal(size=walks) + cycles * RATE_HZ / center_hz
    found = predict(track(2.0, 0.5, delay_samples=100.0), 100.0 + age_s * RATE_HZ, center_hz, RATE_HZ)
    assert found.cfo_std_hz == pytest.approx(np.std(frequency_hz[:, -1]), rel=0.04)  # 4,000 walks: 1.1 %
    assert found.delay_std_samples == pytest.approx(np.std(late), rel=0.04)


def test_at_its_reference_a_track_is_known_as_measured():
    known = track(7.0, 0.2, delay_samples=-300.0, reference_index=5_000)
    assert predict(known, 4_700.0, CENTER_HZ, RATE_HZ) == Prediction(cfo_std_hz=7.0, delay_std_samples=0.2)


@pytest.mark.parametrize(
    ("known", "age_s", "fresh"),
    [
        (track(), 10.0, True),
        (track(), 60.0, True),
        (track(), 100.0, False),  # 3 x 4e6/915e6 x sqrt(100^3 / 3) = 7.6 samples of 4
        (track(cfo_std_hz=100.0), 0.1, True),
        (track(cfo_std_hz=105.0), 0.0, False),  # 3 x 105 Hz of 312.5
        (track(cfo_std_hz=100.0), 4.0, False),  # 3 x 4e6/915e6 x 100 x 4 = 5.2 samples of 4
        (track(confirmed=False), 0.0, False),
    ],
)
def test_a_track_is_fresh_while_timing_and_frequency_are_certain_enough(known, age_s, fresh):
    assert is_fresh(known, age_s * RATE_HZ, CENTER_HZ, OFDM) is fresh


def test_a_table_brings_back_the_same_bits():
    tracks = {
        4: track(0.1 + 0.2, 1 / 3, delay_samples=-1e5 / 3, cfo_hz=9150.1, drift=-1e-5 / 3, phase_rad=2 / 3,
                 reference_index=4_000_000 * 86_400 * 30 + 1),
        11: track(confirmed=False),
    }  # fmt: skip
    assert from_table(to_table(tracks)) == tracks
    assert from_table(to_table({})) == {}
