"""What a verdict makes of trials: averages, what failed, and which scheme it recommends."""

import pytest

from radio.decibel import from_db
from server.verdict import Appraisal, appraise, recommend
from server.verdict_page import print_verdict, section


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
    )
    page = "".join(section(verdict))
    assert "predicted -20.0 dB, measured -19.5 dB, 25 % of the rounds failed" in page
    assert "<td>none</td>" in page
    print_verdict(Console(width=100), verdict)
    assert "tried over the radios: predicted -20.0 dB, measured -19.5 dB" in capsys.readouterr().out
