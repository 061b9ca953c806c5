"""What a profile is worth: the same rounds over radios with faults, without it and with what it can undo, part by part.

Eight devices of scheme `phase` over static, frequency-flat channels at 20 dB; powers 6 dB apart from the strongest to
the weakest; images and carrier leakage of -20 dB; amplifiers that saturate within the payload's peaks. Each air is
calibrated as `airmeta calibrate` does it, and every arm sounds for itself. Figures and numbers go to docs/figures.
"""

import argparse
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.proof_output import FIGURES, report_progress, save
from calibration.before_after import summary
from calibration.figure_style import COLOURS, new_figure, tidy
from calibration.procedure import Extent, calibrate
from calibration.profile import Profile, write_profile
from calibration.verification import Verification
from radio.decibel import to_db
from radio.measured_air import MeasuredAir, MeasuredDevice
from server.compose_bench import open_bench
from server.compose_measured import dump_measured_air, with_measured_air
from server.compose_trial import run_trial
from server.config import Experiment
from server.config_file import build
from server.error_budget import AIR

NUM_DEVICES, SNR_DB, SPREAD_DB = 8, 20.0, 6.0
FAULT_DB, SATURATION_DB, SMOOTHNESS = -20.0, -8.0, 3.0
DIMENSION = 2000
FIRST_SEED = 100
SPAN_S = 0.2  # of the soundings of a calibration: clocks are shared
MIXER, AMPLIFIER = ("image", "leakage"), ("saturation_db", "smoothness")
LEFT_OUT = {  # of a profile, by arm
    "without": (*MIXER, *AMPLIFIER, "gain_db"),
    "levels alone": (*MIXER, *AMPLIFIER),
    "amplifiers alone": (*MIXER, "gain_db"),
    "mixers alone": (*AMPLIFIER, "gain_db"),
    "profile": (),
}
CAUSES = {"noise": "noise", "synchronisation": "phase and timing", "hardware": "hardware"}
Record = dict[str, Any]


def air_of(seed: int) -> MeasuredAir:
    """Channels and faults of random phases; powers evenly spread over SPREAD_DB, their mean 1."""
    rng = np.random.default_rng(seed)
    gains_db = np.linspace(-SPREAD_DB / 2.0, SPREAD_DB / 2.0, NUM_DEVICES)
    gains_db -= 10.0 * math.log10(np.mean(10.0 ** (gains_db / 10.0)))
    fault = 10.0 ** (FAULT_DB / 20.0)

    def turn() -> complex:
        return complex(np.exp(2j * np.pi * rng.random()))

    return MeasuredAir(
        devices=tuple(
            MeasuredDevice(
                gain_db=float(gain_db),
                phase_rad=float(rng.uniform(-math.pi, math.pi)),
                image=fault * turn(),
                lo_leakage=fault * turn(),
                saturation_db=SATURATION_DB,
                rapp_smoothness=SMOOTHNESS,
            )
            for gain_db in rng.permutation(gains_db)
        )
    )


def experiment_on(folder: Path, seed: int) -> Experiment:
    """Its air is a file in the folder."""
    path = folder / "air.json"
    path.write_bytes(dump_measured_air(air_of(seed)))
    tables = {
        "run": {"seed": seed},
        "fleet": {"devices": NUM_DEVICES},
        "link": {"backend": "waveform", "scheme": "phase", "snr_db": SNR_DB},
        "air": {"profile": str(path)},
    }
    return with_measured_air(build(tables))


def profile_of(experiment: Experiment) -> Profile:
    """By measuring."""
    with open_bench(experiment) as bench:
        verification = Verification(bench)
        captures, missing = calibrate(bench, Extent(span_s=SPAN_S), lambda step: None, verification)
    if missing:
        raise SystemExit(f"not heard: {missing}")
    return verification.profile(captures)


def measure(experiment: Experiment, profile: Profile, arm: str, folder: Path, rounds: int) -> list[Record]:
    """Records of an arm's rounds."""
    if arm == "without":
        return run_trial(experiment, rounds, DIMENSION)
    path = folder / f"{arm}.json"
    devices = tuple(msgspec.structs.replace(each, **dict.fromkeys(LEFT_OUT[arm])) for each in profile.devices)
    write_profile(path, msgspec.structs.replace(profile, devices=devices))
    return run_trial(
        replace(experiment, radio=replace(experiment.radio, profile=str(path))), rounds, DIMENSION
    )


