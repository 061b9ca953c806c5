"""The command as its users call it: exit codes, one-line errors, bits that stay; a process where that may matter."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest

from server.recorder import read_rounds
from tests.commands import ROOT, airmeta, airmeta_here

SMALL = """
[run]
rounds = 8
test_tasks = 6
progress_tasks = 4
evaluate_every = 3
checkpoint_every = 2
[task]
ways = 3
shots = 2
queries = 2
[model]
name = "mlp"
width = 16
[fleet]
devices = 4
held_out = 2
[link]
fading = "rayleigh"
[air]
start_offset_samples = 700
tap_delays_samples = [0, 2]
tap_powers_db = [0.0, -6.0]
"""
OMNIGLOT = ["--set", "task.name=omniglot"]
ARMS = '[[arm]]\nname = "ideal"\nlink = {backend = "ideal", scheme = "ideal"}\n[[arm]]\nname = "phase"\n'


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def summary_of(folder):
    summary = json.loads((folder / "summary.json").read_text())
    assert summary.pop("wall_s") > 0
    return summary


def theta_of(folder):
    from server.checkpoint import read_checkpoint

    return read_checkpoint(folder).theta.tobytes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with two arms, made once."""
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    folder = tmp_path_factory.mktemp("run")
    config = folder / "small.toml"
    config.write_text(SMALL + ARMS)
    done = airmeta("run", config, "--out", folder / "out", "--set", "run.threads=1")
    assert done.returncode == 0, done.stderr
    return folder / "out"


def test_a_run_leaves_the_folder_that_was_promised(finished):
    for arm in ("ideal", "phase"):
        for name in (
            "config.toml",
            "manifest.json",
            "rounds.jsonl",
            "summary.json",
            "checkpoint",
            "frame.npz",
        ):
            assert (finished / arm / name).exists(), name
    assert (finished / "report.html").exists()
    assert list((finished / "figures").glob("*.png"))
    promised = {
        "rounds", "seed", "parameters", "backend", "scheme", "accuracy_before", "accuracy_after", "accuracy_after_ci95",
        "accuracy_untrained", "loss_after", "meta_gradient_norm2", "nmse_db", "nmse_full_db", "nmse_air_db",
        "nmse_amplitude_db", "channel_uses", "overhead_uses", "airtime_s", "transmit_energy", "wall_s", "snr_db",
    }  # fmt: skip
    summary = json.loads((finished / "phase" / "summary.json").read_text())
    assert promised <= set(summary)
    assert (summary["rounds"], summary["backend"], summary["scheme"]) == (8, "waveform", "phase")
    manifest = json.loads((finished / "phase" / "manifest.json").read_text())
    assert manifest["versions"]["gnuradio"]
    assert len(manifest["radios"]) == 5
    assert manifest["snr_db"] == summary["snr_db"] == pytest.approx(20.0)  # the default


def test_both_arms_saw_the_same_test_tasks_and_start(finished):
    ideal, phase = summary_of(finished / "ideal"), summary_of(finished / "phase")
    assert ideal["accuracy_untrained"] == phase["accuracy_untrained"]


def test_over_the_air_the_estimate_is_right_but_for_fading(finished):
    assert summary_of(finished / "phase")["nmse_air_db"] < -15


def test_two_workers_on_a_loaded_machine_give_the_bits_of_one(finished, tmp_path):
    config = tmp_path / "small.toml"
    config.write_text(SMALL + ARMS)
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        done = airmeta_here("run", config, "--out", tmp_path / "out", "--set", "run.threads=2")
    finally:
        for process in load:
            process.kill()
            process.wait()
    assert done.returncode == 0, done.stderr
    for arm in ("ideal", "phase"):
        assert summary_of(tmp_path / "out" / arm) == summary_of(finished / arm)
        assert theta_of(tmp_path / "out" / arm) == theta_of(finished / arm)


def test_killed_with_sigkill_and_resumed_it_ends_with_the_same_bits(finished, tmp_path):
    config = tmp_path / "small.toml"
    config.write_text(SMALL + ARMS)
    command = [sys.executable, "-m", "server", "run", str(config), "--out", str(tmp_path / "out")]
    victim = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wanted = random.randint(1, 7)
    record = tmp_path / "out" / "phase" / "rounds.jsonl"
    deadline = time.monotonic() + 120
    while not (record.exists() and record.read_text().count("\n") >= wanted):
        assert time.monotonic() < deadline
        assert victim.poll() is None, "finished before it could be killed"
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    done = airmeta_here("run", config, "--out", tmp_path / "out", "--resume")
    assert done.returncode == 0, done.stderr
    assert "ideal: already complete" in done.stdout
    assert summary_of(tmp_path / "out" / "phase") == summary_of(finished / "phase"), (
        f"killed after round {wanted}"
    )
    assert theta_of(tmp_path / "out" / "phase") == theta_of(finished / "phase")


