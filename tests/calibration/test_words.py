"""Numbers as a person reads them, and what a person is told to do."""

import pytest

from calibration.profile import ComplexEntry, DeviceProfile, estimate, interval
from calibration.words import engineering, judge, rounded, shown


def entry(value, std, kind="path"):
    return estimate(value, std, 0.0, kind)


@pytest.mark.parametrize(
    ("value", "std", "cell", "table"),
    [
        (22.8312, 0.013, "22.831 (22.806 to 22.857)", "22.831"),
        (-4633.4338, 0.5, "-4633.43 (-4634.41 to -4632.45)", "-4633.43"),
        (4.2e-7, 3e-9, "420.0 (414.1 to 425.9) n", "0.000000"),
        (1.25e6, 4e3, "1.2500 (1.2422 to 1.2578) M", "1250000"),
        (-0.0001, 0.003, "-0.1 (-6.0 to 5.8) m", "-0.0001"),
    ],
)
def test_values_end_with_the_second_doubtful_digit(value, std, cell, table):
    assert shown("x", entry(value, std)) == cell
    assert rounded(entry(value, std)) == table


def test_bounds_and_complex_levels_say_so():
    assert shown("x", interval(-3.0, -3.0, -3.0, 0.0, "hardware", "lower")) == "above -3"
    assert shown("x", interval(0.55, 0.55, 0.55, 0.0, "hardware", "upper")) == "below 0.55"
    image = ComplexEntry(re=0.01, im=0.0, std=0.0005, at_s=0.0, valid_s=1.0)
    assert shown("image", image) == "-40.0 (-40.6 to -39.4)"
    hidden = ComplexEntry(re=1e-4, im=0.0, std=1e-3, at_s=0.0, valid_s=1.0)
    assert shown("image", hidden) == "below -54.0"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (1500.0, "1500"), (2.5e-9, "2.5 n"), (3e6, "3 M"), (-4.4e-5, "-44 u")]
)
def test_prefixes_stand_for_thousands(value, text):
    assert engineering(value) == text


def device(**entries):
    return DeviceProfile(device=1, serial="s", firmware="f", tx_gain_db=0.0, **entries)


@pytest.mark.parametrize(
    ("entries", "what", "remedy"),
    [
        ({"snr_db": entry(3.0, 0.1)}, "too weak, SNR 3.0 dB", "raise its tx_gain_db or rx_gain_db"),
        ({"snr_db": entry(12.0, 0.1)}, "weak, SNR 12.0 dB", "until all are alike"),
        ({"cfo_hz": entry(30.0, 0.1)}, "its carrier is 30.0 Hz off a reference", "reference input is connected"),
        ({"clock_disagreement_std": -9.0}, "carrier and sample clock disagree", "one reference drives both"),
        ({"image": ComplexEntry(re=0.1, im=0.0, std=0.001, at_s=0.0, valid_s=1.0)}, "image -20 dB", "radio.profile"),
        ({"compression_db": entry(-9.0, 0.1)}, "compresses at -9.0 dBFS", "raise link.backoff_db"),
        ({"phase_noise_deg": entry(5.0, 0.1)}, "phase noise 5.0 degrees", "better reference"),
        ({"reciprocity_gain_db": entry(14.0, 0.1)}, "14 dB more back from the receiver", "its transmit port is"),
        ({"reciprocity_gain_db": entry(-14.0, 0.1)}, "14 dB less back from the receiver", "the receiver's transmit"),
        ({"coherence_time_s": entry(4e-3, 1e-4)}, "channel holds for 4.0 ms only", "keep gap and payload shorter"),
    ],
)  # fmt: skip
def test_each_fault_has_a_remedy(entries, what, remedy):
    ((said, to_do),) = judge(device(**entries), True, "")
    assert what in said
    assert remedy in to_do


def test_clocks_of_their_own_may_be_off():
    assert judge(device(cfo_hz=entry(3000.0, 0.1)), False, "") == []


def test_who_is_missing_is_not_heard_and_nothing_else():
    assert judge(device(snr_db=entry(3.0, 0.1)), True, "no cable") == [("not heard", "no cable")]
