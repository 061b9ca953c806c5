"""A round that lost its quorum is begun again under its own index, and comes to what it would have come to."""

import json

import numpy as np
import pytest

from devices.messages import Failed
from server.checkpoint import read_checkpoint
from server.composition import open_bench, prepare
from server.config import Arm
from server.config_file import build
from server.experiment import ExperimentFailed, run_arm
from server.recorder import read_rounds
from tests.server.fleet import make_rounds
from tests.server.missing import Absent, assert_same_end

VICTIM = 1
PHASES = ("Train", "Sound", "Prepare", "Transmit")
TABLES = {
    "run": {"rounds": 6, "test_tasks": 4, "progress_tasks": 2, "evaluate_every": 2, "checkpoint_every": 3},
    "fleet": {"devices": 3, "held_out": 1, "quorum": 3},
}
WAVEFORM = {
    "run": {"rounds": 6, "test_tasks": 2, "progress_tasks": 2, "evaluate_every": 100, "threads": 1},
    "task": {"ways": 2, "shots": 1, "queries": 1},
    "model": {"name": "mlp", "width": 4},
    "fleet": {"devices": 3, "active": 2, "held_out": 1, "quorum": 2, "classes_per_device": 4},
    "air": {"start_offset_samples": 300},
}


def quadratic(folder, times=(), on_round=lambda record: None, victims=(VICTIM,), **tables):
    rounds = make_rounds(fading="rayleigh", snr_db=10.0, **(TABLES | tables))
    absent = Absent(rounds.proxy, victims, times)
    object.__setattr__(rounds, "proxy", absent)
    run_arm(folder, rounds, on_round)
    assert set(absent.times.values()) <= {0}  # it was as bad as it was meant to be


def without_repeats(folder):
    return [{key: record[key] for key in record if key != "repeated"} for record in read_rounds(folder)]


@pytest.mark.parametrize("phase", PHASES)
def test_a_round_that_loses_its_quorum_in_any_phase_is_the_round_that_it_would_have_been(phase, tmp_path):
    quadratic(tmp_path / "whole")
    quadratic(tmp_path / "again", {(2, phase): 1, (4, phase): 3})
    assert_same_end(tmp_path / "whole", tmp_path / "again")
    assert without_repeats(tmp_path / "again") == read_rounds(tmp_path / "whole")
    repeated = [record.get("repeated", []) for record in read_rounds(tmp_path / "again")]
    assert [len(reasons) for reasons in repeated] == [0, 0, 1, 0, 3, 0]
    assert repeated[2][0].startswith("2 devices could ")
    assert repeated[2][0].endswith("fleet.quorum is 3: device 1: not there")
    summary = json.loads((tmp_path / "again" / "summary.json").read_text())
    assert (summary["failed_rounds"], summary["repeats"]) == (0, 4)


@pytest.mark.parametrize("free", [False, True])
def test_on_an_air_in_this_process_the_instants_of_a_round_come_again(free, tmp_path):
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    tables = dict(WAVEFORM)
    times = {(1, "Train"): 1, (2, "SoundingSlot"): 1, (3, "Prepare"): 1, (4, "Transmit"): 2}
    if free:
        tables |= {"link": {"round_s": 3.0}, "radio": {"reference": "free"}}
        tables |= {"air": {"scenario": "free", "start_offset_samples": 300}}
        times |= {(0, "AcquisitionSlot"): 1, (5, "Prepare"): 1}
    else:
        tables |= {"link": {"fading": "rayleigh"}}
    for name, absences in (("whole", {}), ("again", times)):
        with open_bench(prepare(Arm("", build(tables)))) as bench:
            absent = Absent(bench.rounds.proxy, (0, 1, 2), absences)
            object.__setattr__(bench.rounds, "proxy", absent)
            run_arm(tmp_path / name, bench.rounds, lambda record: None)
            assert set(absent.times.values()) <= {0}
    assert_same_end(tmp_path / "whole", tmp_path / "again")
    assert without_repeats(tmp_path / "again") == read_rounds(tmp_path / "whole")
    assert not any("failed" in record for record in read_rounds(tmp_path / "whole"))
    states = [read_checkpoint(tmp_path / name).uplink for name in ("whole", "again")]
    assert states[0].keys() == states[1].keys()
    for name, values in states[0].items():
        np.testing.assert_array_equal(values, states[1][name])


@pytest.mark.parametrize("repeats", [0, 2])
def test_without_its_devices_a_run_stops_and_goes_on_where_it_was_once_they_are_back(repeats, tmp_path):
    quadratic(tmp_path / "whole")
    fleet = TABLES["fleet"] | {"repeats": repeats}
    attempts = {(4, "Prepare"): 1 + repeats}
    with pytest.raises(ExperimentFailed) as stopped:
        quadratic(tmp_path / "stopped", attempts, fleet=fleet, victims=(0, 2))
    assert str(stopped.value) == (
        f"round 5 has no quorum after {1 + repeats} attempts, devices 0, 2 are missing: 1 devices could prepare a "
        "payload, fleet.quorum is 3: device 0: not there; device 2: not there; state saved, bring them back and "
        "continue with --resume"
    )
    assert read_checkpoint(tmp_path / "stopped").round == 4
    *_, last = read_rounds(tmp_path / "stopped")
    assert (last["round"], len(last.get("repeated", []))) == (4, repeats)
    assert "failed" in last
    told = []
    quadratic(tmp_path / "stopped", on_round=lambda record: told.append(record["round"]))
    assert told == [4, 5]
    assert_same_end(tmp_path / "whole", tmp_path / "stopped")
    assert read_rounds(tmp_path / "stopped") == read_rounds(tmp_path / "whole")


def test_an_evaluation_that_devices_are_missing_for_is_made_up_for(tmp_path):
    judge = TABLES["fleet"]["devices"]  # the number of the first held-out one
    for folder, when in (("second", 2), ("last", 6)):
        quadratic(tmp_path / "whole" / folder)
        rounds = make_rounds(fading="rayleigh", snr_db=10.0, **TABLES)
        told = []

        class Deserted:
            """The held-out device is away when it is asked after `when` rounds, and when it is asked again."""

            close = rounds.proxy.close

            def ask(self, requests, proxy=rounds.proxy, told=told, when=when):
                if judge in requests and len(told) == when - 1:
                    return {judge: Failed(f"device {judge}, evaluate: its process is not there")}
                return proxy.ask(requests)

        object.__setattr__(rounds, "proxy", Deserted())
        for _ in range(2):
            with pytest.raises(
                ExperimentFailed,
                match=f"could not be evaluated after round {when}: device {judge}, evaluate: its process is not "
                "there; state saved, bring them back and continue with --resume",
            ):
                run_arm(tmp_path / folder, rounds, told.append)
            assert read_checkpoint(tmp_path / folder).round == when
            assert len(read_rounds(tmp_path / folder)) == when
        quadratic(tmp_path / folder, on_round=told.append)
        assert [record["round"] for record in told] == list(range(6))
        assert_same_end(tmp_path / "whole" / folder, tmp_path / folder)
        assert read_rounds(tmp_path / folder) == read_rounds(tmp_path / "whole" / folder)
