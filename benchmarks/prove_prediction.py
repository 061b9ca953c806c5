"""What a calibration predicts of aggregation in the air, against what comes of it: random airs between bench and harsh.

Each air is calibrated, and what is found is made an air again, on which rounds of known vectors are held: their error
is the prediction. Then the same rounds are held on the air itself: rounds of other seeds, so that nothing but the
profile links the two. Linear means over rounds; schemes as a verdict recommends them.
"""

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.proof_output import FIGURES, report_progress, save
from calibration.figure_style import new_figure, style, tidy
from calibration.findings import find_out
from calibration.procedure import Extent, calibrate
from calibration.profile import FILE_NAME, write_profile
from radio.decibel import to_db
from radio.seeds import stream
from server.compose_bench import open_bench
from server.compose_trial import run_trial, with_scheme
from server.compose_verdict import DIMENSION, SHARE, gap_of, on_remade_air
from server.config import ConfigError, Experiment
from server.config_file import build

CLOSE_DB, WANTED_SHARE = 1.5, 0.9
NUM_ROUNDS = 24
ROUND_S = 1.0  # each round with fades of its own
FIRST_SEED = 40_000  # a block of its own
SCHEMES = ("mmse", "inversion")
NUM_DEVICES = 4


def random_air(seed: int) -> Experiment:
    """Every parameter somewhere between its value in `bench` and that in `harsh`."""
    rng = stream(FIRST_SEED, seed)
    share = float(rng.random())  # of the way to harsh

    def between(mild: float, rough: float) -> float:
        return float(mild + share * rng.uniform(0.5, 1.0) * (rough - mild))

    free = bool(rng.random() < share)
    clock = (
        {"clock": "free", "max_clock_offset_ppm": 10.0, "drift_hz_per_root_s": between(0.0, 1.0)}
        if free
        else {}
    )
    fades = bool(rng.random() < share)
    paths = (
        {"fading": "rayleigh", "doppler_hz": between(5.0, 5.0), "profile": "eva"}
        if fades
        else {"fading": "rician", "doppler_hz": 0.0}
    )
    noisy = {"interferer_db": -10.0} if rng.random() < share / 2.0 else {}
    return build(
        {
            "run": {"seed": FIRST_SEED + seed},
            "fleet": {"devices": NUM_DEVICES},
            "link": {
                "backend": "waveform",
                "snr_db": float(rng.uniform(10.0, 25.0)),
                "gap_s": 5e-3,
                "round_s": ROUND_S,
            },
            "radio": {"reference": "free" if free else "shared"},
            "air": {
                "scenario": "bench",
                "image_db": between(-40.0, -25.0),
                "rx_image_db": between(-40.0, -25.0),
                "phase_noise_deg": between(0.5, 1.0),
                "near_far_db": between(0.0, 6.0),
                **clock,
                **paths,
                **noisy,
            },
        }
    )


def compare(seed: int) -> dict[str, Any]:
    """Predicted and measured error of each scheme, in dB."""
    experiment = random_air(seed)
    with open_bench(experiment) as bench:
        captures, missing = calibrate(
            bench, Extent(span_s=2.0, ignore_busy=True, amplifiers=False, levels=False), lambda step: None
        )
    if missing:
        return {"seed": seed, "missing": missing}
    found: dict[str, Any] = {"seed": seed, "air": str(experiment.air.parts), "snr_db": experiment.link.snr_db}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE_NAME
        write_profile(path, find_out(captures))
        try:
            remade = on_remade_air(experiment, path, gap_of(experiment))
        except ConfigError as error:
            return found | {"refused": str(error)}
        others = replace(remade, run=replace(remade.run, seed=2 * FIRST_SEED + seed))
        for scheme in SCHEMES:
            errors = [
                _error_db(with_scheme(each, scheme, support="shared-random", keep=SHARE))
                for each in (others, experiment)
            ]
            found[scheme] = {"predicted_db": errors[0], "measured_db": errors[1]}
    return found


def _error_db(experiment: Experiment) -> float | None:
    records = run_trial(experiment, NUM_ROUNDS, DIMENSION)
    errors = [record["nmse"] for record in records if record.get("nmse") is not None]
    return round(to_db(float(np.mean(errors))), 3) if errors else None


def draw(found: list[dict[str, Any]]) -> Figure:
    """Measured over predicted, and how close is close."""
    figure = new_figure(4.2)
    axes = figure.add_subplot()
    for index, scheme in enumerate(SCHEMES):
        pairs = np.array([(each[scheme]["predicted_db"], each[scheme]["measured_db"]) for each in found])
        look = style(index)
        axes.plot(
            pairs[:, 0], pairs[:, 1], look.marker, color=look.colour, markersize=4.5, alpha=0.8, label=scheme
        )
    ends = np.array(axes.get_xlim())
    axes.plot(ends, ends, color="#444444", linewidth=1.0)
    axes.fill_between(ends, ends - CLOSE_DB, ends + CLOSE_DB, color="#444444", alpha=0.12, linewidth=0)
    axes.set_xlim(*ends)
    axes.set_xlabel("predicted error (dB)")
    axes.set_ylabel("measured error (dB)")
    axes.legend(frameon=False, fontsize=9)
    tidy(axes)
    return figure


def main() -> None:
    """Measure, print, write figure and numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--airs", type=int, default=30)
    parser.add_argument("--first", type=int, default=0, help="number of the first air")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    found = []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        numbers = range(arguments.first, arguments.first + arguments.airs)
        for done, each in enumerate(pool.map(compare, numbers), start=1):
            found.append(each)
            print(each, flush=True)
            report_progress("airs", done, arguments.airs)
    rated = [
        each for each in found if all((each.get(s) or {}).get("predicted_db") is not None for s in SCHEMES)
    ]
    close = {}
    for scheme in SCHEMES:
        apart = [each[scheme]["measured_db"] - each[scheme]["predicted_db"] for each in rated]
        close[scheme] = sum(abs(value) <= CLOSE_DB for value in apart)
        print(f"{scheme}: {close[scheme]} of {len(found)} within {CLOSE_DB} dB, bias {np.mean(apart):.2f} dB")
    save("prediction", {"close_db": CLOSE_DB, "close": close, "airs": found}, draw(rated), arguments.out)


if __name__ == "__main__":
    main()
