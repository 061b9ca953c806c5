"""How alike another profile the present one is, in words: a section of the report, a line for the terminal."""

from calibration.page import Html, element, row, table
from calibration.similarity import Score, Similarity
from calibration.words import ROWS

LEAD = (
    "1 is the same, 0 has nothing in common; in brackets what the uncertainty of both leaves open. A quantity's score "
    "is the mean over the devices, the overall one the mean over the quantities."
)


def likeness_section(similarity: Similarity, other: str) -> tuple[Html, ...]:
    """Overall, by quantity, and by name what differs. other: what was compared with."""
    rows = [row(_heading(name), [_shown(score)]) for name, score in similarity.scores.items()]
    differing = ", ".join(similarity.differing)
    return (
        element("h2", "Likeness"),
        element("p", f"{_sentence(similarity, other)} {LEAD}"),
        *([element("p", f"These differ: {differing}.")] if differing else []),
        table(("quantity", "likeness"), rows),
    )


def likeness_line(similarity: Similarity, other: str) -> str:
    """One line."""
    return f"l{_sentence(similarity, other)[1:].rstrip('.')}"


def _sentence(similarity: Similarity, other: str) -> str:
    agreeing = similarity.num_entries - len(similarity.differing)
    return (
        f"Likeness to {other}: {_shown(similarity.overall)}; {agreeing} of {similarity.num_entries} entries differ by "
        "less than both are uncertain."
    )


def _heading(name: str) -> str:
    return ROWS[name][0].rpartition(" (")[0] or ROWS[name][0] if name in ROWS else name.replace("_", " ")


def _shown(score: Score) -> str:
    return f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})"
