"""Every command in a document runs; every default in the reference is the code's."""

import dataclasses
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from radio.air_config import AirConfig
from radio.impairments import CHOICES, LIMITS
from server.config import Experiment
from server.config_file import load_arms
from server.toml_tables import to_tables
from tests.commands import airmeta, airmeta_here

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
IN_ORDER = "lab.md"  # its commands need each other: tests/test_first_light.py follows them
SHORT = (  # what makes any experiment a matter of seconds
    "run.rounds=2", "run.test_tasks=4", "run.progress_tasks=2", "model.width=8", "fleet.held_out=2", "fleet.devices=4",
)  # fmt: skip


def commands():
    found = []
    for document in DOCUMENTS:
        if document.name == IN_ORDER:
            continue
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [
                (document.name, line.split("  #")[0].strip()) for line in lines if line and line[0] != "#"
            ]
    return found


def test_documents_show_commands():
    assert len(commands()) > 8


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder that looks like the source tree to a command, and collects what it writes."""
    folder = tmp_path_factory.mktemp("workplace")
    for name in ("experiments", "docs"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.mark.parametrize(("document", "command"), commands())
def test_a_documented_command_runs(document, command, workplace, request):
    words = shlex.split(command)
    environment = {}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command
        return
    if words[0] in ("git", "cd"):
        return
    assert words[0] == "airmeta", f"{document}: {command}"
    if words[1] == "run":
        pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
        for archive in [word for word in words if word.endswith(".zip")]:
            small = request.getfixturevalue("omniglot_archives")["small2" in archive]
            key = archive.split("=")[0]
            words[words.index(archive)] = f"{key}={small}"
        words += [word for setting in SHORT for word in ("--set", setting)]
    if words[1] == "calibrate":
        words += ["--set", "fleet.devices=2"]
    call = airmeta if environment else airmeta_here  # which only a process of its own reads when it starts
    done = call(*words[1:], cwd=workplace, **environment)
    assert done.returncode == 0, f"{document}: {command}\n{done.stdout}{done.stderr}"
    assert words[1] != "run" or "failed" not in done.stdout


def documented_defaults():
    """{table: {key: default}} from the rows of docs/configuration.md."""
    tables = {}
    for line in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## `(\w+)`", line):
            tables[heading[1]] = {}
        elif row := re.match(r"\| `(\w+)` \| `([^|]*)` \|", line):
            tables[list(tables)[-1]][row[1]] = tomllib.loads(f"value = {row[2]}")["value"]
    return tables


def test_the_reference_has_every_key_and_its_default():
    assert documented_defaults() == to_tables(Experiment())


def documented_limits():
    """{key of `air`: text of its legal values} from the rows of docs/configuration.md, with a default or without."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").split("## `air`")[1]
    return {row[1]: row[2] for row in re.finditer(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|", text, re.MULTILINE)}


def test_the_reference_has_every_parameter_of_the_air_and_its_limits():
    legal = documented_limits()
    assert legal.keys() == {field.name for field in dataclasses.fields(AirConfig)}
    for name, limits in LIMITS.items():
        assert tuple(map(float, legal[name].split(" to "))) == limits, name
    for name, words in CHOICES.items():
        assert tuple(legal[name].replace("`", "").split(", ")) == words, name


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.toml")), ids=lambda path: path.stem)
def test_every_experiment_is_a_valid_configuration(path):
    assert all(dataclasses.is_dataclass(arm.experiment) for arm in load_arms(path))


def headings(document):
    """Anchors of a document's headings, as web pages of repositories make them."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_between_documents_lead_somewhere():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
            if target.startswith("http"):
                continue
            path, _, anchor = target.partition("#")
            there = document.parent / path if path else document
            assert there.exists(), f"{document.name} -> {target}"
            assert not anchor or anchor in headings(there), f"{document.name} -> {target}"
