"""What it costs that ten devices are processes of their own: the same rounds in processes and in one, by turns.

A real round: 5-way 8-shot, conv4, over `symbol`; Omniglot where AIRMETA_DATA says where it lies, else glyphs. Round by
round one goes first and then the other, with the same parameters before and after, to the bit. Three measures:

    idle: share of a round in which the server waits for devices and none of them computes. Messages are being packed,
        carried, unpacked and judged, or processes are being woken: what is spent because there are messages, and all
        that remains of it where every device has a host of its own;
    processor: share of the CPU time of all processes, in rounds, that is neither a device's computation nor the round
        code's. On one host this competes with the computation; much of it is carried while devices compute;
    wall: how much longer a round is than in one process with as many workers as there are cores. That has another
        scheduler in it, more caches that are cold, and no interpreter that threads have to share.
"""

import argparse
import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import binom

from benchmarks.fleet_run import WARM_UP, Rig, Timed, open_rig
from benchmarks.proof_output import CONFIDENCE, FIGURES, report_progress, save
from calibration.figure_style import add_legend, new_figure, style, tidy
from server.config import Experiment
from server.config_file import build

NUM_DEVICES = 10
PATIENCE = {"return_s": 600.0, "reply_s": 600.0, "lost_s": 60.0}
TARGET = 0.05


def experiment_of(data: Path | None) -> Experiment:
    """data: folder that holds Omniglot's small sets."""
    task: dict[str, Any] = {"name": "glyphs", "ways": 5, "shots": 8, "queries": 8}
    fleet: dict[str, Any] = {"devices": NUM_DEVICES, **PATIENCE}
    if data is not None:
        small = [str(data / "omniglot" / f"images_background_small{number}.zip") for number in (1, 2)]
        task |= {"name": "omniglot", "path": small[:1], "test_path": small[1:]}
        fleet["classes_per_device"] = 136
    link = {"backend": "symbol", "scheme": "phase", "fading": "rayleigh", "snr_db": 20.0}
    return build({"task": task, "fleet": fleet, "link": link})


def by_turns(rigs: dict[str, Rig], num_rounds: int) -> dict[str, list[Timed]]:
    """Rounds of each, after WARM_UP that do not count. RuntimeError if their parameters differ by a bit."""
    timed: dict[str, list[Timed]] = {name: [] for name in rigs}
    theta = next(iter(rigs.values())).initial_parameters()
    for index in range(WARM_UP + num_rounds):
        order = list(rigs) if index % 2 else list(reversed(rigs))
        found = {}
        for name in order:
            found[name], one = rigs[name].run(index, theta)
            timed[name].append(one)
        theta, *others = found.values()
        if any(other.tobytes() != theta.tobytes() for other in others):
            raise RuntimeError(f"round {index}: parameters differ")
        report_progress("rounds", index + 1, WARM_UP + num_rounds)
    return {name: several[WARM_UP:] for name, several in timed.items()}


def median_with_bounds(values: list[float]) -> dict[str, float]:
    """Median, and order statistics that hold it with 95 % confidence, whatever the distribution."""
    ordered = sorted(values)
    rank = int(binom.ppf((1.0 - CONFIDENCE) / 2.0, len(ordered), 0.5))
    low, high = ordered[max(rank - 1, 0)], ordered[min(len(ordered) - rank, len(ordered) - 1)]
    return {"median": round(statistics.median(ordered), 4), "low": round(low, 4), "high": round(high, 4)}


def judge(rig: Rig, timed: list[Timed]) -> dict[str, Any]:
    """Of one way to have devices: where a round's time goes, in medians of seconds, and shares."""
    efforts = {name: effort for name, effort in rig.efforts.items() if name != "held-out"}
    work = [each for effort in efforts.values() for each in effort.work]
    idle_s = [one.idle_s(work) for one in timed]
    return {
        "round_s": statistics.median(one.wall_s for one in timed),
        "server_s": statistics.median(one.own_s for one in timed),
        "idle_s": statistics.median(idle_s),
        "idle_share": median_with_bounds(
            [idle / one.wall_s for idle, one in zip(idle_s, timed, strict=True)]
        ),
    }


