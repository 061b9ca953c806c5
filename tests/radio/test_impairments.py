import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from radio.impairments import CHOICES, LIMITS, MAX_TAPS, Impairments, amplitude
from radio.scenarios import EPA, EVA, SCENARIOS, exponential, named_profile, scenario, tdl_a

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "scenarios.md"
FREE = Impairments(clock="free", separate_sample_clock=True)


@pytest.mark.parametrize("name", LIMITS)
def test_a_number_out_of_range_is_refused_by_name_with_value_and_limit(name):
    lowest, highest = LIMITS[name]
    for value in (lowest - 1.0, highest + 1.0, math.nan):
        with pytest.raises(ValueError, match=rf"^{name} must be in \[.*\], got ") as refusal:
            FREE.changed(**{name: value})
        assert f"[{lowest:g}, {highest:g}], got {value:g}" in str(refusal.value)
    for value in (lowest, highest):
        FREE.changed(**{name: value})


def test_every_parameter_has_limits():
    named = {*LIMITS, *CHOICES, "tap_delays_s", "tap_powers_db", "separate_sample_clock", "random_phase"}
    assert named == {field.name for field in dataclasses.fields(Impairments)}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fading": "nakagami"}, "fading must be one of none, rayleigh, rician; got 'nakagami'"),
        ({"clock": "atomic"}, "clock must be one of shared, free; got 'atomic'"),
        ({"dac_bits": 1}, "dac_bits must be 0, for no quantisation, or a whole number from 2; got 1"),
        ({"adc_bits": 11.5}, "adc_bits must be 0, for no quantisation"),
        ({"tap_delays_s": ()}, "equally many entries, 1 to 64; got 0 and 1"),
        ({"tap_delays_s": (0.0, 1e-6)}, "equally many entries, 1 to 64; got 2 and 1"),
        ({"tap_delays_s": (-1e-9,)}, r"tap_delays_s must be in \[0, 0.0001\], got -1e-09"),
        ({"tap_powers_db": (math.nan,)}, r"tap_powers_db must be in \[-100, 100\], got nan"),
        ({"clock": "shared", "max_clock_offset_ppm": 1.0}, "clock is shared, but max_clock_offset_ppm = 1"),
        (
            {"separate_sample_clock": False, "sample_clock_offset_ppm": 2.0},
            "sample_clock_offset_ppm = 2 needs",
        ),
        ({"volume": 11}, "unknown impairment 'volume'; known: dac_bits"),
    ],
)
def test_what_cannot_be_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        FREE.changed(**parameters)


def test_scenarios_have_their_names_and_the_numbers_of_their_definition():
    assert list(SCENARIOS) == ["identity", "bench", "free", "indoor", "harsh"]
    assert scenario("identity") == Impairments()
    with pytest.raises(
        ValueError, match="unknown scenario 'moon'; known: identity, bench, free, indoor, harsh"
    ):
        scenario("moon")
    bench, free, indoor, harsh = (SCENARIOS[name] for name in ("bench", "free", "indoor", "harsh"))
    assert (bench.clock, bench.max_delay_s, bench.fading, bench.rician_k_db) == (
        "shared",
        3e-6,
        "rician",
        6.0,
    )
    assert (len(bench.tap_delays_s), bench.dac_bits, bench.adc_bits) == (3, 12, 12)
    assert (bench.image_db, bench.phase_noise_deg) == (-40.0, 0.5)
    assert free == bench.changed(clock="free", max_clock_offset_ppm=10.0, drift_hz_per_root_s=1.0)
    assert (indoor.fading, indoor.doppler_hz, indoor.tap_delays_s) == ("rayleigh", 1.0, EPA.delays_s)
    assert (harsh.tap_powers_db, harsh.doppler_hz, harsh.max_clock_offset_ppm) == (EVA.powers_db, 5.0, 10.0)
    assert (harsh.image_db, harsh.dac_bits, harsh.adc_bits, harsh.phase_noise_deg) == (-25.0, 10, 10, 1.0)
    assert (harsh.near_far_db, harsh.interferer_db, harsh.interferer_fraction) == (6.0, -10.0, 0.01)


def test_the_document_states_every_number():
    rows = [
        line.strip("| \n").split(" | ")
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("| `")
    ]
    stated = {cells[0].strip("`"): [cell.strip() for cell in cells[1:]] for cells in rows}
    assert stated.keys() == {field.name for field in dataclasses.fields(Impairments)}
    for name, (limits, *values) in stated.items():
        if name in LIMITS:
            assert tuple(map(float, limits.split(" to "))) == LIMITS[name], name
        for cell, air in zip(values, SCENARIOS.values(), strict=True):
            value = getattr(air, name)
            if isinstance(value, tuple):
                assert tuple(float(number) for number in cell.split(",")) == value, name
            elif isinstance(value, (bool, str)):
                assert cell == str(value).lower(), name
            else:
                assert float(cell) == value, name


def test_profiles():
    assert (len(EPA.delays_s), len(EVA.delays_s)) == (7, 9)
    falling = exponential(8, 50e-9, 100e-9)
    np.testing.assert_allclose(10 ** (np.array(falling.powers_db) / 10), np.exp(-np.arange(8) / 2))
    delays, powers = np.array(tdl_a(100e-9).delays_s), 10 ** (np.array(tdl_a(100e-9).powers_db) / 10)
    mean = powers @ delays / powers.sum()
    spread = math.sqrt(powers @ (delays - mean) ** 2 / powers.sum())
    assert spread == pytest.approx(100e-9, rel=0.01)  # the table is normalised to an rms delay spread of 1
    Impairments(tap_delays_s=tdl_a(1e-6).delays_s, tap_powers_db=tdl_a(1e-6).powers_db)
    for make, message in (
        (lambda: exponential(MAX_TAPS + 1, 1e-9, 1e-9), r"num_taps must be in \[1, 64\], got 65"),
        (lambda: exponential(3, 0.0, 1e-9), "spacing_s and decay_s must exceed 0, got 0 and 1e-09"),
        (lambda: tdl_a(0.0), r"delay_spread_s must be in \(0, 1e-05\], got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize("name", ["tdl-a", "exponential"])
def test_a_profile_is_stretched_to_its_delay_spread(name):
    taps = named_profile(name, 2e-7)
    delays, powers = np.array(taps.delays_s), 10 ** (np.array(taps.powers_db) / 10)
    spread = np.sqrt(np.average((delays - np.average(delays, weights=powers)) ** 2, weights=powers))
    assert spread == pytest.approx(2e-7, rel=0.01)
    assert taps.delay_spread_s() == pytest.approx(spread)
    if name == "exponential":  # powers fall on a straight line in dB, by 26 dB in all
        np.testing.assert_allclose(np.diff(taps.powers_db, 2), 0.0, atol=1e-9)
        assert taps.powers_db[-1] == pytest.approx(-60 * np.log10(np.e))


def test_named_profiles():
    assert (named_profile("epa"), named_profile("eva")) == (EPA, EVA)
    assert named_profile("tdl-a", 1e-7) == tdl_a(1e-7)


def test_levels_that_are_absent_are_exactly_so():
    assert amplitude(-200.0) == 0.0
    assert amplitude(200.0) == math.inf
    assert amplitude(-20.0) == pytest.approx(0.1)
