"""Rounds recorded and decoded again: the same bits, and what was live is what the run says of itself."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from radio.recording import read_recording, recording_paths, write_recording
from server.__main__ import app
from server.appraisal import initial_parameters
from server.attempts import run_round
from server.checkpoint import StorageError
from server.composition import open_bench, prepare
from server.config import Arm
from server.config_file import build
from server.replay_command import replay_recording
from server.round_recorder import recording_path

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
sigmf = pytest.importorskip("sigmf")
ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "run": {"threads": 1, "record": "rounds"},
    "task": {"ways": 2, "shots": 1, "queries": 1},
    "model": {"name": "mlp", "width": 4},
    "fleet": {"devices": 3, "held_out": 1, "classes_per_device": 4},
    "air": {"start_offset_samples": 700},
    "link": {"snr_db": 20.0},
}
FREE = {"air": {"scenario": "free"}, "radio": {"reference": "free"}}
PLUTO = {
    "link": {"backend": "pluto", "gap_s": 0.05},
    "radio": {"preset": "1M", "block_s": 0.004, "lead_s": 0.04, "meeting_s": 0.3, "tx_gain_db": -31.0},
    "safety": {"allowed_bands_hz": [[902e6, 928e6]], "max_duty": 1.0},
    "air": {"scenario": "bench"},
}


def tables_of(*changes):
    tables = {name: dict(table) for name, table in SMALL.items()}
    for change in changes:
        for name, table in change.items():
            tables[name] = table if name == "air" else tables.get(name, {}) | table
    return tables


def run(folder, tables, num_rounds):
    """(theta before, outcome) of each round, recorded in a folder."""
    done = []
    with open_bench(prepare(Arm("", build(tables))), recordings=folder) as bench:
        theta = initial_parameters(bench.rounds.proxy)
        for index in range(num_rounds):
            outcome = run_round(bench.rounds, index, theta)
            if bench.rounds.recorder:
                bench.rounds.recorder.keep(outcome.record, outcome.estimate)
            done.append((theta, outcome))
            theta = outcome.theta
    return done


def airmeta_replay(path):
    return CliRunner().invoke(app, ["replay", str(path)])


def names_of(replayed):
    return {row.name for row in replayed.rows}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"air": {"scenario": "bench"}},
        FREE,
        {"link": {"scheme": "inversion", "threshold": 0.1}},
        {"link": {"scheme": "reed"}, "air": {"scenario": "bench"}},
        {"update": {"support": "shared-vote", "keep": 0.2}},
    ],
    ids=["shared", "paths", "free", "inversion", "reed", "shared-vote"],
)
def test_a_round_over_waveforms_is_decoded_to_the_same_bits(tmp_path, change):
    done = run(tmp_path, tables_of(change), 2)
    for index, (theta, outcome) in enumerate(done):
        assert "failed" not in outcome.record
        path = recording_path(tmp_path, index)
        replayed = replay_recording(path)
        assert [row for row in replayed.rows if not row.is_same] == []
        assert {"sounding noise_variance", "payload sync_quality", "decoded estimate"} <= names_of(replayed)
        assert replayed.notes == []
        signal = sigmf.fromfile(path)
        signal.validate()
        values = {row.name: row.replayed for row in replayed.rows}
        estimate = outcome.estimate
        assert values["decoded estimate"]["sha256"] == hashlib.sha256(estimate.tobytes()).hexdigest()
        np.testing.assert_array_equal(outcome.theta, (theta - estimate).astype(np.float32))
        told = {str(d): channel.mean_power for d, channel in outcome.reception.channels.items()}
        assert read_recording(path).about.facts["payload"]["mean_powers"] == told
        assert values["payload sync_quality"] == outcome.record["quality"]
        assert values["payload common_phase_rad"] == outcome.record["common_phase_rad"]
        assert -10 * np.log10(values["sounding noise_variance"]) == pytest.approx(outcome.record["snr_db"])
    acquired = "acquisition device 0 correction" in names_of(replay_recording(recording_path(tmp_path, 0)))
    assert acquired == (change is FREE)


def test_what_was_received_lies_where_the_annotations_say(tmp_path):
    run(tmp_path, tables_of({"link": {"snr_db": 40.0}}), 1)
    signal = sigmf.fromfile(recording_path(tmp_path, 0))
    samples, parts = signal.read_samples(), signal.get_annotations()
    powers = {}
    for part in parts:
        first, count = part["core:sample_start"], part["core:sample_count"]
        power = float(np.mean(np.abs(samples[first : first + count]) ** 2))
        powers.setdefault(part["core:label"], []).append(power)
        before = float(np.mean(np.abs(samples[max(0, first - 200) : first - 20]) ** 2))
        if part["core:label"] == "preambles":
            assert before < 1e-3 * power  # silence, and then at once a signal
    assert set(powers) == {
        "preambles", "pilots 1", "preamble", "header pilots", "payload", "tail pilots",
        *(f"device {device} {what}" for device in range(3) for what in ("pilots", "payload")),
    }  # fmt: skip
    widths = {part["core:freq_upper_edge"] - part["core:freq_lower_edge"] for part in parts}
    assert widths == {193 * 4e6 / 256}


def test_recording_changes_no_bit_of_a_run(tmp_path):
    with_recordings = run(tmp_path, tables_of(FREE), 2)[-1][1].theta
    without = run(None, tables_of(FREE, {"run": {"record": "none"}}), 2)[-1][1].theta
    assert with_recordings.tobytes() == without.tobytes()


@pytest.mark.parametrize(
    "change",
    [{}, FREE, {"radio": {"trigger": "external"}}],
    ids=["met", "free", "edge"],
)
def test_a_round_over_virtual_plutos_is_decoded_to_the_same_bits(tmp_path, change):
    tables = tables_of(PLUTO, {"fleet": {"devices": 2}}, change)
    for index, (_, outcome) in enumerate(run(tmp_path, tables, 2)):
        assert "failed" not in outcome.record, outcome.record["failed"]
        path = recording_path(tmp_path, index)
        replayed = replay_recording(path)
        assert [row for row in replayed.rows if not row.is_same] == []
        assert {"sounding device 1 gains", "payload amplitudes", "decoded estimate"} <= names_of(replayed)
        recording = read_recording(path)
        values = {row.name: row.replayed for row in replayed.rows}
        (payload,) = recording.of("payload")[-1:]
        assert values["payload start_index"] == outcome.reception.start_index
        assert payload.start_index <= outcome.reception.start_index < payload.end_index
        assert payload.config.rx_gain_db == 3.0
        assert {burst.tx_gain_db for burst in payload.sent} == {-31.0}
        assert {burst.device for burst in payload.sent} == {0, 1}
        assert recording.about.hardware.startswith("ADALM-PLUTO, firmware v")
        assert [radio["uri"][:7] for radio in recording.about.facts["radios"]] == ["ip:127."] * 3
        assert sum(len(capture.samples) for capture in recording.captures) < 40_000  # no search for strangers
        sigmf.fromfile(path).validate()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    run(folder, tables_of(), 1)
    return recording_path(folder, 0)


@pytest.fixture
def copied(recorded, tmp_path):
    """To be spoilt."""
    for source, target in zip(recording_paths(recorded), recording_paths(tmp_path / "copy"), strict=True):
        target.write_bytes(source.read_bytes())
    return tmp_path / "copy"


def test_the_command_shows_both_sides_and_says_that_they_are_the_same(recorded):
    for path in (recorded, *recording_paths(recorded)):
        result = airmeta_replay(path)
        assert result.exit_code == 0
        assert result.output.startswith("round 0 of over-the-air federated meta-learning: 3 devices, scheme")
        assert result.output.splitlines()[-1] == "identical, bit for bit"


def test_the_documented_ways_to_open_a_recording_work(recorded, capsys):
    text = (ROOT / "docs" / "recordings.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    printed = []
    for block in blocks:
        found = {}
        exec(block.replace("runs/recorded/phase/recordings/round-000000", str(recorded)), found)
        printed.append(capsys.readouterr().out.splitlines())
    payload = read_recording(recorded).of("payload")[0]
    assert [len(lines) for lines in printed] == [2, 1]
    assert printed[0][1].startswith("payload ")
    assert printed[1] == [f"{payload.start_index} {len(payload.samples)} [0, 1, 2]"]


def test_a_sample_that_was_changed_on_disk_is_an_error(copied):
    content = bytearray(recording_paths(copied).data.read_bytes())
    content[-100] ^= 1
    recording_paths(copied).data.write_bytes(content)
    result = airmeta_replay(copied)
    assert result.exit_code == 2
    assert "is not what was recorded: its SHA-512" in result.output


def test_a_sample_that_was_changed_before_it_was_sealed_changes_the_numbers(copied):
    recording = read_recording(copied)
    altered = [replace(capture, samples=capture.samples.copy()) for capture in recording.captures]
    altered[-1].samples.view(np.uint32)[2000] ^= 1 << 20  # a tenth of a sample of the payload
    write_recording(copied, recording.about, altered)
    result = airmeta_replay(copied)
    assert result.exit_code == 1
    assert "2 of " in result.output.splitlines()[-1]  # amplitudes and estimate; the sounding stays
    assert "quantities differ" in result.output.splitlines()[-1]


def test_a_kind_that_nobody_here_can_evaluate_is_named(copied):
    recording = read_recording(copied)
    write_recording(copied, replace(recording.about, kind="sunspots"), recording.captures)
    result = airmeta_replay(copied)
    assert result.exit_code == 2
    assert "records a sunspots, which this version cannot replay; known: round, calibration" in " ".join(
        result.output.split()
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", 2, "its facts have format 2, this version reads 1"),
        ("scheme", "telepathy", "link.scheme = 'telepathy' is unknown"),
        ("schedule", {}, "Object missing required field"),
    ],
)
def test_facts_that_this_version_does_not_know_are_an_error(copied, key, value, message):
    recording = read_recording(copied)
    about = replace(recording.about, facts=recording.about.facts | {key: value})
    write_recording(copied, about, recording.captures)
    result = airmeta_replay(copied)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_other_versions_are_told_where_last_bits_may_differ(copied):
    recording = read_recording(copied)
    facts = recording.about.facts
    about = replace(recording.about, facts=facts | {"versions": facts["versions"] | {"numpy": "0.1"}})
    write_recording(copied, about, recording.captures)
    assert "recorded with numpy 0.1, here is" in airmeta_replay(copied).output


@pytest.mark.parametrize("snr_db", [-30.0, 20.0])
def test_rounds_that_fail_are_recorded_and_fail_again_for_the_same_reason(tmp_path, snr_db):
    tables = tables_of({"run": {"record": "failed"}, "link": {"snr_db": snr_db}})
    ((_, outcome),) = run(tmp_path, tables, 1)
    if snr_db > 0.0:
        assert list(tmp_path.iterdir()) == []
        return
    assert "no sounding preamble" in outcome.record["failed"]
    replayed = replay_recording(recording_path(tmp_path, 0))
    assert [(row.name, row.replayed) for row in replayed.rows] == [
        ("sounding failed", outcome.record["failed"])
    ]
    assert replayed.is_same


def test_a_payload_that_nobody_sent_fails_again_for_the_same_reason(tmp_path):
    with open_bench(prepare(Arm("", build(tables_of()))), recordings=tmp_path) as bench:
        uplink = bench.rounds.uplink
        collect = uplink.collect
        uplink.collect = lambda plan, sent: collect(plan, dict.fromkeys(sent, ()))
        outcome = bench.rounds.run(0, initial_parameters(bench.rounds.proxy))
        bench.rounds.recorder.keep(outcome.record, None)
    assert "no payload preamble" in outcome.record["failed"]
    replayed = replay_recording(recording_path(tmp_path, 0))
    assert replayed.is_same
    assert {"sounding noise_variance", "payload failed"} <= names_of(replayed)
    assert replayed.notes == [f"the round failed: {outcome.record['failed']}"]


def test_device_processes_and_their_radios_are_named(tmp_path):
    hosts = {"device-0": {"host": "bench", "radios": [{"serial": "1044"}]}}
    with open_bench(prepare(Arm("", build(tables_of()))), recordings=tmp_path) as bench:
        bench.rounds.recorder._hosts = lambda: hosts
        outcome = bench.rounds.run(0, initial_parameters(bench.rounds.proxy))
        bench.rounds.recorder.keep(outcome.record, outcome.estimate)
    recording = read_recording(recording_path(tmp_path, 0))
    assert recording.about.facts["hosts"] == hosts
    assert [radio["serial"] for radio in recording.about.facts["radios"]] == [
        "sim--1",
        "sim-0",
        "sim-1",
        "sim-2",
    ]
    assert recording.about.hardware == "firmware airmeta simulated radio, serial sim--1"


def test_a_recording_that_cannot_be_stored_is_said_with_the_remedy(tmp_path):
    (tmp_path / "recordings").write_text("in the way")
    with pytest.raises(StorageError, match=r"round-000000 cannot be written: .* continue with --resume"):
        run(tmp_path, tables_of(), 1)


def test_every_nth_round_is_recorded(tmp_path):
    run(tmp_path, tables_of({"run": {"record_every": 2}}), 4)
    found = sorted(path.name for path in (tmp_path / "recordings").glob("*-meta"))
    assert found == ["round-000000.sigmf-meta", "round-000002.sigmf-meta"]


def test_bits_that_are_not_on_the_air_leave_the_sounding(tmp_path):
    run(tmp_path, tables_of({"link": {"scheme": "digital"}}), 1)
    replayed = replay_recording(recording_path(tmp_path, 0))
    assert replayed.is_same
    assert all(row.name.startswith("sounding") for row in replayed.rows)
    assert replayed.notes == [
        'scheme "digital" sends bits, which are not on the air: no payload was recorded'
    ]


@pytest.mark.parametrize("backend", ["symbol", "ideal"])
def test_where_no_radio_receives_there_is_nothing_to_record(tmp_path, backend):
    ((_, outcome),) = run(tmp_path, tables_of({"link": {"backend": backend}, "air": {}}), 1)
    assert "failed" not in outcome.record
    assert list(tmp_path.iterdir()) == []


def test_a_run_records_into_its_folder_and_may_be_continued_without(tmp_path):
    text = (
        "[task]\nways = 2\nshots = 1\nqueries = 1\n[model]\nname = 'mlp'\nwidth = 4\n"
        "[run]\nrounds = 2\ntest_tasks = 2\nprogress_tasks = 2\n[fleet]\ndevices = 2\nheld_out = 1\n"
    )
    (tmp_path / "config.toml").write_text(text)
    command = ["run", str(tmp_path / "config.toml"), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*command, "--set", "run.record=rounds"])
    assert result.exit_code == 0, result.output
    result = airmeta_replay(tmp_path / "run" / "recordings" / "round-000001")
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "run" / "rounds.jsonl").read_text().splitlines()
    facts = read_recording(recording_path(tmp_path / "run", 1)).about.facts
    assert facts["payload"]["found"]["sync_quality"] == json.loads(lines[1])["quality"]
    result = CliRunner().invoke(app, [*command, "--resume", "--set", "run.record=none"])
    assert result.exit_code == 0, result.output