def processor(rig: Rig, timed: list[Timed], since_s: float) -> dict[str, float]:
    """CPU seconds a round where devices are processes: devices' own, the round code's, and all the rest."""
    spent = [effort.cpu_s(since_s) for name, effort in rig.efforts.items() if name != "held-out"]
    devices_s, beside_s = (sum(column) / len(timed) for column in zip(*spent, strict=True))
    asks_s = statistics.fmean(one.asks_cpu_s for one in timed)
    server_s = statistics.fmean(one.cpu_s for one in timed) - asks_s
    total_s = devices_s + beside_s + server_s + asks_s
    found = {
        "devices_s": devices_s,
        "round_code_s": server_s,
        "control_s": beside_s + asks_s,
        "of_it_server_s": asks_s,
    }
    return {name: round(value, 4) for name, value in found.items()} | {
        "control_share": round((beside_s + asks_s) / total_s, 4)
    }


def measure(experiment: Experiment, num_processes: int, num_rounds: int) -> dict[str, Any]:
    """Everything."""
    with open_rig(experiment, 0) as here, open_rig(experiment, num_processes) as there:
        rigs = {"one process": here, f"{num_processes} processes": there}
        timed = by_turns(rigs, num_rounds)
    first, second = timed.values()
    since_s = min(first[0].span[0], second[0].span[0])
    ratios = [mine.wall_s / theirs.wall_s - 1.0 for theirs, mine in zip(first, second, strict=True)]
    return {
        "task": experiment.task.name,
        "devices": NUM_DEVICES,
        "rounds": num_rounds,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[1], 1),
        "ways": {name: judge(rigs[name], timed[name]) for name in rigs},
        "processor": processor(there, second, since_s),
        "longer_by": median_with_bounds(ratios),
    }


def draw(found: dict[str, Any]) -> Figure:
    """Where a round goes, a bar for each way."""
    figure = new_figure(2.6)
    axes = figure.subplots()
    left = np.zeros(len(found["ways"]))
    parts = {
        "devices compute": [
            1e3 * (way["round_s"] - way["server_s"] - way["idle_s"]) for way in found["ways"].values()
        ],
        "the server does": [1e3 * way["server_s"] for way in found["ways"].values()],
        "neither": [1e3 * way["idle_s"] for way in found["ways"].values()],
    }
    for index, (label, lengths) in enumerate(parts.items()):
        axes.barh(list(found["ways"]), lengths, left=left, color=style(index).colour, label=label)
        left += lengths
    axes.set_xlabel("time of a round (ms)")
    tidy(axes)
    add_legend(figure, axes)
    return figure


def main() -> None:
    """Measure, print, write figure and numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40, help="of each way, after two that do not count")
    parser.add_argument("--processes", type=int, default=NUM_DEVICES, help="that the devices are spread over")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    data = os.environ.get("AIRMETA_DATA")
    found = measure(experiment_of(Path(data) if data else None), arguments.processes, arguments.rounds)
    save("control_plane", found, draw(found), arguments.out)
    for name, way in found["ways"].items():
        idle = way["idle_share"]
        print(f"{name}: {1e3 * way['round_s']:.0f} ms a round, idle {100 * idle['median']:.2f} % of it "
              f"({100 * idle['low']:.2f} to {100 * idle['high']:.2f})")  # fmt: skip
    print(f"processor: {found['processor']}")
    longer = found["longer_by"]
    print(f"longer by {100 * longer['median']:.1f} % ({100 * longer['low']:.1f} to {100 * longer['high']:.1f}), "
          f"target at most {100 * TARGET:.0f} %")  # fmt: skip


if __name__ == "__main__":
    main()
