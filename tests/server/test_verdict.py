"""What a verdict makes of trials: averages, what failed, and which scheme it recommends."""

import pytest

from calibration.profile import ResponseEntry, interval, write_profile
from radio.decibel import from_db
from radio.interface import RadioError
from server.compose_verdict import give_verdict, hold_of
from server.config_file import build
from server.verdict import Appraisal, Hold, appraise, recommend
from server.verdict_page import print_verdict, section
from tests.calibration.made_profile import AT_S, device_profile, profile_of


def rated(scheme, nmse_db, failed=0.0):
    return Appraisal(
        scheme=scheme,
        support="own",
        nmse_db=nmse_db,
        nmse_full_db=None,
        channel_uses=100.0,
        uses_per_value=0.5,
        failed=failed,
    )


def test_errors_are_averaged_as_powers_and_failed_rounds_counted_apart():
    records = [
        {"nmse": from_db(-10.0), "nmse_full": from_db(-3.0), "channel_uses": 100, "values": 50},
        {"nmse": from_db(-20.0), "nmse_full": from_db(-3.0), "channel_uses": 100, "values": 50},
        {"failed": "no preamble"},
    ]
    found = appraise("mmse", "shared-random", records)
    assert found.nmse_db == pytest.approx(-12.5964, abs=1e-3)  # of 0.055
    assert found.nmse_full_db == pytest.approx(-3.0)
    assert found.uses_per_value == 2.0
    assert found.failed == pytest.approx(1 / 3)


def test_a_scheme_without_a_mean_has_no_error():
    found = appraise("fsk_mv", "own", [{"channel_uses": 10, "values": 5}])
    assert found.nmse_db is None
    assert found.uses_per_value == 2.0


@pytest.mark.parametrize(
    ("predicted", "scheme", "words"),
    [
        ([rated("phase", -8.0), rated("mmse", -20.0), rated("digital", -300.0)], "mmse", "works well here"),
        ([rated("phase", -5.0), rated("mmse", -4.0)], "phase", "works usably here"),
        ([rated("reed", -5.0), rated("mmse", -1.0)], "reed", "phases do not hold"),
        ([rated("reed", -0.5), rated("mmse", -0.1)], "reed", "hardly works here"),
        ([rated("mmse", -20.0, failed=0.5), rated("inversion", -9.0)], "inversion", "works usably"),
        ([rated("mmse", None, failed=1.0), rated("digital", -300.0)], "digital", "nothing comes through"),
    ],
)
def test_the_least_error_without_a_failed_round_is_recommended(predicted, scheme, words):
    recommended, why = recommend(predicted)
    assert recommended == scheme
    assert words in why


def test_page_and_terminal_say_predicted_and_measured(capsys):
    from rich.console import Console

    from server.verdict import Verdict

    verdict = Verdict(
        predicted=(rated("mmse", -20.04), rated("digital", -300.0)),
        recommended="mmse",
        why="it works",
        budget={"noise": 0.01, "timing": 0.0},
        gap_s=0.05,
        measured=rated("mmse", -19.46, failed=0.25),
        corrected=(rated("mmse", -28.11), rated("mmse", -27.94)),
        hold=Hold(3, 0.0421, is_bound=False),
    )
    page = "".join(section(verdict))
    assert "predicted -20.0 dB, measured -19.5 dB, 25 % of the rounds failed; with what" in page
    assert (
        "with what the profile corrects predicted -28.1 dB, measured -27.9 dB. Phases hold for less" in page
    )
    assert "<td>none</td>" in page
    print_verdict(Console(width=100), verdict)
    said = capsys.readouterr().out
    assert "tried over the radios: predicted -20.0 dB, measured -19.5 dB" in said
    assert "with what the profile corrects: predicted -28.1 dB, measured -27.9 dB" in said


def test_a_trial_that_breaks_off_costs_the_trial_alone(monkeypatch, tmp_path):
    """The radios fail once the predictions, on the air of this process, are there."""
    tried = []

    def run_trial(experiment, num_rounds, dimension):
        if experiment.measured is None:
            tried.append(experiment)
            raise RadioError("device 1: the link broke")
        return [{"nmse": 0.01, "nmse_full": 0.5, "channel_uses": 10, "values": 5}] * num_rounds

    flat = ResponseEntry(re=(1.0,) * 192, im=(0.0,) * 192, std=1e-4, at_s=AT_S, valid_s=600.0)
    path = tmp_path / "profile.json"
    write_profile(path, profile_of(device_profile(0, 0.0, response=flat)))
    monkeypatch.setattr("server.compose_verdict.run_trial", run_trial)
    experiment = build({"fleet": {"devices": 1}, "link": {"backend": "waveform"}})
    verdict = give_verdict(experiment, path, lambda step: None)
    assert len(tried) == 1
    assert verdict.measured is None
    assert verdict.recommended == "phase"
    assert "It could not be tried over the radios: device 1: the link broke." in "".join(section(verdict))


@pytest.mark.parametrize(
    ("is_bound", "gap_s", "words"),
    [
        (False, 0.005, "phases hold: a coherent sum loses 0.1 dB 42.1 ms after its sounding (device 3), 5 ms lie"),
        (False, 0.2, "phases hold for less than the gap: "),
        (True, 0.2, "phases may hold: a coherent sum loses 0.1 dB at the earliest 42.1 ms after"),
    ],
)  # fmt: skip
def test_it_says_whether_phases_hold_until_the_payload(is_bound, gap_s, words):
    assert Hold(3, 0.0421, is_bound).words(gap_s).startswith(words)


def test_the_device_that_wanders_most_decides_how_long_phases_hold():
    bounded = interval(0.03, 0.03, 0.03, AT_S, "path", "lower")
    devices = (
        device_profile(0, longest_burst_s=interval(0.05, 0.04, 0.06, AT_S, "path")),
        device_profile(1),
        device_profile(2, longest_burst_s=bounded),
    )
    assert hold_of(profile_of(*devices)) == Hold(2, 0.03, is_bound=True)
    assert hold_of(profile_of(device_profile(0))) is None
