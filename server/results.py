"""The arms in numbers: a sentence each, and a table with an arm a column."""

from collections.abc import Callable, Sequence
from functools import partial

from calibration.figure_style import style
from calibration.page import Html, element, row, table
from server.recorder import Record
from server.run_reader import ArmRun, differing_settings

NONE = "–"
THIN_SPACE, MINUS = "\u202f", "\u2212"
Cell = Callable[[ArmRun], str]


def sentence(arm: ArmRun) -> str:
    """What came out of an arm, in plain words."""
    numbers, snr = arm.numbers(), _snr(arm)
    link = f"scheme {arm.setting('link', 'scheme')}, backend {arm.setting('link', 'backend')}"
    link += "" if snr == NONE else f", SNR {snr}"
    if not arm.rounds:
        return f"({link}): no round is recorded yet."
    if "accuracy_after" not in numbers:
        return f"({link}): no evaluation after {_rounds(arm)} rounds."
    text = f"({link}): accuracy {_with_interval(numbers, 'accuracy_after')} after {_rounds(arm)} rounds"
    if "accuracy_untrained" in numbers:
        text += f", {_with_interval(numbers, 'accuracy_untrained')} untrained"
    if numbers.get("nmse_air_db") is not None and not arm.is_exact("nmse_air"):
        text += f"; error caused by the air {_decibel(numbers['nmse_air_db'])}"
    if numbers.get("failed_rounds"):
        text += f"; {numbers['failed_rounds']} rounds failed"
    return f"{text}."


def results_table(arms: Sequence[ArmRun]) -> Html:
    """Settings that matter or differ, then results, errors and costs."""
    head = ["", *(element("span", swatch(index), arm.name) for index, arm in enumerate(arms))]
    rows: list[Html] = []

    def add(label: str, cell: Cell) -> None:
        rows.append(row(label, [cell(arm) for arm in arms]))

    def group(label: str) -> None:
        rows.append(element("tr", element("th", label, colspan=str(len(arms) + 1)), class_="group"))

    group("Settings")
    add("backend", lambda arm: str(arm.setting("link", "backend") or NONE))
    add("scheme", lambda arm: str(arm.setting("link", "scheme") or NONE))
    add("SNR", _snr)
    for place in differing_settings(arms):
        if place not in (("link", "backend"), ("link", "scheme"), ("link", "snr_db")):
            add(".".join(place), partial(_setting, *place))
    add("parameters", lambda arm: _count(arm.numbers().get("parameters")))
    group("Learning")
    add("rounds", lambda arm: _rounds(arm) + ("" if arm.summary else " (unfinished)"))
    add("failed rounds", lambda arm: _count(arm.numbers().get("failed_rounds")))
    for label, key in (
        ("accuracy after adaptation", "accuracy_after"),
        ("… from untrained parameters", "accuracy_untrained"),
        ("accuracy before adaptation", "accuracy_before"),
        ("loss after adaptation", "loss_after"),
    ):
        add(label, partial(_estimate, key))
    group("Error of the estimate (NMSE)")
    for label, key in (
        ("decoded", "nmse"),
        ("whole update", "nmse_full"),
        ("air", "nmse_air"),
        ("amplitude", "nmse_amplitude"),
    ):
        add(label, partial(_error, key))
    group("Cost")
    add("channel uses", lambda arm: _count(arm.numbers().get("channel_uses")))
    add("… accounted, not transmitted", lambda arm: "yes" if arm.numbers().get("accounted") else "no")
    add("overhead uses", lambda arm: _count(arm.numbers().get("overhead_uses")))
    add("airtime", lambda arm: _quantity(arm.numbers().get("airtime_s"), "s"))
    add("sounding to payload", lambda arm: _quantity(arm.numbers().get("gap_s"), "s"))
    add("transmit energy", lambda arm: _count(arm.numbers().get("transmit_energy")))
    add("control bits", lambda arm: _count(arm.numbers().get("control_bits")))
    add("values", lambda arm: _count(arm.numbers().get("values")))
    add("… a second of air", partial(_rate, "airtime_s"))
    add("… a second of wall time", partial(_rate, "wall_s"))
    add("wall time", lambda arm: _duration(arm.numbers().get("wall_s")))
    return table(head, rows)


def swatch(arm_index: int) -> Html:
    """The colour that an arm has in every figure."""
    return element("span", class_="swatch", style=f"background:{style(arm_index).colour}")


def _rounds(arm: ArmRun) -> str:
    done, planned = len(arm.rounds), arm.setting("run", "rounds")
    return str(done) if arm.summary is not None else f"{done} of {planned}"


def _snr(arm: ArmRun) -> str:
    snr_db = arm.manifest.get("snr_db", arm.setting("link", "snr_db"))  # from a noise figure it is no setting
    noiseless = arm.setting("link", "backend") == "ideal" or snr_db is None
    return NONE if noiseless else _decibel(snr_db)


def _setting(table_name: str, key: str, arm: ArmRun) -> str:
    value = arm.setting(table_name, key)
    return NONE if value is None else str(value)


def _estimate(key: str, arm: ArmRun) -> str:
    """A mean over test tasks, and below it its 95 % interval."""
    numbers = arm.numbers()
    if numbers.get(key) is None:
        return NONE
    scale, digits, unit = (100.0, 1, f"{THIN_SPACE}%") if key.startswith("accuracy") else (1.0, 3, "")
    value = f"{numbers[key] * scale:.{digits}f}{unit}"
    if f"{key}_ci95" not in numbers:
        return value
    low, high = numbers[f"{key}_ci95"]
    return Html(
        f"{value} <small>{low * scale:.{digits}f} to {high * scale:.{digits}f}</small>".replace(
            " -", f" {MINUS}"
        ).replace(">-", f">{MINUS}")
    )


def _with_interval(numbers: Record, key: str) -> str:
    low, high = numbers[f"{key}_ci95"]
    return f"{100 * numbers[key]:.1f}{THIN_SPACE}% ({100 * low:.1f} to {100 * high:.1f})"


def _error(key: str, arm: ArmRun) -> str:
    error_db = arm.numbers().get(f"{key}_db")
    if arm.is_exact(key):
        return "only rounding"
    return NONE if error_db is None else _decibel(error_db)


def _rate(key: str, arm: ArmRun) -> str:
    """Values aggregated per second of a kind."""
    numbers = arm.numbers()
    return _count(numbers["values"] / numbers[key]) if numbers.get("values") and numbers.get(key) else NONE


def _decibel(level_db: float) -> str:
    return f"{level_db:.1f}{THIN_SPACE}dB".replace("-", MINUS)


def _count(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}".replace(",", THIN_SPACE)


def _quantity(value: float | None, unit: str) -> str:
    return NONE if value is None else f"{value:.3g}{THIN_SPACE}{unit}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}{THIN_SPACE}min {rest}{THIN_SPACE}s" if minutes else f"{seconds:.1f}{THIN_SPACE}s"
