import json

import numpy as np
import pytest

from radio.uplink import SyncError
from server.checkpoint import read_checkpoint
from server.experiment import MAX_FAILED_IN_A_ROW, ExperimentFailed, num_workers, run_arm
from server.recorder import read_rounds
from tests.server.fleet import make_rounds


class Killed(BaseException):
    """Stands for a SIGKILL: nothing catches it, nothing is cleaned up."""


def kill_at(index):
    def on_round(record):
        if record["round"] == index:
            raise Killed

    return on_round


def outcome(folder):
    summary = json.loads((folder / "summary.json").read_text())
    summary.pop("wall_s")
    return summary, read_checkpoint(folder)


TABLES = {
    "run": {"rounds": 9, "test_tasks": 4, "progress_tasks": 2, "evaluate_every": 2, "checkpoint_every": 3}
}


def rounds_of(**tables):
    return make_rounds(fading="rayleigh", snr_db=10.0, **(TABLES | tables))


@pytest.mark.parametrize("killed_at", [[0], [2], [3], [7], [8], [1, 4, 5]])
def test_killed_anywhere_and_resumed_a_run_ends_with_the_same_bits(killed_at, tmp_path):
    run_arm(tmp_path / "whole", rounds_of(), lambda record: None)
    folder = tmp_path / "killed"
    for index in killed_at:
        with pytest.raises(Killed):
            run_arm(folder, rounds_of(), kill_at(index))
    run_arm(folder, rounds_of(), lambda record: None)
    (summary, state), (other_summary, other_state) = outcome(tmp_path / "whole"), outcome(folder)
    assert summary == other_summary
    np.testing.assert_array_equal(state.theta, other_state.theta)
    for device, memory in state.memories.items():
        np.testing.assert_array_equal(memory, other_state.memories[device])
    assert read_rounds(folder) == read_rounds(tmp_path / "whole")


def test_a_line_half_written_when_the_power_went_is_made_again(tmp_path):
    run_arm(tmp_path / "whole", rounds_of(), lambda record: None)
    with pytest.raises(Killed):
        run_arm(tmp_path / "cut", rounds_of(), kill_at(4))
    with (tmp_path / "cut" / "rounds.jsonl").open("a") as record:
        record.write('{"round": 5, "acti')
    run_arm(tmp_path / "cut", rounds_of(), lambda record: None)
    assert outcome(tmp_path / "cut")[0] == outcome(tmp_path / "whole")[0]


def test_the_summary_adds_up_the_rounds(tmp_path):
    summary = run_arm(tmp_path, rounds_of(), lambda record: None)
    lines = read_rounds(tmp_path)
    assert [line["round"] for line in lines] == list(range(9))
    assert summary["channel_uses"] == 9 * 160
    assert summary["transmit_energy"] == pytest.approx(sum(line["transmit_energy"] for line in lines))
    assert summary["nmse_air_db"] == pytest.approx(
        10 * np.log10(np.mean([line["nmse_air"] for line in lines]))
    )
    assert summary["accuracy_after"] == lines[-1]["accuracy_after"]
    assert {index for index, line in enumerate(lines) if "accuracy_after" in line} == {1, 3, 5, 7, 8}
    assert lines[1]["test_tasks"] == 2
    assert summary["test_tasks"] == 4


def test_failed_rounds_are_recorded_and_too_many_in_a_row_stop_the_run_with_its_state_saved(tmp_path):
    rounds = rounds_of(run={"rounds": 40, "test_tasks": 4}, fleet={"devices": 4, "held_out": 2})

    def deaf(slot, sent):
        raise SyncError("no preamble")

    rounds.uplink.sound = deaf
    with pytest.raises(
        ExperimentFailed, match=f"{MAX_FAILED_IN_A_ROW} rounds in a row failed.*no preamble.*--resume"
    ):
        run_arm(tmp_path, rounds, lambda record: None)
    assert len(read_rounds(tmp_path)) == MAX_FAILED_IN_A_ROW == read_checkpoint(tmp_path).round
    del rounds.uplink.sound
    summary = run_arm(tmp_path, rounds, lambda record: None)
    assert (summary["rounds"], summary["failed_rounds"]) == (40, MAX_FAILED_IN_A_ROW)


def test_workers_are_as_many_as_said_or_one_a_core():
    assert num_workers(make_rounds(run={"threads": 3}).experiment) == 3
    assert num_workers(make_rounds().experiment) >= 1
