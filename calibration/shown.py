"""A figure with its words."""

from typing import NamedTuple

from matplotlib.figure import Figure


class Shown(NamedTuple):
    """A figure, its name as a file, its heading, and what to look for in it."""

    name: str
    heading: str
    caption: str
    figure: Figure


def label_of(device: int) -> str:
    """In legends."""
    return f"device {device}"
