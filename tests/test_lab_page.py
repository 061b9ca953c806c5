"""docs/lab.md and its examples say what the code does: keys, levels, messages."""

import ast
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from radio import safety
from radio.decibel import to_db
from radio.safety import CONDUCTED_MIN_ATTENUATION_DB
from server.config_file import load_arms
from server.doctor import IIOD_PORT
from server.lab import DeviceEntry, ServerEntry
from server.lab_file import load_lab
from server.lab_use import check_arms
from server.run_options import BIND
from sim_backend.levels import RX_FULL_SCALE_DBM, THERMAL_DBM_HZ, TX_FULL_SCALE_DBM

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "docs" / "examples" / "lab"
(FIRST_LIGHT,) = load_arms(ROOT / "experiments" / "first_light.toml")
HOLE = "\0"  # what a template has where a value goes, and the page "..."


def rows(heading):
    """Cells of the table that begins with `heading`, by those of its first column."""
    lines = TEXT.split(f"| {heading} |")[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: rest for name, *rest in cells}


def templates():
    """Texts of the code that people may read, a hole for each value in them."""
    found = []
    for room in ("radio", "devices", "server"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [p.value if isinstance(p, ast.Constant) else HOLE for p in node.values]
                    found.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(re.sub(r"%[sdg]", HOLE, node.value))
    return found


def quoted_messages():
    lines = TEXT.split("| where | what is said |")[1].split("\n\n")[0].splitlines()[2:]
    return [re.match(r"\| [\w ]+ \| `([^`]+)` \|", line)[1] for line in lines]


@pytest.fixture(scope="module")
def said():
    return templates()


def test_the_page_quotes_messages():
    assert len(quoted_messages()) > 25


@pytest.mark.parametrize("message", quoted_messages())
def test_a_quoted_message_is_one_of_the_codes(message, said):
    pattern = re.compile(re.escape(message).replace(re.escape("..."), rf"[^{HOLE}]*{HOLE}[^{HOLE}]*?"))
    assert any(pattern.search(template) for template in said), message


@pytest.mark.parametrize(
    ("heading", "kind"), [("key of `[server]`", ServerEntry), ("key of `[[device]]`", DeviceEntry)]
)
def test_the_page_has_every_key_of_an_inventory_and_its_default(heading, kind):
    told = {key.strip("`"): default for key, (default, _) in rows(heading).items()}
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    assert list(told) == list(fields)
    for name, default in fields.items():
        if default not in ("", None, dataclasses.MISSING):
            assert told[name] == f"`{default}`"


def to_db_of(count):
    return 10.0 * np.log10(count)


def numbers(row):
    return np.array([float(cell) for cell in rows("dBm, or dB of loss")[row]])


def test_the_levels_are_those_of_the_drivers_and_the_simulators_constants():
    count = np.array([1, 2, 4, 8])
    path = 30 + to_db_of(count) + 20
    in_phase = TX_FULL_SCALE_DBM + 2 * to_db_of(count) - path
    radio, backoff_db = FIRST_LIGHT.experiment.radio, FIRST_LIGHT.experiment.link.backoff_db
    payload = TX_FULL_SCALE_DBM + radio.tx_gain_db - backoff_db - path
    noise = (
        THERMAL_DBM_HZ
        + to_db(radio.sample_rate_hz)
        + FIRST_LIGHT.experiment.air.impairments().noise_figure_db
    )
    for row, expected in (
        ("path: 30 + 10 log10(n) + 20", path),
        ("strongest that can arrive: 7 - path + 20 log10(n)", in_phase),
        ("if every 30 dB is forgotten", in_phase + 30),
        ("if the 20 dB are forgotten", in_phase + 20),
        ("if both are: **damage**", in_phase + 50),
        ("if both are, with `safety.conducted` (30 dB in each transmitter)",
         in_phase + 50 - CONDUCTED_MIN_ATTENUATION_DB),
        ("a device's payload: 7 - 30 - 15 - path", payload),
        ("noise of 1 Msample/s: -174 + 60 + 3", noise + 0.0 * count),
        ("SNR of a device", payload - noise),
    ):  # fmt: skip
        np.testing.assert_allclose(numbers(row), expected, atol=0.05, err_msg=row)


def test_no_single_attenuator_that_is_forgotten_does_harm():
    (damage,) = re.findall(r"damaged from \+([\d.]+) dBm", TEXT)
    assert f"damaged from +{damage} dBm" in Path(safety.__file__).read_text(encoding="utf-8")
    harmless = ("if every 30 dB is forgotten", "if the 20 dB are forgotten")
    assert all(np.all(numbers(row) < float(damage)) for row in harmless)
    assert np.all(numbers("if both are: **damage**") > float(damage))


def test_first_light_is_on_the_bench_of_the_page():
    experiment = FIRST_LIGHT.experiment
    assert experiment.air.impairments().path_loss_db == numbers("path: 30 + 10 log10(n) + 20")[1]
    assert experiment.safety.conducted
    assert -experiment.radio.tx_gain_db >= CONDUCTED_MIN_ATTENUATION_DB
    full_scale_dbm = RX_FULL_SCALE_DBM - experiment.radio.rx_gain_db
    assert f"full scale is {full_scale_dbm:g} dBm at the connector" in TEXT
    peak_dbm = numbers("strongest that can arrive: 7 - path + 20 log10(n)")[1] + experiment.radio.tx_gain_db
    assert f"{full_scale_dbm - peak_dbm:.0f} dB above the peak of two devices in phase" in TEXT


def test_losses_in_the_open_are_friis():
    told = re.findall(r"([\d.]+)(?: dB)? at (\d+) m\b", TEXT)
    assert len(told) == 3
    for loss_db, metres in told:
        wavelengths = float(metres) * 915e6 / 299_792_458.0
        assert float(loss_db) == pytest.approx(20.0 * np.log10(4.0 * np.pi * wavelengths), abs=0.05)


def test_ports_and_rates_are_the_codes():
    assert f"TCP {BIND.rpartition(':')[2]}, or what `server.url` says" in TEXT
    assert f"TCP {IIOD_PORT}" in TEXT
    for rate_hz, mbit_per_s in re.findall(r"(\d+) Msamples?/s are (\d+) Mbit/s", TEXT):
        assert int(rate_hz) * 4 * 8 == int(mbit_per_s)  # two int16 a sample


@pytest.mark.parametrize("name", ["virtual", "real"])
def test_an_example_is_a_lab_that_first_light_can_run_in(name):
    lab = load_lab(EXAMPLES / f"{name}.toml")
    check_arms(lab, [FIRST_LIGHT])
    assert [entry.first for entry in lab.devices] == [0, 1, 2]
    assert lab.keys is not None
