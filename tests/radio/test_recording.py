"""Recordings against the reference library: what it reads is what was received, and it has nothing to complain of."""

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from radio.capture import Capture, SentBurst
from radio.interface import RadioConfig
from radio.recording import (
    RecordingError,
    RecordingWriter,
    read_recording,
    recording_paths,
    write_recording,
)
from radio.recording_fields import About, Annotation

sigmf = pytest.importorskip("sigmf")
CONFIG = RadioConfig(sample_rate_hz=1e6, center_hz=915e6, rx_gain_db=12.0)
ABOUT = About(kind="test", description="two tones", hardware="a radio", facts={"plan": {"scale": 0.1}})
TONE = SentBurst(
    device=3, start_index=1020, num_samples=30, label="tone", tx_gain_db=-20.0, level=0.25, band_hz=(-1e3, 5e3)
)  # fmt: skip


def capture_of(rng, start_index=1000, num_samples=100, **fields):
    samples = rng.normal(size=2 * num_samples).astype(np.float32).view(np.complex64)
    return Capture(samples=samples, start_index=start_index, config=CONFIG, step="tone", **fields)


@pytest.fixture
def captures(rng):
    odd = capture_of(rng, start_index=-40, num_samples=7, facts={"lag_s": 0.1})
    odd.samples[:3] = np.array([complex(np.nan, -0.0), complex(-np.inf, 1e-42), 3 + 4j], np.complex64)
    return [capture_of(rng, sent=(TONE,), unix_s=1.7e9), odd, capture_of(rng, start_index=1010)]


@pytest.fixture
def path(tmp_path, captures):
    write_recording(
        tmp_path / "a.b", ABOUT, captures, [Annotation(start_index=990, num_samples=40, label="all")]
    )
    return tmp_path / "a.b"


def test_the_reference_library_reads_the_samples_that_were_received(path, captures):
    signal = sigmf.fromfile(path)  # computes the checksum too
    signal.validate()
    assert len(signal) == sum(len(capture.samples) for capture in captures)
    for number, capture in enumerate(captures):
        assert signal.read_samples_in_capture(number).tobytes() == capture.samples.tobytes()
    assert [part.get("core:global_index") for part in signal.get_captures()] == [1000, None, 1010]
    assert (signal.sample_rate, signal.hw, signal.description) == (1e6, "a radio", "two tones")


