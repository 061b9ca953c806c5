"""What the proof scripts share: progress on stderr, exact binomial bounds, results as JSON beside the figure."""

import json
import sys
import time
from pathlib import Path

from matplotlib.figure import Figure
from scipy.stats import binomtest

FIGURES = Path(__file__).resolve().parent.parent / "docs" / "figures"
CONFIDENCE = 0.95
START = time.monotonic()


def report_progress(what: str, done: int, total: int) -> None:
    """One line, rewritten in place."""
    end = "\n" if done >= total else "\r"
    elapsed = time.monotonic() - START
    print(f"{what}: {done:,} of {total:,} ({elapsed:.0f} s)   ", end=end, file=sys.stderr, flush=True)


def clopper_pearson(successes: int, trials: int) -> tuple[float, float]:
    """Two-sided 95 % bounds of a probability. Clopper and Pearson, Biometrika 26(4), 1934."""
    interval = binomtest(successes, trials).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def save(name: str, results: dict, figure: Figure, folder: Path) -> None:
    """NAME.json and NAME.png in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    figure.savefig(folder / f"{name}.png", dpi=144)
    print(f"wrote {folder / name}.json and .png", file=sys.stderr)
