"""What the waveform loses on the named airs, against perfect knowledge of the same gains, and to what."""

import numpy as np
import pytest

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
from airborne import BAND, DEVICES, NUM_ELEMENTS, OFDM, open_uplink, run_round

from radio.decibel import from_db, to_db
from radio.impairments import Impairments
from radio.preamble import preamble_len
from radio.scenarios import BENCH, scenario


@pytest.mark.parametrize(
    ("name", "snr_db", "loss_db"),
    # a decibel at 10 dB where a reference is shared, two where clocks run free; twice that at 20 dB
    [
        ("bench", 10.0, 1.0),
        ("bench", 20.0, 2.0),
        ("indoor", 10.0, 2.0),
        ("free", 10.0, 2.0),
        ("free", 20.0, 4.0),
    ],
)
def test_the_waveform_comes_close_to_perfect_knowledge(name, snr_db, loss_db):
    uplink, truth, _ = open_uplink(scenario(name), snr_db, seed=3)
    judged = [run_round(uplink, truth, index, 3) for index in range(4)]
    assert all(tuple(each.sounding.channels) == DEVICES for each in judged)
    found, noise = (np.mean([getattr(each, key) for each in judged]) for key in ("error", "noise"))
    assert to_db(found / (noise * from_db(-snr_db))) < loss_db


def test_on_the_harshest_air_rounds_still_work_and_repeat_bit_for_bit():
    def errors():
        uplink, truth, _ = open_uplink(scenario("harsh"), 20.0, seed=5)
        return [run_round(uplink, truth, index, 5).error for index in (0, 1)]

    first, again = errors(), errors()
    assert first == again
    assert max(first) < 0.3


@pytest.mark.parametrize("name", ["bench", "free", "indoor", "harsh"])
def test_the_parts_of_the_error_add_up_to_it(name):
    uplink, truth, _ = open_uplink(scenario(name), 20.0, seed=4)
    judged = run_round(uplink, truth, 0, 4)
    assert abs(to_db(sum(judged.parts.values()) / judged.error)) < 0.01  # exact but for float32


def test_noise_is_worth_what_its_variance_says():
    uplink, truth, _ = open_uplink(scenario("bench"), 10.0, seed=6)
    judged = run_round(uplink, truth, 0, 6)
    assert judged.parts["noise"] == pytest.approx(from_db(-10.0) * judged.noise, rel=0.06)  # 6,000 elements
    assert (
        abs(judged.parts["ageing"]) < 0.01 * judged.parts["noise"]
    )  # what the removed common phase has of noise
    assert judged.parts["interference"] == 0.0


def test_offsets_that_the_sounding_cannot_see_are_ageing():
    """Two devices, one block of pilots: their carriers turn on, 2 pi f t after the sounding at time t. The receiver
    removes what they have in common, half of the sum; half of the difference is left on each."""
    drifting = Impairments(clock="free", max_clock_offset_ppm=0.02, random_phase=True)
    uplink, truth, medium = open_uplink(drifting, None, seed=1, devices=(0, 1), acquires=False)
    judged = run_round(uplink, truth, 0, 1, devices=(0, 1))
    first, second = (medium.path(device, -1, BAND).cfo_hz for device in (0, 1))
    symbols = 1 + np.arange(NUM_ELEMENTS) // OFDM.num_active  # after the header
    since = 4.0 * OFDM.symbol_len + 4e6 * 1e-3 + preamble_len(OFDM) + OFDM.symbol_len * (symbols + 0.6)
    expected = np.mean(np.abs(np.exp(1j * np.pi * (first - second) * since / 4e6) - 1.0) ** 2)
    assert abs(first - second) > 1.0
    assert judged.parts["ageing"] == pytest.approx(
        expected, rel=0.05
    )  # random amplitudes, not yet their mean
    assert judged.parts["ageing"] > 0.98 * judged.error


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"adc_bits": 8, "adc_full_scale_db": 20.0}, "hardware"),
        ({"image_db": -25.0}, "hardware"),
        ({"phase_noise_deg": 2.0}, "hardware"),
        ({"doppler_hz": 20.0}, "ageing"),
        ({"interferer_db": -10.0}, "interference"),
    ],
)
def test_each_cause_shows_in_its_own_part(changes, part):
    parts = [
        run_round(*open_uplink(impairments, 25.0, seed=2)[:2], 0, 2).parts
        for impairments in (BENCH, BENCH.changed(**changes))
    ]
    growth = {name: parts[1][name] - parts[0][name] for name in parts[0]}
    assert growth[part] > 1e-3
    assert max(growth, key=growth.__getitem__) == part