def test_the_reference_validator_passes_it_without_a_warning(path):
    command = [sys.executable, "-W", "error", "-c", "from sigmf.validate import main; main()"]
    done = subprocess.run([*command, f"{path}.sigmf-meta", "-v"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "INFO:root:Validated all 1 files OK!\n"


def test_annotations_point_at_the_instants_and_frequencies_that_were_meant(path):
    found = sigmf.fromfile(path).get_annotations()
    keys = (
        "core:sample_start",
        "core:sample_count",
        "core:label",
        "core:freq_lower_edge",
        "core:freq_upper_edge",
    )
    # the third capture begins at sample 107 of the file, at index 1010: of 990 to 1030 it has 20
    assert [[each[key] for key in keys] for each in found] == [
        [0, 30, "all", 914.5e6, 915.5e6],
        [20, 30, "device 3 tone", 914.999e6, 915.005e6],
        [107, 20, "all", 914.5e6, 915.5e6],
    ]
    assert "tx_gain_db -20" in found[1]["core:comment"]


def test_what_is_read_is_what_was_written(path, captures):
    for name in (path, *recording_paths(path)):
        recording = read_recording(name)
        assert recording.about == ABOUT
        assert recording.is_complete
        for found, written in zip(recording.captures, captures, strict=True):
            assert found.samples.tobytes() == written.samples.tobytes()
            assert found.unix_s == pytest.approx(written.unix_s, abs=1e-6)
            for name in ("start_index", "config", "step", "sent", "facts"):
                assert getattr(found, name) == getattr(written, name)
    assert [capture.start_index for capture in recording.of("tone")] == [1000, -40, 1010]
    assert recording.of("other") == ()


def test_the_time_of_a_capture_is_that_of_its_first_sample(path):
    # 100 samples at 1 Msample/s before 1.7e9 s, which is 22:13:20 of 14 November 2023
    assert sigmf.fromfile(path).get_captures()[0]["core:datetime"] == "2023-11-14T22:13:19.999900Z"


def test_a_tool_that_is_killed_leaves_a_recording_of_all_that_it_had_captured(tmp_path):
    script = f"""
import os, signal
from pathlib import Path
import numpy as np
from radio.capture import Capture
from radio.interface import RadioConfig
from radio.recording import RecordingWriter
from radio.recording_fields import About
config = RadioConfig(sample_rate_hz=1e6, center_hz=1e9)
writer = RecordingWriter(Path({str(tmp_path / "cut")!r}), About(kind="test", description="", hardware=""))
for number in range(3):
    samples = np.full(50, number, np.complex64)
    writer.write(Capture(samples=samples, start_index=0, config=config, step=""))
with open({str(tmp_path / "cut.sigmf-data")!r}, "ab") as out:
    out.write(bytes(80))  # a fourth was on its way
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=60, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    recording = read_recording(tmp_path / "cut")
    assert not recording.is_complete
    assert [capture.samples[-1] for capture in recording.captures] == [0, 1, 2]
    assert [len(capture.samples) for capture in recording.captures] == [50, 50, 50]
    known = sigmf.fromfile(tmp_path / "cut")
    known.validate()
    assert known.read_samples_in_capture(1)[0] == 1


def test_an_exception_closes_the_recording_and_says_that_it_is_cut_off(tmp_path, rng):
    def interrupted():
        with RecordingWriter(tmp_path / "cut", ABOUT) as writer:
            writer.write(capture_of(rng))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not read_recording(tmp_path / "cut").is_complete
    assert len(sigmf.fromfile(tmp_path / "cut")) == 100  # with a checksum that is right


def test_what_is_known_only_afterwards_is_added_to_the_facts(tmp_path, rng):
    with RecordingWriter(tmp_path / "some", ABOUT) as writer:
        writer.add_facts({"begun": 1})
        writer.write(capture_of(rng))
        writer.add_facts({"found": {"delay_s": 0.1}, "begun": 2})
        assert read_recording(tmp_path / "some").about.facts["begun"] == 2
        with pytest.raises(RecordingError, match="no JSON"):
            writer.add_facts({"found": object()})
    recording = read_recording(tmp_path / "some")
    assert recording.about.facts == {"plan": {"scale": 0.1}, "begun": 2, "found": {"delay_s": 0.1}}
    assert recording.is_complete


def test_a_recording_without_captures_leaves_no_files(tmp_path):
    with RecordingWriter(tmp_path / "none", ABOUT):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_recording_replaces_an_older_one_of_its_name_which_its_reader_keeps(path, captures, rng):
    older = read_recording(path)
    write_recording(path, ABOUT, [capture_of(rng, num_samples=5)])
    assert older.captures[0].samples.tobytes() == captures[0].samples.tobytes()
    assert len(sigmf.fromfile(path)) == 5
    assert sorted(each.name for each in path.parent.iterdir()) == ["a.b.sigmf-data", "a.b.sigmf-meta"]


def test_reading_takes_no_memory_for_samples(tmp_path, rng):
    write_recording(tmp_path / "large", ABOUT, [capture_of(rng, num_samples=1 << 20)])
    tracemalloc.start()
    recording = read_recording(tmp_path / "large")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20  # of 8 MiB
    assert len(recording.captures[0].samples) == 1 << 20


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"samples": np.zeros(0, np.complex64)}, r"a capture of 0 samples .* record at least one"),
        ({"samples": np.zeros(4, np.complex128)}, "4 samples of complex128.* of complex64"),
        (
            {"config": replace(CONFIG, sample_rate_hz=2e6)},
            "2e[+]06 samples/s in a recording at 1e[+]06; .* another",
        ),
        ({"facts": {"power": float("nan")}}, "facts of a recording are no JSON"),
        ({"facts": {"power": np.float32(1)}}, "facts of a recording are no JSON"),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_the_rest_stays_readable(tmp_path, rng, fields, message):
    with RecordingWriter(tmp_path / "some", ABOUT) as writer:
        writer.write(capture_of(rng))
        with pytest.raises(RecordingError, match=message):
            writer.write(replace(capture_of(rng), **fields))
    assert len(sigmf.fromfile(tmp_path / "some")) == 100


def cut(paths):
    os.truncate(paths.data, 8 * 100)


def alter(paths):
    content = bytearray(paths.data.read_bytes())
    content[40] ^= 1  # the lowest bit of a sample
    paths.data.write_bytes(content)


def swap(paths):
    described = json.loads(paths.meta.read_text())
    described["global"]["core:datatype"] = "ci16_le"
    paths.meta.write_text(json.dumps(described))


def forget(paths):
    described = json.loads(paths.meta.read_text())
    described["captures"] = []
    paths.meta.write_text(json.dumps(described))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"a.b.sigmf-data has 800 bytes, 1656 were recorded; copy the whole file"),
        (alter, r"a.b.sigmf-data is not what was recorded: its SHA-512 is not .* restore it or record again"),
        (lambda paths: paths.data.unlink(), r"a.b.sigmf-data cannot be read: No such file .* beside a.b.sigmf-meta"),
        (lambda paths: paths.meta.unlink(), r"a.b.sigmf-meta cannot be read: No such file .* give the path"),
        (lambda paths: paths.meta.write_text('{"global": '), r"a.b.sigmf-meta is not JSON: .* restore it"),
        (lambda paths: paths.meta.write_text("[1]"), r"a.b.sigmf-meta is not as airmeta records"),
        (swap, r"not as airmeta records \(ValueError: 207 samples of ci16_le\)"),
        (forget, r"not as airmeta records \(ValueError: 0 samples"),
    ],
)  # fmt: skip
def test_what_is_broken_is_said_in_a_line_with_the_remedy(path, damage, message):
    damage(recording_paths(path))
    with pytest.raises(RecordingError, match=message) as raised:
        read_recording(path)
    assert "\n" not in str(raised.value)


def test_a_recording_of_somebody_else_is_not_taken_for_one_of_ours(tmp_path):
    np.zeros(10, np.complex64).tofile(tmp_path / "other.sigmf-data")
    other = sigmf.SigMFFile(data_file=tmp_path / "other.sigmf-data", global_info={"core:datatype": "cf32_le"})
    other.add_capture(0)
    other.tofile(tmp_path / "other.sigmf-meta")
    with pytest.raises(RecordingError, match=r"is not as airmeta records .* give a recording of airmeta's"):
        read_recording(tmp_path / "other")
