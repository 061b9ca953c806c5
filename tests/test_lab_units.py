"""The services in docs/examples/lab: accepted by systemd, and every option that they give is one of the command's."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from server.__main__ import app
from server.lab_file import load_lab

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "examples" / "lab"
INSTALLED = "/opt/airmeta/.venv/bin/airmeta"
UNITS = {
    "airmeta-server.service": "airmeta-server.service",
    "airmeta-device@.service": "airmeta-device@desk-1.service",
}


def settings(unit):
    """[(key, value)] of a unit's file, in order; a key may come twice."""
    lines = (FOLDER / unit).read_text(encoding="utf-8").splitlines()
    found = [line.split("=", 1) for line in lines if "=" in line and line[0] not in "#;["]
    return [(key, value.replace("$$", "$")) for key, value in found]  # as systemd reads them


def commands(unit):
    """Words after `airmeta` of what a unit runs, by key."""
    found = {}
    for key, value in settings(unit):
        if key.startswith("Exec"):
            words = shlex.split(value)
            if words[:2] == ["/bin/sh", "-c"]:
                words = shlex.split(words[2].replace("$(", " ").replace(")", " "))
            found[key] = words[words.index(INSTALLED) + 1 :]
    return found


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_a_unit(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    program = tmp_path / "airmeta"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = (FOLDER / unit).read_text(encoding="utf-8").replace(INSTALLED, str(program))
    (tmp_path / UNITS[unit]).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / UNITS[unit])],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    complaints = [
        line for line in done.stderr.splitlines() if UNITS[unit] in line
    ]  # of others: the machine's own
    assert complaints == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_every_option_in_a_unit_is_one_of_the_commands(unit):
    known = get_command(app).commands
    assert {words[0] for words in commands(unit).values()} >= {"doctor", "silence"}
    for words in commands(unit).values():
        options = {name for parameter in known[words[0]].params for name in parameter.opts}
        given = {word for word in words if word.startswith("--")}
        assert given, words
        assert given <= options, words


def test_what_is_run_is_the_share_of_a_name_in_the_inventory():
    device = commands("airmeta-device@.service")
    for words in device.values():
        assert words[words.index("--id") + 1] == "%i"
    server = commands("airmeta-server.service")
    for words in (server["ExecStartPre"], server["ExecStopPost"]):
        assert words[words.index("--id") + 1] == "server"
    for words in (*device.values(), *server.values()):
        assert words[words.index("--lab") + 1] == "/etc/airmeta/lab.toml"
    assert str(load_lab(FOLDER / "real.toml").keys) == "/etc/airmeta/keys"


@pytest.mark.parametrize(("there", "resumes"), [(False, False), (True, True)])
def test_the_servers_shell_resumes_a_run_that_was_begun(there, resumes, tmp_path):
    (line,) = (value for key, value in settings("airmeta-server.service") if key == "ExecStart")
    shell, _, script = shlex.split(line)
    if there:
        (tmp_path / "run").mkdir()
    script = script.replace(INSTALLED, "echo").replace("exec ", "")
    done = subprocess.run(
        [shell, "-c", script], env={"RUN": str(tmp_path / "run")}, capture_output=True, text=True, timeout=10
    )
    words = done.stdout.split()
    assert words[:2] == ["server", "/etc/airmeta/experiment.toml"]
    assert words[words.index("--out") + 1] == str(tmp_path / "run")
    assert ("--resume" in words) == resumes
    assert not there or words[-1] == "--resume"


def test_services_end_by_sigterm_and_come_back_but_not_from_a_bad_configuration():
    device, server = dict(settings("airmeta-device@.service")), dict(settings("airmeta-server.service"))
    assert (device["Restart"], server["Restart"]) == ("always", "on-failure")
    for unit in (device, server):
        assert (unit["KillSignal"], unit["RestartPreventExitStatus"], unit["User"]) == (
            "SIGTERM",
            "2",
            "airmeta",
        )
        assert re.fullmatch(r"\d+", unit["TimeoutStopSec"])
