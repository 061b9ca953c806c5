"""`report.html` of a calibration: a plain verdict for each device first, then figures, then every number."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from calibration.page import Html, details, element, figure, page, row, table
from calibration.profile import ComplexEntry, DeviceProfile, Entry, Profile, ReceiverProfile
from calibration.shown import Shown
from calibration.words import RECEIVER_ROWS, ROWS, judge, shown
from radio.capture import Capture

REPORT, FIGURES = "report.html", "figures"
DOTS_PER_INCH = 130


def write_report(
    folder: Path,
    profile: Profile,
    figures: Iterable[Shown],
    missing: Mapping[int, str],
    extra: Sequence[Html] = (),
) -> Path:
    """The page, self-contained, and its figures as files beside it. extra: sections after the verdicts."""
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    images = []
    for each in figures:
        png = _png(each)
        (folder / FIGURES / f"{each.name}.png").write_bytes(png)
        images.append(figure(each.heading, each.caption, png))
    numerology, receiver = profile.numerology, profile.receiver
    lead = (
        f"{len(profile.devices)} transmitters and a receiver at {numerology.center_hz / 1e6:g} MHz, "
        f"{numerology.sample_rate_hz / 1e6:g} Msamples/s, "
        f"{'on one reference' if profile.shared_clock else 'on clocks of their own'}. "
        f"Receiver {receiver.serial}{f' at {receiver.uri}' if receiver.uri else ''}, gain {receiver.rx_gain_db:g} dB."
    )
    content = page(
        "Calibration",
        element("h1", "Calibration"),
        element("p", lead, class_="faint"),
        element("h2", "Verdict"),
        table(
            ("device", "verdict", "what to do"),
            [_verdict(each, profile.shared_clock, missing.get(each.device, "")) for each in profile.devices],
        ),
        *extra,
        element("h2", "Figures"),
        element("div", *images, class_="figures"),
        element("h2", "Every number"),
        element("p", "With 95 % intervals. What is missing was not measured.", class_="faint"),
        _numbers(profile),
        element("p", "Of the receiver:", class_="faint"),
        _numbers_of_receiver(profile.receiver),
        details("What these mean", element("dl", *_meanings())),
    )
    path = folder / REPORT
    path.write_text(content, encoding="utf-8")
    return path


def _verdict(device: DeviceProfile, shared_clock: bool, missing: str) -> Html:
    faults = judge(device, shared_clock, missing)
    cells = [
        "; ".join(what for what, _ in faults) or "good",
        "; ".join(remedy for _, remedy in faults) or "nothing",
    ]
    return row(f"{device.device}  {device.uri or device.serial}", cells, "text")


def _numbers(profile: Profile) -> Html:
    rows = []
    for name, (heading, _) in ROWS.items():
        cells = [_cell(each, name) for each in profile.devices]
        if any(cells):
            rows.append(row(heading, cells))
    return table(("", *(f"device {each.device}" for each in profile.devices)), rows)


def _numbers_of_receiver(receiver: ReceiverProfile) -> Html:
    cells = {heading: _cell(receiver, name) for name, (heading, _) in RECEIVER_ROWS.items()}
    return table(("", "receiver"), [row(heading, [cell]) for heading, cell in cells.items() if cell])


def _cell(part: DeviceProfile | ReceiverProfile, name: str) -> str:
    entry = getattr(part, name)
    return shown(name, entry) if isinstance(entry, Entry | ComplexEntry) else ""


def _meanings() -> list[Html]:
    return [
        part
        for heading, meaning in (*ROWS.values(), *RECEIVER_ROWS.values())
        for part in (element("dt", heading), element("dd", meaning))
    ]


def _png(each: Shown) -> bytes:
    content = io.BytesIO()
    each.figure.savefig(content, format="png", dpi=DOTS_PER_INCH)
    return content.getvalue()


def captured_s(captures: Mapping[str, Capture]) -> float:
    """Seconds of air that were recorded."""
    return sum(len(each.samples) / each.config.sample_rate_hz for each in captures.values())
