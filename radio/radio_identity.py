"""Whether a radio is the one that a correction was made for."""

from collections.abc import Mapping

RECEIVER = "receiver"


def place_of(device: int) -> str:
    """What a device's radio is called."""
    return f"device {device}"


def wrong_radio(place: str, serial: str, known: Mapping[str, str], source: str) -> str:
    """Why the radio of that serial number, opened for a place, is not the one that a file knows there; empty if it is.

    known: serial numbers by place, as the file `source` has them.
    """
    if serial == known[place]:
        return ""
    other = next((name for name, held in known.items() if held == serial), None)
    if other is not None:
        return (
            f"{place} has radio {serial}, which {source} knows as {other}, and {known[place]} as {place}: they are "
            "swapped; exchange them, in radio.uris or at --radio, or calibrate again as they are"
        )
    return (
        f"{place} has radio {serial}, {source} was made with {known[place]} there; bring that one back, or calibrate "
        "again"
    )
