"""What memory is worth to truncated channel inversion: a convex problem with a known optimum, over Rayleigh fading.

Each device pulls towards a target of its own: F_i(theta) = sum_j c_ij (theta_j - a_ij)^2 / 2. The mean of all is least
at theta_j = sum_i c_ij a_ij / sum_i c_ij. In round t a device changes theta by eta_0 / sqrt(t + 1) times its gradient;
what the scheme's own functions make of that goes over independent fades of every element, with noise.

Without memory a device counts by how often it is heard. Where some have weaker channels, descent settles where
sum_i w_i grad F_i = 0 instead of sum_i grad F_i = 0: w_i = lambda_i, the share of elements that device i uses, or
lambda_i (2 - lambda_i) where what one round withheld has a second chance. That floor no step size removes.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.proof_output import FIGURES, report_progress, save
from calibration.figure_style import add_legend, new_figure, style, tidy
from devices.memory import combine, remember
from devices.messages import MemoryKind, Prepared
from radio.channel_state import ChannelState
from radio.schemes import inversion
from radio.uplink import Normalise, Plan, Reception
from server.planning import common_scale

FIRST_STEP = 0.5
THRESHOLD = 0.5
SPREAD_DB = 10.0  # from the weakest device's mean power to the strongest's
LAST = 0.05  # share of the rounds that a floor is the mean over


class Problem(NamedTuple):
    """curvatures, targets: (num_devices, dimension). mean_powers: (num_devices,) E|h|^2, 1 in their mean."""

    curvatures: NDArray[np.float64]
    targets: NDArray[np.float64]
    mean_powers: NDArray[np.float64]

    def optimum(self, weights: NDArray[np.float64] | float = 1.0) -> NDArray[np.float64]:
        """Where the sum of gradients vanishes, a device's times its weight (num_devices,)."""
        pull = self.curvatures * np.broadcast_to(weights, len(self.targets))[:, None]
        return np.asarray((pull * self.targets).sum(axis=0) / pull.sum(axis=0))

    def distance(self, theta: NDArray[np.floating]) -> float:
        """|theta - optimum|^2 / |optimum|^2."""
        best = self.optimum()
        return float(np.sum((theta - best) ** 2) / np.sum(best**2))

    def floor(self, memory: MemoryKind) -> float:
        """The distance at which descent settles with ever smaller steps."""
        shares = np.exp(-THRESHOLD / self.mean_powers)
        weights = {"none": shares, "short": shares * (2.0 - shares), "long": np.ones_like(shares)}
        return self.distance(self.optimum(weights[memory]))


class Variant(NamedTuple):
    """What a device remembers, and what the server divides by."""

    memory: MemoryKind
    normalise: Normalise = "devices"


VARIANTS = {
    "long memory": Variant("long"),
    "long, by transmitters": Variant("long", "transmitters"),
    "short memory": Variant("short"),
    "no memory": Variant("none"),
}


