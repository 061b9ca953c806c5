import math

import numpy as np
import pytest

from radio.air_config import AirConfig, Fading
from radio.impairments import Impairments
from radio.scenarios import EPA, scenario


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


def test_nothing_given_is_the_scenario_itself():
    assert AirConfig().impairments() == Impairments()
    assert not AirConfig().has_paths
    assert AirConfig(scenario="harsh").impairments() == scenario("harsh")


def test_what_is_given_lies_on_top_of_the_scenario():
    air = AirConfig(scenario="bench", doppler_hz=5.0, random_phase=False, fading="none", image_db=-200.0)
    assert air.impairments() == scenario("bench").changed(
        doppler_hz=5.0, random_phase=False, fading="none", image_db=-200.0
    )
    assert air.parts == {"doppler_hz": 5.0, "random_phase": False, "fading": "none", "image_db": -200.0}


@pytest.mark.parametrize(
    "given", [{"adc_bits": 8}, {"random_phase": False}, {"profile": "epa"}, {"near_far_db": 0.0}]
)
def test_with_a_part_even_the_identity_has_paths(given):
    assert AirConfig(**given).has_paths


def test_powers_belong_to_the_delays_that_are_given():
    block = AirConfig(tap_delays_samples=(0, 3), tap_powers_db=(0.0, -6.0))
    assert not block.has_paths
    assert block.block_powers_db == (0.0, -6.0)
    paths = AirConfig(tap_delays_s=(0.0, 1e-7), tap_powers_db=(0.0, -6.0))
    assert (paths.impairments().tap_delays_s, paths.impairments().tap_powers_db) == ((0.0, 1e-7), (0.0, -6.0))
    assert AirConfig(scenario="bench", tap_powers_db=(0.0, -1.0, -2.0)).impairments().tap_powers_db[1] == -1.0


def test_a_profile_takes_the_place_of_the_scenarios_taps():
    assert AirConfig(scenario="bench", profile="epa").impairments() == scenario("bench").changed(
        tap_delays_s=EPA.delays_s, tap_powers_db=EPA.powers_db
    )
    assert len(AirConfig(profile="tdl-a", delay_spread_s=1e-7).impairments().tap_delays_s) == 23