def test_symbols_and_waveform_see_the_same_air(finished, tmp_path):
    config = tmp_path / "small.toml"
    config.write_text(SMALL)
    done = airmeta_here("run", config, "--out", tmp_path / "out", "--set", "link.backend=symbol")
    assert done.returncode == 0, done.stderr
    symbol, waveform = summary_of(tmp_path / "out"), summary_of(finished / "phase")
    assert symbol["nmse_air_db"] == pytest.approx(waveform["nmse_air_db"], abs=1.5)
    for told, measured in zip(read_rounds(tmp_path / "out"), read_rounds(finished / "phase"), strict=True):
        audible = [(t, m) for t, m in zip(told["gain_db"], measured["gain_db"], strict=True) if t > -10]
        assert all(m == pytest.approx(t, abs=0.5) for t, m in audible)


def test_report_is_rebuilt_from_the_folder(finished):
    (finished / "report.html").unlink()
    done = airmeta_here("report", finished)
    assert done.returncode == 0, done.stderr
    assert (finished / "report.html").read_text().lower().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "run.roundz=3"], "unknown key run.roundz; known: rounds"),
        (["--set", "run.rounds=soon"], "run.rounds = 'soon': expected int, got str"),
        (["--set", "link.snr_db=nan"], "link.snr_db = nan is not a finite number"),
        (["--set", "link.fading=none", "--set", "air.doppler_hz=-1"], "air.doppler_hz must be in [0, 2000], got -1"),
        (["--set", "update.keep=0"], "update.keep = 0: expected float > 0.0"),
        (["--set", "fleet.active=5"], "fleet.active = 5 exceeds fleet.devices = 4"),
        (["--set", "task.shots=20"], "shots + queries is 20 + 2"),
        (["--set", "fleet.classes_per_device=5000", "--set", "task.ways=400"], "classes_per_device is 5000"),
        ([*OMNIGLOT, "--set", "task.path=/nowhere.zip", "--set", "task.test_path=/nowhere.zip"], "/nowhere.zip"),
        (["--set", "link.round_s=0.001"], "link.round_s = 0.001 s is shorter than a round on the air"),
        (["--set", "link.scheme=nope:nope"], "link.scheme = 'nope:nope' cannot be loaded"),
        (["--resume"], "--resume needs --out DIR"),
        (["--resume", "--out", "{tmp}/empty"], "holds no run to resume"),
        (["--out", "{tmp}/full"], "holds files that are no run"),
        (["--out", "{tmp}/full/file"], "is a file; give --out a folder"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_work_starts(arguments, message, config, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    arguments = [argument.format(tmp=tmp_path) if "{tmp}" in argument else argument for argument in arguments]
    if "--out" not in arguments and arguments != ["--resume"]:
        arguments += ["--out", str(tmp_path / "out")]
    call = airmeta if "run.roundz=3" in arguments else airmeta_here  # one as a process
    done = call("run", config, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "full" / "file").read_text() == "mine"


def test_a_damaged_archive_is_refused(config, tmp_path):
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(b"PK\x03\x04 and then nothing")
    done = airmeta_here("run", config, "--out", tmp_path / "out", "--set", "task.name=omniglot",
                        "--set", f"task.path={damaged}", "--set", f"task.test_path={damaged}")  # fmt: skip
    assert done.returncode == 2
    assert str(damaged) in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_gnuradio_the_waveform_is_refused_and_the_remedy_named(config, tmp_path):
    hide = tmp_path / "hidden" / "gnuradio"
    hide.mkdir(parents=True)
    (hide / "__init__.py").write_text("raise ImportError('No module named gnuradio')")
    done = airmeta("run", config, "--out", tmp_path / "out", PYTHONPATH=str(hide.parent))
    assert done.returncode == 2
    assert 'link.backend = "waveform" needs GNU Radio' in done.stderr
    assert "apt-get install gnuradio" in done.stderr
    assert done.stderr.count("\n") == 1
    doctor = airmeta("doctor", PYTHONPATH=str(hide.parent))
    assert doctor.returncode == 1
    assert "cannot run" in doctor.stdout


def test_a_folder_with_another_run_is_left_alone(finished, config, tmp_path):
    before = (finished / "phase" / "rounds.jsonl").read_bytes()
    done = airmeta_here("run", config, "--out", finished)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "already holds a run; give another --out, or --resume" in done.stderr
    other = tmp_path / "arms.toml"
    other.write_text(SMALL + ARMS)
    done = airmeta_here("run", other, "--out", finished, "--resume", "--seed", 5)
    assert done.returncode == 2
    assert "run.seed is 0 there, 5 here" in done.stderr
    assert (finished / "phase" / "rounds.jsonl").read_bytes() == before


def test_bad_usage_is_exit_code_2():
    assert airmeta_here("run").returncode == 2
    assert airmeta("fly").returncode == 2


@pytest.mark.parametrize("command", [[], ["run"], ["report"], ["doctor"], ["server"], ["device"], ["keys"]])
def test_every_command_has_help(command):
    call = airmeta_here if command else airmeta
    done = call(*command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout
