"""A report holds what the folder tells, needs nothing beside itself, and says so where there is no run."""

import base64
import json
import re
from html.parser import HTMLParser

import pytest

from server.report import compose, write_report
from server.run_reader import read_run
from tests.server.run_folder import write_arm, write_joint

FIGURES = {
    "accuracy", "loss", "meta_gradient", "nmse", "nmse_air", "error_budget", "amplitudes", "spectrum", "gains",
    "phase_residuals",
}  # fmt: skip
VOID = {"meta", "img"}


class Page(HTMLParser):
    """Tags with attributes, text by paragraph of source, and whether every element was closed in order."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.text, self.open, self.balanced = [], "", [], True
        self.feed(source)
        self.balanced &= not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.balanced &= bool(self.open) and self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read_page(folder):
    """The page without its figures, which take a second to draw."""
    return Page(compose(folder.name, read_run(folder), []))


def cells(folder, label):
    """Texts of the row of the table with this label."""
    source = compose(folder.name, read_run(folder), [])
    row = next(row for row in re.findall(r"<tr>.*?</tr>", source, re.DOTALL) if f">{label}</th>" in row)
    texts = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
    return [re.sub(r"<[^>]*>", "", text).replace("\u202f", " ") for text in texts]


@pytest.fixture
def run(tmp_path):
    write_joint(tmp_path / "study", ideal={"backend": "ideal", "scheme": "ideal"}, phase={})
    return tmp_path / "study"


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A run folder whose report is written, once: figures take a second to draw."""
    folder = tmp_path_factory.mktemp("reported") / "study"
    write_joint(folder, ideal={"backend": "ideal", "scheme": "ideal"}, phase={})
    write_report(folder)
    return folder


def test_every_figure_is_a_file_and_the_same_bytes_in_the_page(reported):
    run, page = reported, Page((reported / "report.html").read_text(encoding="utf-8"))
    assert {path.stem for path in (run / "figures").iterdir()} == FIGURES
    held = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    prefix = "data:image/png;base64,"
    assert all(source.startswith(prefix) for source in held)
    assert {base64.b64decode(source.removeprefix(prefix)) for source in held} == {
        path.read_bytes() for path in (run / "figures").iterdir()
    }


def test_the_page_needs_nothing_beside_itself(reported):
    source = (reported / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    assert page.balanced
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "base"}
    references = [attrs[key] for _, attrs in page.tags for key in ("src", "href", "srcset") if key in attrs]
    assert all(reference.startswith("data:") for reference in references)
    assert "url(" not in source


def test_text_of_the_folder_is_text_in_the_page(tmp_path):
    evil = "<script>alert('\"&')</script>"
    failed = {0: {"round": 0, "failed": evil, "failures": [evil]}}
    write_arm(tmp_path / "<b>run", scheme=evil, changes=failed)
    page = Page(write_report(tmp_path / "<b>run").read_text(encoding="utf-8"))
    assert page.balanced
    assert not {"script", "b"} & {tag for tag, _ in page.tags}
    assert page.text.count(evil) >= 4  # arm, scheme, failed round, failure
    assert "<b>run, seed 7" in page.text


def test_the_table_gives_the_numbers_of_the_summary_an_arm_a_column(run):
    assert cells(run, "accuracy after adaptation") == ["66.0 % 64.0 to 68.0"] * 2
    assert cells(run, "… from untrained parameters") == ["60.0 % 55.0 to 65.0"] * 2
    assert cells(run, "air") == ["\u221230.0 dB"] * 2
    assert cells(run, "SNR") == ["–", "20.0 dB"]
    assert cells(run, "channel uses") == ["6 000"] * 2
    assert cells(run, "parameters") == ["12 345"] * 2
    assert cells(run, "wall time") == ["1 min 5 s"] * 2


def test_the_snr_is_the_one_that_resulted_where_the_manifest_knows_it(run):
    manifest = run / "phase" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"snr_db": 18.2}))
    assert cells(run, "SNR") == ["–", "18.2 dB"]


def test_settings_in_which_arms_differ_are_listed(run):
    config = run / "phase" / "config.toml"
    config.write_text(config.read_text().replace("ways = 5", "ways = 20"))
    assert cells(run, "task.ways") == ["5", "20"]
    assert "task.name" not in read_page(run).text


def test_an_unfinished_run_is_reported_as_far_as_it_went(tmp_path):
    write_arm(tmp_path / "run", rounds=5, finished=False)
    assert cells(tmp_path / "run", "rounds") == ["5 of 10 (unfinished)"]
    assert cells(tmp_path / "run", "accuracy after adaptation") == ["64.0 % 62.0 to 66.0"]  # of round 4
    assert cells(tmp_path / "run", "air") == ["\u221230.0 dB"]
    assert cells(tmp_path / "run", "channel uses") == ["5 000"]


def test_a_run_without_a_checkpoint_or_a_round_is_still_a_report(tmp_path):
    write_arm(tmp_path / "run", finished=False)
    for name in ("checkpoint/state.safetensors", "rounds.jsonl", "frame.npz", "manifest.json"):
        (tmp_path / "run" / name).unlink()
    page = Page(write_report(tmp_path / "run").read_text(encoding="utf-8"))
    assert page.balanced
    assert "no round is recorded yet" in page.text


def test_failed_rounds_are_listed_with_their_reasons(tmp_path):
    bad = {"failed": "no preamble found", "failures": ["device 2: deaf"]}
    write_arm(tmp_path / "run", changes={3: {"round": 3, **bad}, 5: {"round": 5, **bad}})
    source = compose("run", read_run(tmp_path / "run"), [])
    tables = re.findall(r"<h2>(Fail.*?)</h2>\s.*?<tbody>(.*?)</tbody>", source, re.DOTALL)
    rows = {head: re.findall(r"<td[^>]*>(.*?)</td>", body) for head, body in tables}
    assert rows == {
        "Failed rounds": ["4, 6", "no preamble found"],  # counted from 1, as in the figures
        "Failures of single devices": ["2", "device 2: deaf"],
    }


def test_a_run_that_went_well_lists_no_failures(run):
    assert "Fail" not in read_page(run).text.replace("failed rounds", "")


def test_the_folder_of_one_arm_is_reported_alone_under_its_name(run):
    (arm,) = read_run(run / "phase")
    assert (arm.name, read_run(run / "ideal")[0].name) == ("phase", "ideal")
    assert "1 arm" in read_page(run / "phase").text


def test_the_same_folder_gives_the_same_bytes(reported):
    first = (reported / "report.html").read_bytes()
    assert write_report(reported).read_bytes() == first


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no run.*give the run folder"):
        write_report(tmp_path)
    with pytest.raises(ValueError, match=r"is no folder.*give the run folder"):
        write_report(tmp_path / "absent")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [("summary.json", "is not JSON"), ("config.toml", "broken run"), ("frame.npz", "holds no frame")],
)
def test_a_broken_file_is_named(tmp_path, name, message):
    write_arm(tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(b"{ 1 2")
    with pytest.raises(ValueError, match=message) as caught:
        write_report(tmp_path / "run")
    assert str(tmp_path / "run") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_arm_that_was_left_behind_is_named(run):
    (run / "phase" / "config.toml").unlink()
    with pytest.raises(ValueError, match=r"phase has no config.toml, but manifest.json names it"):
        write_report(run)
