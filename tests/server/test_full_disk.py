"""A disk that is full under the run folder: one line, nothing lost, and the run goes on when there is room again."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.checkpoint import StorageError
from server.experiment import run_arm
from server.recorder import read_rounds
from tests.server.fleet import make_rounds
from tests.server.missing import assert_same_end
from tests.test_processes import TINY, run_here

ROOT = Path(__file__).resolve().parent.parent.parent
TABLES = {
    "run": {"rounds": 4, "test_tasks": 4, "progress_tasks": 2, "evaluate_every": 2, "checkpoint_every": 2},
    "fleet": {"devices": 4, "held_out": 2, "active": 3},
}


def run(folder):
    run_arm(folder, make_rounds(fading="rayleigh", **TABLES), lambda record: None)


class Disk:
    """Stands for `os.fsync`, from whose `full_at`-th call on there is no room, as where blocks are found late."""

    def __init__(self, full_at=10**9):
        self.calls, self._full_at, self._sync = 0, full_at, os.fsync

    def __call__(self, descriptor):
        self.calls += 1
        if self.calls >= self._full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._sync(descriptor)


def test_whichever_write_fails_the_run_is_continued_to_the_same_bits(tmp_path, monkeypatch):
    disk = Disk()
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", disk)
        run(tmp_path / "whole")
    assert disk.calls > TABLES["run"]["rounds"] + 4
    for full_at in range(1, disk.calls + 1):
        folder = tmp_path / f"full at {full_at}"
        with monkeypatch.context() as patched:
            patched.setattr("os.fsync", Disk(full_at))
            with pytest.raises(
                StorageError, match="cannot be written: No space left on device; mend that and"
            ):
                run(folder)
        assert not list(folder.rglob("*.new"))
        run(folder)
        assert_same_end(tmp_path / "whole", folder)
        assert read_rounds(folder) == read_rounds(tmp_path / "whole")


def test_a_disk_that_fills_up_under_a_run_over_processes_ends_it_with_one_line(tmp_path):
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"]).returncode != 0:
        pytest.skip("needs leave to mount a file system in a namespace of its own")
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    words = ("--set", "link.backend=symbol", "--set", "run.rounds=40", "--set", "run.evaluate_every=100")
    run_here(config, tmp_path / "here", *words)
    (tmp_path / "small").mkdir()
    done = subprocess.run(
        ["unshare", "-Urm", sys.executable, "-m", "tests.server.small_disk", config, tmp_path / "small", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["codes"] == [1, 0], found
    *_, last = found["complaint"].splitlines()
    assert last.startswith("error: ")
    assert "cannot be written: No space left on device; mend that and continue with --resume" in last
    assert found["complaint"].count("error: ") == 1
    assert "Traceback" not in found["complaint"]
    assert 0 < found["rounds_when_full"] < 40
    assert_same_end(tmp_path / "here", tmp_path / "small-out")
    assert read_rounds(tmp_path / "here") == read_rounds(tmp_path / "small-out")
