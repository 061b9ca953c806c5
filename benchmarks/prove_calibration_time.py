"""Where the time of a calibration goes: five virtual Plutos, experiments/calibrate.toml, step by step.

Wall time of each step, whether radios are at work in it or only the processor, and the air that was kept of it. With
virtual radios, air costs the processor too: it makes every sample that leaves or arrives.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.proof_output import FIGURES, save
from calibration.figure_style import add_legend, new_figure, style, tidy
from radio.recording import read_recording
from server.calibrate_command import experiment_to_calibrate, extent_of
from server.compose_calibration import RECORDING, calibrate_into

CONFIG = Path(__file__).resolve().parent.parent / "experiments" / "calibrate.toml"
LIMIT_S = 120.0
PHASES = {
    "listening": "listen",
    "meeting": "meet",
    "meeting the receiver": "both ways",
    "each device alone": "each alone",
    "all devices together": "all together",
    "amplifiers": "amplifiers",
    "steps": "gain steps",
    "again and again": "jitter, crosstalk",
    "each device alone, the receiver tuned aside": "tuned aside",
    "working": "work it out",
    "predicting": "predict",
    "what stands": "error budget",
    "trying": "trial",
}  # the longest beginning counts
STEPS = {
    "silence": "listen",
    "alone": "each alone",
    "together": "all together",
    "gain": "gain steps",
    "receive": "gain steps",
    "again": "jitter, crosstalk",
    "only": "jitter, crosstalk",
    "aside": "tuned aside",
    "ramp": "amplifiers",
    "back": "both ways",
}
COMPUTING = {"start", "work it out", "predict", "error budget"}  # no radio is waited for


def stopwatch(spent: dict[str, float]) -> tuple[Callable[[str], None], Callable[[], None]]:
    """What is told of steps, and what ends the last."""
    now = ["start", time.monotonic()]

    def tell(step: str) -> None:
        begun: Any = now[1]
        spent[str(now[0])] = spent.get(str(now[0]), 0.0) + time.monotonic() - begun
        beginning = max((each for each in PHASES if step.startswith(each)), key=len, default=step)
        now[:] = [PHASES.get(beginning, step), time.monotonic()]

    return tell, lambda: tell("end")


def measure(seed: int) -> dict[str, Any]:
    """Seconds of wall time and of air, by step."""
    spent: dict[str, float] = {}
    tell, end = stopwatch(spent)
    experiment = experiment_to_calibrate(CONFIG, [f"run.seed={seed}"])
    with tempfile.TemporaryDirectory() as folder:
        calibrate_into(Path(folder), experiment, extent_of(long=False, busy=False, both_ways=False), tell)
        end()
        captures = read_recording(Path(folder) / RECORDING).captures
        air: dict[str, float] = {}
        for capture in captures:
            step = STEPS[capture.step.split(" ")[0]]
            air[step] = air.get(step, 0.0) + len(capture.samples) / capture.config.sample_rate_hz
    return {
        "wall_s": {name: round(seconds, 3) for name, seconds in spent.items()},
        "air_s": {name: round(seconds, 3) for name, seconds in air.items()},
        "total_s": round(sum(spent.values()), 2),
        "on_radios_s": round(sum(spent[name] for name in spent if name not in COMPUTING), 2),
        "load_average": round(os.getloadavg()[0], 1),
    }


def draw(found: dict[str, Any]) -> Figure:
    """A bar a step."""
    names = list(found["wall_s"])[::-1]
    figure = new_figure(0.32 * len(names) + 1.2)
    axes = figure.add_subplot()
    wall_s = found["wall_s"]
    bars = (
        ("radios at work", style(0).colour, 0.62, {name: wall_s[name] for name in wall_s.keys() - COMPUTING}),
        ("computing", "#9a9a9a", 0.62, {name: wall_s[name] for name in wall_s.keys() & COMPUTING}),
        ("air that was kept", style(1).colour, 0.28, found["air_s"]),
    )
    for label, colour, height, seconds in bars:
        axes.barh(names, [seconds.get(name, 0.0) for name in names], color=colour, height=height, label=label)
    axes.set_xlabel("seconds")
    tidy(axes)
    add_legend(figure, axes)
    return figure


def main() -> None:
    """Measure, print, write figure and numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    found = measure(arguments.seed)
    save("calibration_time", found, draw(found), arguments.out)
    for name, seconds in found["wall_s"].items():
        print(f"{name:14} {seconds:6.2f} s, of it {found['air_s'].get(name, 0.0):.3f} s of air")
    print(
        f"in all {found['total_s']:.1f} s, {found['on_radios_s']:.1f} s of it with radios, limit {LIMIT_S:g} s; load "
        f"{found['load_average']}"
    )


if __name__ == "__main__":
    main()