def draw_problem(num_devices: int, dimension: int, spread_db: float, seed: int) -> Problem:
    """Targets that differ as much as they agree; mean powers evenly spaced in decibels."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    powers = 10.0 ** (np.linspace(-0.5, 0.5, num_devices) * spread_db / 10.0)
    shape = num_devices, dimension
    return Problem(rng.uniform(0.5, 1.5, shape), 1.0 + rng.normal(size=shape), powers / powers.mean())


def descend(
    problem: Problem, variant: Variant, num_rounds: int, noise_variance: float, seed: int
) -> NDArray[np.float64]:
    """(num_rounds,) distance after each round; all variants of a seed meet the same fades."""
    num_devices, dimension = problem.targets.shape
    draft = Plan(
        round=0,
        seed=seed,
        devices=tuple(range(num_devices)),
        dimension=dimension,
        num_elements=inversion.num_elements(dimension, 0.4),
        num_kept=dimension,
        threshold=THRESHOLD,
        normalise=variant.normalise,
    )
    amplitude = np.sqrt(problem.mean_powers / 2.0)[:, None]
    theta, memories = np.zeros(dimension), [np.zeros(dimension, np.float32)] * num_devices
    distances = np.empty(num_rounds)
    for index in range(num_rounds):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, index)))
        gains = amplitude * rng.normal(size=(num_devices, 2 * draft.num_elements))
        noise = math.sqrt(noise_variance / 2.0) * rng.normal(size=2 * draft.num_elements).view(complex)
        channels = {device: ChannelState(row) for device, row in enumerate(gains.view(complex))}
        step = FIRST_STEP / math.sqrt(index + 1.0)
        deltas = (step * problem.curvatures * (theta - problem.targets)).astype(np.float32)
        updates = [combine(*pair) for pair in zip(memories, deltas, strict=True)]
        plan = replace(draft, round=index)
        encoded = [inversion.encode(update, channels[d], plan) for d, update in enumerate(updates)]
        # amplitudes are proportional to the scale, which is known only now
        scale = common_scale([Prepared(float(np.mean(np.abs(x) ** 2))) for x, _ in encoded])
        total = noise + scale * sum(channels[d].gains * x for d, (x, _) in enumerate(encoded))
        received = Reception(total, noise_variance, channels=channels)
        theta = theta - inversion.decode(received, replace(plan, scale=scale))
        memories = [
            remember(variant.memory, update, delta, sent)
            for update, delta, (_, sent) in zip(updates, deltas, encoded, strict=True)
        ]
        distances[index] = problem.distance(theta)
    return distances


def floor_of(distances: NDArray[np.float64]) -> float:
    """Mean distance over the last rounds."""
    return float(np.mean(distances[-max(1, round(LAST * len(distances))) :]))


def prove(num_rounds: int, num_seeds: int, snr_db: float) -> list[dict]:
    """One record a spread and variant: the mean distance over seeds at some 60 rounds, the last, and the prediction."""
    shown = np.unique(np.geomspace(1, num_rounds, 60).astype(int)) - 1
    records: list[dict] = []
    total = 2 * len(VARIANTS) * num_seeds
    for spread_db in (0.0, SPREAD_DB):
        problems = [draw_problem(10, 200, spread_db, seed) for seed in range(num_seeds)]
        for name, variant in VARIANTS.items():
            runs = []
            for seed, problem in enumerate(problems):
                runs.append(descend(problem, variant, num_rounds, 10.0 ** (-snr_db / 10.0), seed))
                report_progress("descents", len(records) * num_seeds + len(runs), total)
            predicted = float(np.mean([problem.floor(variant.memory) for problem in problems]))
            records.append(
                {
                    "spread_db": spread_db,
                    "variant": name,
                    "rounds": (shown + 1).tolist(),
                    "distance": [float(f"{value:.4g}") for value in np.mean(runs, axis=0)[shown]],
                    "last_db": [round(10.0 * math.log10(floor_of(run)), 2) for run in runs],
                    "predicted_floor_db": round(10.0 * math.log10(predicted), 2)
                    if predicted > 1e-20
                    else None,
                }
            )
    return records


def draw(records: list[dict]) -> Figure:
    """Distance against round, a panel a spread; predicted floors as thin lines."""
    figure = new_figure(6.0)
    panels = figure.subplots(2, 1, sharex=True)
    titles = {0.0: "equal mean channels", SPREAD_DB: f"mean channels over {SPREAD_DB:g} dB"}
    for axes, (spread_db, title) in zip(panels, titles.items(), strict=True):
        for index, name in enumerate(VARIANTS):
            record = next(r for r in records if (r["spread_db"], r["variant"]) == (spread_db, name))
            look = style(index)
            axes.loglog(record["rounds"], record["distance"], look.line, color=look.colour, label=name)
            if record["predicted_floor_db"] is not None:
                axes.axhline(10.0 ** (record["predicted_floor_db"] / 10.0), color=look.colour, linewidth=0.7)
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_ylabel("squared distance\nfrom the optimum", fontsize=9)
        tidy(axes)
    panels[-1].set_xlabel("round")
    add_legend(figure, panels[0])
    return figure


def main() -> None:
    """Descend with every variant; print and draw where each ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10_000, help="of a descent")
    parser.add_argument("--seeds", type=int, default=3, help="descents of each variant")
    parser.add_argument("--snr-db", type=float, default=20.0, help="per element")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for JSON and PNG")
    arguments = parser.parse_args()
    records = prove(arguments.rounds, arguments.seeds, arguments.snr_db)
    results = {"snr_db": arguments.snr_db, "threshold": THRESHOLD, "records": records}
    save("memory", results, draw(records), arguments.out)
    for record in records:
        found = ", ".join(f"{value:.1f}" for value in record["last_db"])
        floor = record["predicted_floor_db"]
        prediction = "" if floor is None else f"; predicted floor {floor} dB"
        print(f"{record['spread_db']:>4} dB, {record['variant']:<22} {found} dB{prediction}")


if __name__ == "__main__":
    main()
