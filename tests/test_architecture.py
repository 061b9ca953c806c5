"""Imports flow one way: server -> devices' messages and proxy, calibration, radio; devices -> calibration, radio."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONGEST_FIRST

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"radio", "calibration", "sim_backend", "devices", "server"}
MAY_IMPORT = {
    "radio": set(),
    "calibration": {"radio"},
    "sim_backend": {"radio"},
    "devices": {"radio", "calibration"},
    "server": {"radio", "calibration", "devices"},
}
ROOTS = ("__main__", "composition", "compose_")  # what plugs everything in may know everything
OUTSIDE = {  # libraries that a room may not touch at all
    "radio": {"torch", "msgspec", "gnuradio", "matplotlib", "typer", "rich"},
    "calibration": {"torch", "gnuradio"},
    "sim_backend": {"torch", "msgspec"},
    "server": {"torch"},
    "devices": {"gnuradio", "typer"},
}


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return modules


def sources(room: str) -> list[Path]:
    return [path for path in (ROOT / room).rglob("*.py") if not path.name.startswith(ROOTS)]


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_rooms_import_only_what_lies_below_them(room):
    assert len(sources(room)) > 2
    for path in sources(room):
        tops = {module.split(".")[0] for module in imported_modules(path)}
        forbidden = (tops & ROOMS - MAY_IMPORT[room] - {room}) | (tops & OUTSIDE[room])
        assert not forbidden, f"{path.relative_to(ROOT)} may not import {sorted(forbidden)}"


def test_of_devices_the_server_knows_messages_proxy_and_wire_only():
    for path in sources("server"):
        for module in imported_modules(path):
            if module.startswith("devices."):
                assert module.split(".")[1] in {"messages", "proxy", "wire"}, f"{path.name} imports {module}"
    for name in ("messages", "proxy"):
        tops = {module.split(".")[0] for module in imported_modules(ROOT / "devices" / f"{name}.py")}
        assert "torch" not in tops


def test_what_travels_knows_of_devices_only_the_messages():
    for path in (ROOT / "devices" / "wire").rglob("*.py"):
        for module in imported_modules(path):
            tops = module.split(".")
            assert tops[0] not in {"torch", "server", "calibration"}, f"{path.name} imports {module}"
            assert tops[0] != "devices" or tops[1] in {"messages", "wire"}, f"{path.name} imports {module}"


def test_learning_imports_nothing_of_ours():
    for path in (ROOT / "devices" / "learning").rglob("*.py"):
        ours = {
            m
            for m in imported_modules(path)
            if m.split(".")[0] in ROOMS and not m.startswith("devices.learning")
        }
        assert not ours, f"{path.name} imports {sorted(ours)}"


def test_a_command_starts_without_the_libraries_that_few_commands_need():
    """Each device process would load them, too."""
    done = subprocess.run(
        [sys.executable, "-c", "import server.__main__, sys; print(*sys.modules)"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not {"torch", "matplotlib", "gnuradio", "scipy.signal", "scipy.stats", "scipy.optimize"} & set(
        done.stdout.split()
    )


def test_the_files_that_begin_the_suite_are_there():
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert set(LONGEST_FIRST) <= there


def test_every_import_at_the_top_is_in_the_standard_library_or_declared():
    declared = {
        "numpy", "scipy", "msgspec", "typer", "rich", "matplotlib", "PIL", "safetensors", "torch", "gnuradio",
        "adi", "iio", "zmq", "sigmf",
    }  # fmt: skip
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            tops = {module.split(".")[0] for module in imported_modules(path)}
            assert tops <= declared | ROOMS | set(sys.stdlib_module_names), path
