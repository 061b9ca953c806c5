"""What the server decides before a round's payload: who takes part, at which rates, heard how well, how loud."""

import math
from collections.abc import Sequence

import numpy as np

from devices import messages
from radio.seeds import Use, stream
from radio.uplink import Sounding
from server.config import Experiment

PEAK_LIMIT = 0.99  # of full scale, for the payload; the rest is for rounding


class RoundFailed(RuntimeError):
    """A round that changed nothing; the message says why."""


def draw_active(experiment: Experiment, index: int) -> tuple[int, ...]:
    """The devices of a round, uniform without replacement, in rising order."""
    rng = stream(experiment.run.seed, Use.DEVICE_SELECTION, index)
    return tuple(sorted(rng.permutation(experiment.fleet.devices)[: experiment.num_active].tolist()))


def learning_rates(experiment: Experiment, index: int) -> tuple[float, float]:
    """(alpha, eta) of a round: constant, or both divided by sqrt(t + 1)."""
    learning = experiment.learning
    decay = math.sqrt(index + 1.0) if learning.schedule == "adaptive" else 1.0
    return learning.inner_rate / decay, learning.outer_rate / decay


def phase_residuals(sounding: Sounding) -> dict[int, float]:
    """Phase error in rad, rms, that the noise of the sounding predicts for each device's compensation."""
    errors = sounding.error_variances
    gains = {  # without the noise that is in them, so that silence does not pass for a channel
        d: float(np.mean(np.abs(channel.gains) ** 2)) - errors[d] for d, channel in sounding.channels.items()
    }
    return {d: math.sqrt(errors[d] / (2.0 * max(gain, 1e-30))) for d, gain in gains.items()}


def measured_mean_gain(sounding: Sounding) -> float:
    """Mean of |h| over the devices and subcarriers of a round."""
    return float(np.mean([np.mean(np.abs(channel.gains)) for channel in sounding.channels.values()]))


def common_scale(
    needs: Sequence[messages.Prepared], mean_powers: Sequence[float] = (), threshold: float = 0.0
) -> float:
    """The largest scale at which no device's mean power per resource element exceeds 1, and no peak full scale.

    Step 5 of Air-meta-pFL, rho = eta^2 M min_i P_i / |u_i|^2, with a back-off agreed among all: turning everyone
    down alike keeps the sum undistorted, where clipping one would not. mean_powers: of which instead the largest is
    brought to 1, where a rule counts with other powers than this round's. threshold: of the plan, for the message.
    Raises RoundFailed if all powers are 0.
    """
    powers = [need.power for need in needs]
    if not max(powers) > 0.0:
        unless = (
            f", or every channel's |h|^2 below {threshold:.3g}; lower link.threshold" if threshold else ""
        )
        raise RoundFailed(f"every update is zero{unless}; nothing to transmit")
    strongest = max(mean_powers or powers)
    highest = max(need.peak for need in needs)
    by_power = 1.0 / math.sqrt(strongest)
    return min(by_power, PEAK_LIMIT / highest) if highest > 0.0 else by_power
