import pytest
from run_folder import link_record, write_arm, write_joint

from server.budget_figure import budget_figure, mean_budget
from server.run_reader import read_run


def bars(axes):
    """(left, right) of every bar, by its row."""
    rows = {}
    for patch in axes.patches:
        if patch.get_width() > 0.0:
            row = round(patch.get_y() + patch.get_height() / 2)
            rows.setdefault(row, []).append((patch.get_x(), patch.get_x() + patch.get_width()))
    return rows


def test_parts_lie_end_to_end_and_reach_the_whole_error(tmp_path):
    write_joint(tmp_path / "run", first={}, second={"scheme": "ideal"})
    whole, aerial = budget_figure(read_run(tmp_path / "run")).axes
    for row in (0, 1):
        ends = bars(whole)[row]
        assert ends[0][0] == 0.0
        assert [right for _, right in ends[:-1]] == pytest.approx([left for left, _ in ends[1:]])
        assert ends[-1][1] == pytest.approx(1.0)
        assert bars(aerial)[row] == [pytest.approx((0.0, 0.01))]
    assert [text.get_text().strip() for text in aerial.texts] == ["-20.0 dB", "-20.0 dB"]


def test_without_an_air_there_is_one_panel(tmp_path):
    silent = {"noise": 0.0, "fading": 0.1}
    record = link_record(0, [0]) | {"error_budget": link_record(0, [0])["error_budget"] | silent}
    write_arm(tmp_path / "run", rounds=1, changes={0: record})
    assert len(budget_figure(read_run(tmp_path / "run")).axes) == 1


def test_rounds_are_averaged_linearly_and_those_without_a_budget_left_out(tmp_path):
    strong = link_record(1, [0])
    strong["error_budget"] = strong["error_budget"] | {"noise": 0.03}
    write_arm(tmp_path / "run", rounds=3, changes={1: strong, 2: {"round": 2, "failed": "silence"}})
    (arm,) = read_run(tmp_path / "run")
    assert mean_budget(arm)["noise"] == pytest.approx(0.02)


def test_a_bench_that_knows_no_truth_has_no_such_figure(tmp_path):
    record = link_record(0, [0])
    del record["error_budget"]
    write_arm(tmp_path / "run", rounds=1, changes={0: record})
    assert budget_figure(read_run(tmp_path / "run")) is None
