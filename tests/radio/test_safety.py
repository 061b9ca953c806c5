import numpy as np
import pytest

from radio.safety import CONDUCTED_MIN_ATTENUATION_DB, DutyLedger, SafetyError, SafetyLimits, preflight

ISM = SafetyLimits(allowed_bands_hz=((902e6, 928e6), (2.4e9, 2.4835e9)))


def fly(limits, center_hz=915e6, sample_rate_hz=4e6, attenuation_db=20.0):
    preflight(limits, center_hz=center_hz, sample_rate_hz=sample_rate_hz, attenuation_db=attenuation_db)


def test_nothing_is_allowed_unless_it_is_listed():
    with pytest.raises(SafetyError, match=r"913 to 917 MHz is not allowed; .*lists nothing; list a band"):
        fly(SafetyLimits())
    fly(ISM)


def test_all_of_the_sampled_bandwidth_lies_within_one_band():
    fly(ISM, center_hz=904e6)
    with pytest.raises(SafetyError, match=r"901\.999 to 906 MHz.*902 to 928, 2400 to 2483\.5 MHz"):
        fly(ISM, center_hz=903.9995e6, sample_rate_hz=4.001e6)
    touching = SafetyLimits(allowed_bands_hz=((900e6, 915e6), (915e6, 930e6)))
    with pytest.raises(SafetyError):
        fly(touching)  # two bands side by side are not one


def test_the_output_is_limited():
    fly(ISM, attenuation_db=10.0)
    with pytest.raises(
        SafetyError,
        match=r"of 9\.75 dB is below 10 dB, safety\.min_attenuation_db; set tx_gain_db to -10",
    ):
        fly(ISM, attenuation_db=9.75)
    with pytest.raises(SafetyError):
        fly(ISM, attenuation_db=float("nan"))


def test_a_cable_takes_any_carrier_and_less_power():
    cable = SafetyLimits(conducted=True)
    fly(cable, center_hz=1.5e9, attenuation_db=CONDUCTED_MIN_ATTENUATION_DB)
    with pytest.raises(SafetyError, match="29 dB is below 30 dB, what conducted mode asks for"):
        fly(cable, attenuation_db=29.0)
    with pytest.raises(SafetyError, match=r"below 40 dB, safety\.min"):
        fly(SafetyLimits(conducted=True, min_attenuation_db=40.0), attenuation_db=39.0)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"allowed_bands_hz": ((928e6, 902e6),)}, r"pairs \(lowest, highest\)"),
        ({"allowed_bands_hz": ((1.0, 2.0, 3.0),)}, "pairs"),
        ({"min_attenuation_db": -1.0}, "min_attenuation_db must be in"),
        ({"max_duty": 0.0}, "max_duty must be in"),
        ({"duty_window_s": float("inf")}, "duty_window_s must be above 0"),
    ],
)
def test_limits_are_valid_from_birth(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        SafetyLimits(**settings)


def fullest_window(bursts, window_s):
    """By moving the window in steps of a hundredth."""
    steps = np.arange(-2 * window_s, 40.0, 0.01)
    return max(
        sum(max(min(low + window_s, end) - max(low, start), 0.0) for start, end in bursts) for low in steps
    )


def test_the_ledger_admits_what_a_sliding_window_allows(rng):
    """Bursts of multiples of 0.01 s in any order, against a window that is moved over all of them."""
    limits = SafetyLimits(max_duty=0.3, duty_window_s=2.0)
    ledger, admitted, refused = DutyLedger(limits), [], 0
    for start in rng.permutation(np.arange(0, 30, 0.5))[:40]:
        burst = (float(start), float(start) + int(rng.integers(5, 45)) / 100)
        fits = fullest_window([*admitted, burst], 2.0) <= 0.6 + 1e-6
        try:
            ledger.admit(burst[0], burst[1] - burst[0])
        except SafetyError:
            assert not fits, (burst, sorted(admitted))
            refused += 1
        else:
            assert fits, (burst, sorted(admitted))
            admitted.append(burst)
    assert refused > 5
    assert len(admitted) > 5


def test_a_refusal_says_value_limit_and_remedy_and_enters_nothing():
    ledger = DutyLedger(SafetyLimits(max_duty=0.1, duty_window_s=10.0))
    with pytest.raises(SafetyError, match=r"a burst of 1\.01 s exceeds a duty of 0\.1 of 10 s; send less"):
        ledger.admit(0.0, 1.01)
    ledger.admit(0.0, 0.6)
    with pytest.raises(
        SafetyError, match=r"duty would be 0\.12 over 10 s, above safety.max_duty of 0\.1; wait"
    ):
        ledger.admit(5.0, 0.6)
    ledger.admit(5.0, 0.4)
    ledger.admit(10.6, 0.6)


def test_forgetting_and_cancelling_change_no_verdict():
    ledger = DutyLedger(SafetyLimits(max_duty=0.1, duty_window_s=10.0))
    ledger.admit(0.0, 0.5)
    ledger.admit(4.0, 0.5)
    ledger.forget(9.9)  # the first ended 9.4 s before
    with pytest.raises(SafetyError):
        ledger.admit(9.9, 0.5)
    ledger.forget(10.6)
    ledger.admit(10.6, 0.5)
    ledger.cancel(10.6)
    ledger.admit(11.0, 0.5)
    with pytest.raises(SafetyError):
        ledger.admit(12.0, 0.1)
