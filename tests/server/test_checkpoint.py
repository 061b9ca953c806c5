import json

import numpy as np
import pytest
from safetensors.numpy import save

from server.checkpoint import Checkpoint, CheckpointError, checkpoint_path, read_checkpoint, write_checkpoint


def make(round_index=3):
    theta = np.arange(6, dtype=np.float32) / 7
    return Checkpoint(
        round_index, theta, {0: theta * 2, 11: theta * 3}, {"accuracy_after": 0.1 + 0.2}, 2, 1.5,
        {"clocks": np.array([[1.0, 0.1 + 0.2]]), "none": np.zeros((0, 9))},
    )  # fmt: skip


def test_what_is_written_is_read_back_bit_for_bit(tmp_path):
    write_checkpoint(tmp_path, make())
    found = read_checkpoint(tmp_path)
    assert (found.round, found.untrained, found.failed_in_a_row, found.wall_s) == (
        3,
        {"accuracy_after": 0.1 + 0.2},
        2,
        1.5,
    )
    np.testing.assert_array_equal(found.theta, make().theta)
    assert set(found.memories) == {0, 11}
    np.testing.assert_array_equal(found.memories[11], make().memories[11])
    assert set(found.uplink) == {"clocks", "none"}
    for name, values in make().uplink.items():
        assert found.uplink[name].dtype == np.float64
        np.testing.assert_array_equal(found.uplink[name], values)


def test_one_of_an_older_format_is_refused_with_the_remedy(tmp_path):
    facts = {"round": 3, "untrained": {}, "failed_in_a_row": 0, "wall_s": 1.0}  # as format 1 had them
    path = checkpoint_path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(save({"theta": np.zeros(3, np.float32)}, metadata={"airmeta": json.dumps(facts)}))
    with pytest.raises(
        CheckpointError, match="has format 1, this version continues format 2; finish the run with"
    ):
        read_checkpoint(tmp_path)


def test_the_newer_replaces_the_older_and_leaves_nothing_beside_it(tmp_path):
    for index in (1, 2):
        write_checkpoint(tmp_path, make(index))
    assert read_checkpoint(tmp_path).round == 2
    assert [path.name for path in checkpoint_path(tmp_path).parent.iterdir()] == ["state.safetensors"]


@pytest.mark.parametrize("mishap", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_ends_a_writing_leaves_the_older_and_nothing_beside_it(mishap, tmp_path, monkeypatch):
    write_checkpoint(tmp_path, make(1))

    def fail(descriptor):
        raise mishap

    monkeypatch.setattr("server.checkpoint.os.fsync", fail)
    with pytest.raises((KeyboardInterrupt, OSError)):
        write_checkpoint(tmp_path, make(2))
    assert read_checkpoint(tmp_path).round == 1
    assert [path.name for path in checkpoint_path(tmp_path).parent.iterdir()] == ["state.safetensors"]


def test_a_folder_without_one_has_none(tmp_path):
    assert read_checkpoint(tmp_path) is None


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * 100])
def test_a_damaged_one_is_an_error_that_names_it(damage, tmp_path):
    write_checkpoint(tmp_path, make())
    path = checkpoint_path(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"state.safetensors cannot be read: .*; remove the run folder"):
        read_checkpoint(tmp_path)
