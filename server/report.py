"""report.html and figures/ of a run folder, made of nothing but what the folder holds."""

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from calibration.page import Html, details, element, figure, page, row, table
from server.checkpoint import write_whole
from server.families import leading
from server.figure_list import PLOTS
from server.recorder import Record
from server.results import results_table, sentence, swatch
from server.run_reader import ArmRun, read_run
from server.scheme_guide import scheme_guide

DOTS_PER_INCH = 200
MAX_LISTED = 50
LEAD = (
    "Accuracies are those of devices that took no part in training, on new tasks and after adaptation; "
    "in brackets the 95 % interval over test tasks."
)

GLOSSARY = (
    ("Adaptation", "A few gradient steps from the shared parameters on a new task's support examples. Accuracy and "
     "loss are then measured on its query examples, on devices that took no part in training."),
    ("NMSE", "Error energy relative to the energy of the reference, |a − b|² / |b|²; the table gives 10 log10 of the "
     "mean of the linear values over rounds."),
    ("NMSE decoded", "The decoded estimate against the plain mean of what the transmitting devices sent."),
    ("NMSE whole update", "The decoded estimate against the mean of the whole updates of all active devices."),
    ("NMSE air", "The decoded payload against what the same plan decodes to with the true gains, perfect phase and no "
     "noise: what the air, the hardware and the synchronisation did."),
    ("NMSE amplitude", "The same comparison of the received amplitudes, before decoding."),
    ("SNR", "Mean received payload power over noise power per resource element, averaged over devices."),
    ("Channel uses, overhead uses", "Resource elements of payloads; those of preambles, pilots and sounding. Airtime "
     "counts both. Transmit energy is the sum of |amplitude|², where 1 is the power limit of an element."),
    ("Values", "Entries of the update that a round's aggregate holds, other than 0; each counts once, however many "
     "devices sent it."),
    ("Control bits", "What a payload needs over the control channel beside parameters and channels: powers, the common "
     "scale, the support where the server announces one."),
)  # fmt: skip


def write_report(folder: Path) -> Path:
    """Draw the figures of a run, or of one of its arms, and write the page around them; returns the page's path.

    Works on an unfinished run, too. Raises ValueError if the folder holds no run.
    """
    arms = read_run(folder)
    drawn: list[Html] = []
    for plot in PLOTS:
        shown = arms if plot.all_arms else leading(arms)
        sheet = plot.make(shown)
        if sheet is not None:
            png = to_png(sheet)
            write_whole(folder / "figures" / f"{plot.name}.png", png)
            drawn.append(figure(plot.heading, plot.caption(shown), png))
    path = folder / "report.html"
    write_whole(path, compose(folder.resolve().name, arms, drawn).encode())
    return path


def to_png(sheet: Figure) -> bytes:
    """The sheet as a PNG file that does not tell when or by what version it was made."""
    content = io.BytesIO()
    sheet.savefig(content, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return content.getvalue()


def compose(name: str, arms: Sequence[ArmRun], drawn: Sequence[Html]) -> str:
    """The page of a run. drawn: its figures."""
    seeds = ", ".join(dict.fromkeys(str(arm.setting("run", "seed") or 0) for arm in arms))
    task = ", ".join(dict.fromkeys(str(arm.setting("task", "name") or "") for arm in arms))
    title = f"{name}, seed {seeds}"
    leads = leading(arms)
    return page(
        title,
        element("h1", title),
        element(
            "p",
            f"airmeta run on task {task}, {len(arms)} {'arms' if len(arms) > 1 else 'arm'}. {LEAD}",
            class_="faint",
        ),
        *(
            element("p", swatch(index), element("strong", arm.name), Html("&ensp;"), sentence(arm))
            for index, arm in enumerate(leads)
        ),
        element("h2", "Results"),
        element("div", results_table(leads), element("div", *drawn[:2], class_="side"), class_="lead"),
        element("div", *drawn[2:], class_="figures"),
        *scheme_guide(arms),
        *_failures(arms),
        element("h2", "What the words mean"),
        element(
            "dl", *(part for term, words in GLOSSARY for part in (element("dt", term), element("dd", words)))
        ),
        element("h2", "How this was made"),
        *(_provenance(arm) for arm in arms),
    )


def _failures(arms: Sequence[ArmRun]) -> list[Html]:
    """Rounds that changed nothing, and what single devices could not do; nothing where all went well."""
    failed: dict[tuple[str, str], list[int]] = {}
    reasons: Counter[tuple[str, str]] = Counter()
    for arm in arms:
        for record in arm.rounds:
            reasons.update((arm.name, str(reason)) for reason in record.get("failures", []))
            if "failed" in record:
                failed.setdefault((arm.name, str(record["failed"])), []).append(record["round"] + 1)
    sections: list[Html] = []
    if failed:
        rows = [row(name, [_listed(rounds), why], "text") for (name, why), rounds in failed.items()][
            :MAX_LISTED
        ]
        sections += [element("h2", "Failed rounds"), table(["arm", "rounds", "reason"], rows)]
        sections += _and_more(len(failed))
    if reasons:
        rows = [
            row(name, [str(count), why], "text") for (name, why), count in reasons.most_common(MAX_LISTED)
        ]
        sections += [element("h2", "Failures of single devices"), table(["arm", "times", "what"], rows)]
        sections += _and_more(len(reasons))
    return sections


def _listed(rounds: Sequence[int]) -> str:
    """Numbers of rounds, counted from 1 as in the figures."""
    shown = ", ".join(map(str, rounds[:MAX_LISTED]))
    return shown if len(rounds) <= MAX_LISTED else f"{shown}, … ({len(rounds)} in all)"


def _and_more(count: int) -> list[Html]:
    rest = count - MAX_LISTED
    return [element("p", f"… and {rest} more; see rounds.jsonl.", class_="faint")] if rest > 0 else []


def _provenance(arm: ArmRun) -> Html:
    """Manifest and resolved configuration, folded away."""
    manifest = arm.manifest
    versions = manifest.get("versions", {})
    facts = {
        "commit": manifest.get("commit") or "unknown",
        "python": manifest.get("python", "unknown"),
        "machine": manifest.get("machine", "unknown"),
        "worker threads": manifest.get("threads", "unknown"),
        "radios": _radios(manifest.get("radios", [])),
        **{name: version or "not installed" for name, version in versions.items()},
    }
    rows = [row(name, [str(value)], "text") for name, value in facts.items()]
    return element(
        "div",
        details(f"{arm.name}: software and hardware", table(["", ""], rows)),
        details(f"{arm.name}: resolved configuration", element("pre", arm.config_toml)),
    )


def _radios(radios: Sequence[Record]) -> str:
    """Kinds and counts, and whether samples were lost."""
    if not radios:
        return "none, no waveform"
    kinds = Counter(str(radio.get("firmware", "unknown firmware")) for radio in radios)
    lost = sum(radio.get("underflows", 0) + radio.get("overflows", 0) for radio in radios)
    return ", ".join(f"{count} × {kind}" for kind, count in kinds.items()) + f"; {lost} under- and overflows"
