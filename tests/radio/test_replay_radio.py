"""Receptions kept and served again: the same bits at the same indices, nothing where nothing was heard."""

import numpy as np
import pytest

from radio.capture import Capture
from radio.interface import OverrunError, RadioConfig, RadioError
from radio.replay_radio import ReplayRadio
from radio.tee_radio import Heard, TeeRadio, join

CONFIG = RadioConfig(sample_rate_hz=1e6, center_hz=915e6)
STREAM = np.arange(1000).astype(np.complex64)  # a sample's value is its index


def heard(first, end, unix_s=0.0):
    return Heard(STREAM[first:end], first, unix_s)


def radio_of(*parts):
    return ReplayRadio(
        [
            Capture(samples=part.samples, start_index=part.start_index, config=CONFIG, step="")
            for part in parts
        ]
    )


def spans(parts):
    return [(part.start_index, part.end_index) for part in parts]


def test_receptions_that_touch_or_overlap_are_one_and_others_stay_apart():
    parts = join([heard(50, 80), heard(10, 30), heard(20, 40), heard(22, 24), heard(40, 45)], 12, 70)
    assert spans(parts) == [(12, 45), (50, 70)]
    for part in parts:
        np.testing.assert_array_equal(part.samples, STREAM[part.start_index : part.end_index])


def test_receptions_that_overlap_and_differ_are_both_kept():
    other = Heard(STREAM[20:40] + 1, 20, 0.0)
    assert spans(join([heard(10, 30), other], 0, 100)) == [(10, 30), (20, 40)]
    radio = radio_of(heard(10, 30), other)
    np.testing.assert_array_equal(radio.receive(10, 10, 1.0), STREAM[10:20])
    np.testing.assert_array_equal(
        radio.receive(20, 10, 1.0), STREAM[20:30] + 1
    )  # as it was received from there


def test_zeros_of_either_sign_are_not_the_same_bits():
    negative = Heard(np.full(4, complex(-0.0, 0.0), np.complex64), 2, 0.0)
    assert len(join([Heard(np.zeros(4, np.complex64), 0, 0.0), negative], 0, 10)) == 2


def test_a_replay_serves_any_part_of_what_was_recorded():
    radio = radio_of(heard(60, 90), heard(10, 40), heard(40, 60))
    for first, end in [(10, 40), (10, 90), (35, 61), (89, 90), (50, 50)]:
        np.testing.assert_array_equal(radio.receive(first, end - first, 1.0), STREAM[first:end])
    assert radio.now() == 90
    assert radio.config == radio.configure() == CONFIG


@pytest.mark.parametrize(("first", "end"), [(9, 20), (30, 51), (45, 48), (80, 91)])
def test_what_was_not_recorded_is_an_error_that_says_what_was(first, end):
    radio = radio_of(heard(10, 40), heard(50, 90))
    with pytest.raises(OverrunError, match="not in the recording, which has 10 to 40, 50 to 90"):
        radio.receive(first, end - first, 1.0)


def test_a_replay_neither_transmits_nor_tunes():
    radio = radio_of(heard(10, 40))
    with pytest.raises(RadioError, match="a recording cannot transmit: 3 samples at 50"):
        radio.transmit(STREAM[:3], 50)
    with pytest.raises(RadioError, match="center_hz cannot be changed"):
        radio.configure(center_hz=1e9)


def test_a_copy_is_served():
    radio = radio_of(heard(10, 40))
    radio.receive(10, 5, 1.0)[:] = 0
    assert radio.receive(10, 1, 1.0)[0] == 10


def test_a_tee_hands_on_what_it_keeps():
    tee = TeeRadio(radio_of(heard(10, 40)))
    first, second = tee.receive(10, 5, 1.0), tee.receive(12, 9, 1.0)
    kept = tee.take()
    assert [part.start_index for part in kept] == [10, 12]
    assert kept[0].samples is first
    assert kept[1].samples is second
    assert tee.take() == ()
    with pytest.raises(OverrunError):
        tee.receive(0, 5, 1.0)
    assert tee.take() == ()
    assert (tee.config, tee.configure(), tee.now()) == (CONFIG, CONFIG, 40)
    assert tee.status().serial == "replay"
    with pytest.raises(RadioError, match="cannot transmit"):
        tee.transmit(first, 100)
    tee.close()