def summarised(records: Sequence[Record]) -> dict[str, float]:
    """Linear means: errors, and the air's error by cause."""
    done = [record for record in records if "failed" not in record]
    budgets = [record["error_budget"] for record in done]
    # What the air adds to the error may be less than nothing, round by round; its shares of that are not.
    totals = [math.fsum(budget[cause] for cause in AIR) for budget in budgets]
    causes = {
        cause: np.mean(
            [
                record["nmse_air"] * budget[cause] / total
                for record, budget, total in zip(done, budgets, totals, strict=True)
            ]
        )
        for cause in AIR
    }
    return {
        "nmse": float(np.mean([record["nmse"] for record in done])),
        "nmse_air": float(np.mean([record["nmse_air"] for record in done])),
        "failed": len(records) - len(done),
        **{f"air_{cause}": float(part) for cause, part in causes.items()},
        "fading": float(np.mean([budget["fading"] for budget in budgets])),
    }


def draw(arms: Mapping[str, Mapping[str, float]]) -> Figure:
    """The air's error of each arm by cause, and both errors in dB."""
    figure = new_figure(3.9)
    axes = figure.add_subplot()
    tidy(axes)
    places, ends = np.arange(len(arms)), np.zeros(len(arms))
    colours = dict(zip(CAUSES, COLOURS, strict=False))
    for cause in CAUSES:
        widths = 1e3 * np.array([max(arm[f"air_{cause}"], 0.0) for arm in arms.values()])
        axes.barh(places, widths, left=ends, height=0.62, color=colours[cause])
        ends += widths
    for place, end, arm in zip(places, ends, arms.values(), strict=True):
        said = f" {to_db(arm['nmse_air']):.1f} dB\n (of the mean {to_db(arm['nmse']):.1f})"
        axes.text(end, place, said, va="center", fontsize=9, linespacing=1.1)
    axes.set_yticks(places, list(arms))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0.0, 1.4 * ends.max())  # room for the words
    axes.set_xlabel("error that the air adds, in thousandths, by cause")
    handles = [Patch(color=colours[cause]) for cause in CAUSES]
    figure.legend(
        handles, list(CAUSES.values()), loc="outside upper left", ncols=3, frameon=False, fontsize=9
    )
    return figure


def main() -> None:
    """Every air; print what was gained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--airs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=8, help="of every arm on every air")
    parser.add_argument("--out", type=Path, default=FIGURES)
    chosen = parser.parse_args()
    by_air: list[dict[str, dict[str, float]]] = []
    verified = []
    for done in range(chosen.airs):
        report_progress("airs", done, chosen.airs)
        with tempfile.TemporaryDirectory() as folder:
            experiment = experiment_on(Path(folder), FIRST_SEED + done)
            profile = profile_of(experiment)
            verified.append(summary(profile))
            by_air.append(
                {
                    arm: summarised(measure(experiment, profile, arm, Path(folder), chosen.rounds))
                    for arm in LEFT_OUT
                }
            )
    report_progress("airs", chosen.airs, chosen.airs)
    arms = {
        arm: {key: float(np.mean([air[arm][key] for air in by_air])) for key in by_air[0][arm]}
        for arm in LEFT_OUT
    }
    gains = {
        f"{key}_gain_db": [to_db(air["without"][key] / air["profile"][key]) for air in by_air]
        for key in ("nmse", "nmse_air")
    }
    in_db = {
        arm: {f"{key}_db": to_db(value) for key, value in values.items() if value > 0.0 and key != "failed"}
        for arm, values in arms.items()
    }
    results = {
        "airs": chosen.airs,
        "rounds": chosen.rounds,
        "arms": in_db,
        "failed_rounds": {arm: values["failed"] * chosen.airs for arm, values in arms.items()},
        **gains,
        "verified": verified,
    }
    save("profile_pays", results, draw(arms), chosen.out)
    for arm, values in in_db.items():
        print(f"{arm:17} nmse {values['nmse_db']:6.1f} dB  nmse_air {values['nmse_air_db']:6.1f} dB")
    for name, each in gains.items():
        print(f"{name}: {np.mean(each):.1f}, least {min(each):.1f}")


if __name__ == "__main__":
    main()
