"""What a round was worth: errors of the estimate, power, and the statistics of evaluations."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.messages import Scores
from radio.channel_state import ChannelState
from radio.uplink import Plan, Truth


def relative_error(estimate: NDArray[Any], reference: NDArray[Any]) -> float | None:
    """|a - b|^2 / |b|^2, linear; None where b is zero. Real or complex, equal shapes."""
    energy = float(np.linalg.norm(reference)) ** 2
    return float(np.linalg.norm(estimate - reference)) ** 2 / energy if energy > 0.0 else None


def mean_db(ratios: Sequence[float | None]) -> float | None:
    """10 log10 of the linear mean of those that exist; None if none does or the mean is 0."""
    known = [ratio for ratio in ratios if ratio is not None]
    mean = math.fsum(known) / len(known) if known else 0.0
    return 10.0 * math.log10(mean) if mean > 0.0 else None


def mean_vector(vectors: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """Mean in the order given, in float64."""
    total = np.zeros(len(vectors[0]))
    for vector in vectors:
        total += vector
    return total / len(vectors)


def unturn(
    plan: Plan, amplitudes: Mapping[int, NDArray[np.complexfloating]], told: Mapping[int, ChannelState]
) -> dict[int, NDArray[np.complex128]]:
    """What each device transmitted, turned back by the phases it was told; (num_elements,) each.

    A coherent scheme's payload can then be summed as if its compensation had been perfect.
    """
    return {
        device: told[device].compensation(plan.num_elements).conj() * amplitudes[device]
        for device in plan.devices
    }


def perfect_superposition(
    plan: Plan, unturned: Mapping[int, NDArray[np.complexfloating]], truth: Truth
) -> NDArray[np.complex128]:
    """y0 = sum_i |h_ij| x_ij: true gains at payload time, perfect phase, no noise; (num_elements,)."""
    total = np.zeros(plan.num_elements, dtype=np.complex128)
    for device in plan.devices:
        total += np.abs(truth.gains(plan, device)) * unturned[device]
    return total


def even_superposition(
    plan: Plan,
    unturned: Mapping[int, NDArray[np.complexfloating]],
    told: Mapping[int, ChannelState] | None = None,
) -> NDArray[np.complex128]:
    """The perfect superposition if every gain were what the scheme counts with; (num_elements,).

    That is the mean one, or, where a scheme undoes magnitudes, what each device was told.
    """
    total = np.zeros(plan.num_elements, dtype=np.complex128)
    for device in plan.devices:
        gains = plan.mean_gain if told is None else np.abs(told[device].over(plan.num_elements))
        total += gains * unturned[device]
    return total


def noiseless_energies(
    plan: Plan, amplitudes: Mapping[int, NDArray[np.complexfloating]], truth: Truth
) -> NDArray[np.float64]:
    """sum_i |h_ij x_ij|^2, the mean over phases of what arrives, without noise; (num_elements,)."""
    total = np.zeros(plan.num_elements)
    for device in plan.devices:
        total += np.abs(truth.gains(plan, device) * amplitudes[device]) ** 2
    return total


def mean_and_interval(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Mean over tasks and its 95 % interval, normal approximation."""
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    half_width = 1.96 * math.sqrt(variance / len(values))
    return mean, (mean - half_width, mean + half_width)


def summarise_scores(scores: Scores) -> dict[str, object]:
    """Means of losses and accuracies over test tasks, each with its interval."""
    summary: dict[str, object] = {"test_tasks": len(scores.loss_after)}
    for name in ("loss_before", "loss_after", "accuracy_before", "accuracy_after"):
        mean, interval = mean_and_interval(getattr(scores, name))
        summary[name] = mean
        summary[f"{name}_ci95"] = list(interval)
    return summary
