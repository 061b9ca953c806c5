"""`airmeta calibrate` as its users call it, and `airmeta replay` of what it recorded."""

import json
import re
import subprocess
import sys

import pytest
import sigmf

from calibration.profile import write_profile
from tests.calibration.made_profile import device_profile, profile_of
from tests.commands import ROOT, airmeta, airmeta_here

RADIOS = """
[run]
seed = 5
[fleet]
devices = 2
[link]
backend = "waveform"
snr_db = 25.0
[air]
scenario = "bench"
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(what it printed, its folder)."""
    folder = tmp_path_factory.mktemp("calibration")
    (folder / "radios.toml").write_text(RADIOS)
    write_profile(folder / "earlier.json", profile_of(device_profile(0, -40.0), device_profile(1, 0.0)))
    options = ("--compare", folder / "earlier.json", "--out", folder / "out")
    finished = airmeta("calibrate", folder / "radios.toml", *options)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout, folder / "out"


def test_it_says_what_each_device_is_like_and_what_to_use(done):
    said, _ = done
    assert re.search(r"^device 0: good$", said, re.MULTILINE)
    assert re.search(
        r"^corrected, worst device: gain spread \d+\.\d to 0\.\d dB, image -", said, re.MULTILINE
    )
    assert re.search(r"recommended: (mmse|inversion); coherent aggregation works well here", said)
    predicted, measured = map(
        float, re.search(r"predicted (-[\d.]+) dB, measured (-[\d.]+) dB", said).groups()
    )
    assert abs(predicted - measured) < 1.5


def test_it_says_how_alike_an_earlier_profile_is(done):
    said, folder = done
    found = json.loads((folder / "similarity.json").read_text())
    assert re.search(r"likeness to \S+earlier.json: \d\.\d{3} \(", said)
    assert "device 0 gain_db" in found["differing"]
    assert "<h2>Likeness</h2>" in (folder / "report.html").read_text()


def test_it_keeps_everything(done):
    _, folder = done
    assert {path.name for path in folder.iterdir()} == {
        "captures.sigmf-data", "captures.sigmf-meta", "config.toml", "figures", "profile.json", "report.html",
        "similarity.json", "verdict.json",
    }  # fmt: skip
    names = {path.stem for path in (folder / "figures").iterdir()}
    assert {
        "spectrum",
        "waterfall",
        "constellation",
        "channel",
        "impulse",
        "phase",
        "alignment",
        "budget",
    } <= names
    assert json.loads((folder / "verdict.json").read_text())["recommended"] in ("mmse", "inversion")
    devices = json.loads((folder / "profile.json").read_text())["devices"]
    assert all(each["reciprocity_error_db"]["value"] < -35.0 for each in devices)


def test_the_report_needs_nothing_beside_itself(done):
    page = (done[1] / "report.html").read_text()
    assert page.count("<h2>Corrections</h2>") == 1
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert page.count("data:image/png;base64,") == len(list((done[1] / "figures").iterdir()))


def test_any_sigmf_tool_reads_the_captures(done):
    signal = sigmf.sigmffile.fromfile(str(done[1] / "captures.sigmf-meta"))
    signal.validate()
    labels = [each["core:label"] for each in signal.get_annotations()]
    assert any("probe" in label for label in labels)
    assert len(signal.read_samples()) == sum(each["airmeta:num_samples"] for each in signal.get_captures())


def test_its_replay_has_the_same_bits(done):
    again = airmeta_here("replay", done[1] / "captures")
    assert again.returncode == 0, again.stdout
    assert "identical, bit for bit" in again.stdout


def test_a_calibrated_air_can_be_run_on(done, tmp_path):
    (tmp_path / "run.toml").write_text(
        "[run]\nrounds = 2\ntest_tasks = 4\n[task]\nways = 3\nshots = 2\nqueries = 2\n"
        '[model]\nname = "mlp"\nwidth = 16\n[fleet]\ndevices = 2\nheld_out = 2\n[link]\nnoise = "figure"\n'
    )
    ran = airmeta_here(
        "run",
        tmp_path / "run.toml",
        "--set",
        f"air.profile={done[1] / 'profile.json'}",
        "--out",
        tmp_path / "run",
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ("link.backend=symbol", 2, "link.backend is symbol, which has no radios; calibrate with waveform or pluto"),
        ("air.interferer_db=0", 1, r"the band is busy: -?\d+\.\d dBFS at 91\d\.\d+ MHz, \d+\.\d dB over the noise"),
        ("radio.trigger=external", 2, "calibrate with --set radio.trigger=none"),
        ("safety.allowed_bands_hz=[]", 2, "safety.allowed_bands_hz lists nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_in_one_line(tmp_path, change, code, words):
    (tmp_path / "radios.toml").write_text(RADIOS)
    backend = ["--set", "link.backend=pluto"] if change.startswith(("safety", "radio")) else []
    refused = airmeta_here(
        "calibrate", tmp_path / "radios.toml", *backend, "--set", change, "--out", tmp_path / "out"
    )
    assert refused.returncode == code, refused.stderr
    assert re.search(words, refused.stderr), refused.stderr
    assert refused.stderr.count("\n") == 1


def test_what_cannot_be_compared_with_is_refused_beforehand(tmp_path):
    (tmp_path / "radios.toml").write_text(RADIOS)
    missing = tmp_path / "missing.json"
    refused = airmeta_here(
        "calibrate", tmp_path / "radios.toml", "--compare", missing, "--out", tmp_path / "out"
    )
    assert refused.returncode == 2
    assert f"--compare {missing}: No such file" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "radios.toml").write_text(RADIOS)
    refused = airmeta_here("calibrate", tmp_path / "radios.toml", "--out", tmp_path)
    assert refused.returncode == 2
    assert "is taken; give another folder" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["radios.toml"]


def test_the_room_can_be_called_by_itself(tmp_path):
    refused = subprocess.run(
        [sys.executable, "-m", "calibration", str(tmp_path / "missing.toml")],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "missing.toml" in refused.stderr
