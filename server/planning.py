"""What the server decides before a round's payload: who takes part, at which rates, heard how well, how loud."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from devices import messages
from radio.decibel import from_db
from radio.power_control import best_aim
from radio.seeds import Use, stream
from radio.uplink import Sounding
from server.config import Experiment

PEAK_LIMIT = 0.99  # of full scale, for the payload; the rest is for rounding
SAMPLED_GAINS = 2048  # of a device, for an aim; a tenth of a percent from that of all


class RoundFailed(RuntimeError):
    """A round that changed nothing; the message says why."""


class NoQuorum(RoundFailed):
    """Too few devices came as far as this. missing: those of the round that did not."""

    def __init__(self, message: str, missing: tuple[int, ...]) -> None:
        super().__init__(message)
        self.missing = missing


def draw_active(experiment: Experiment, index: int) -> tuple[int, ...]:
    """The devices of a round, uniform without replacement, in rising order."""
    rng = stream(experiment.run.seed, Use.DEVICE_SELECTION, index)
    return tuple(sorted(rng.permutation(experiment.fleet.devices)[: experiment.num_active].tolist()))


def power_budgets(experiment: Experiment) -> dict[int, float]:
    """Mean power of a resource element that each device may use, from fleet.power_db."""
    fleet = experiment.fleet
    given = fleet.power_db if isinstance(fleet.power_db, tuple) else (fleet.power_db,) * fleet.devices
    return {device: from_db(power_db) for device, power_db in enumerate(given)}


def predistorted_needs(
    experiment: Experiment, needs: Mapping[int, messages.Prepared]
) -> dict[int, messages.Prepared]:
    """With the peaks that payloads have once a profile's corrections are applied to them."""
    applied = experiment.applied
    if applied is None:
        return dict(needs)
    grown = {device: need.peak * applied.devices[device].transmit.growth for device, need in needs.items()}
    return {device: replace(need, peak=grown[device]) for device, need in needs.items()}


def rms_update(trained: Mapping[int, messages.Trained], devices: Sequence[int], dimension: int) -> float:
    """Root mean square of an entry of what these devices have to send, memory and change together."""
    return math.sqrt(sum(trained[device].update_norm2 for device in devices) / (len(devices) * dimension))


def control_bits(num_devices: int, with_aim: bool, announced_bits: int) -> int:
    """What a round's payload needs over the control channel beside parameters and channels: each device's power, the
    scale, with an aim each device's energy and the aim, 32 bits each; and the support that the server announces."""
    return 32 * (num_devices + 1) * (2 if with_aim else 1) + announced_bits


def aim_of(
    sounding: Sounding,
    needs: Mapping[int, messages.Prepared],
    budgets: Mapping[int, float],
    num_elements: int,
) -> float:
    """The aim that `radio.power_control` finds best for what devices have to send, over the channels as sounded.

    Raises RoundFailed if nobody has anything to send.
    """
    gains = [sounding.channels[device].gains for device in needs]
    sampled = [each[:: math.ceil(len(each) / SAMPLED_GAINS)] for each in gains]
    value_powers = [need.sent_norm2 / num_elements for need in needs.values()]
    if not any(value_powers):
        raise RoundFailed("every update is zero; nothing to transmit")
    return best_aim(
        [each.real**2 + each.imag**2 for each in sampled],
        value_powers,
        [budgets[device] for device in needs],
        sounding.noise_variance,
    )


def learning_rates(experiment: Experiment, index: int) -> tuple[float, float]:
    """(alpha, eta) of a round: constant, or both divided by sqrt(t + 1)."""
    learning = experiment.learning
    decay = math.sqrt(index + 1.0) if learning.schedule == "adaptive" else 1.0
    return learning.inner_rate / decay, learning.outer_rate / decay


def phase_residuals(sounding: Sounding) -> dict[int, float]:
    """Phase error in rad, rms, that the noise of the sounding predicts for each device's compensation."""
    errors = sounding.error_variances
    powers = {device: sounded_power(sounding, device) for device in sounding.channels}
    return {d: math.sqrt(errors[d] / (2.0 * max(power, 1e-30))) for d, power in powers.items()}


def sounded_power(sounding: Sounding, device: int) -> float:
    """Mean of |h|^2 over subcarriers, without the noise that is in it, so that silence does not pass for a channel."""
    power = float(np.mean(np.abs(sounding.channels[device].gains) ** 2))
    return power - sounding.error_variances[device]


def measured_mean_gain(sounding: Sounding) -> float:
    """Mean of |h| over the devices and subcarriers of a round."""
    return float(np.mean([np.mean(np.abs(channel.gains)) for channel in sounding.channels.values()]))


def common_scale(
    needs: Sequence[messages.Prepared],
    mean_powers: Sequence[float] = (),
    threshold: float = 0.0,
    budgets: Sequence[float] = (),
) -> float:
    """The largest scale at which no device's mean power per resource element exceeds its budget, and no peak full
    scale.

    Step 5 of Air-meta-pFL, rho = eta^2 M min_i P_i / |u_i|^2, with a back-off agreed among all: turning everyone
    down alike keeps the sum undistorted, where clipping one would not. mean_powers: of which instead the largest is
    brought to the budget, where a rule counts with other powers than this round's. threshold: of the plan, for the
    message. budgets: powers that devices may use, 1 each unless given.
    Raises RoundFailed if all powers are 0.
    """
    powers = [need.power for need in needs]
    if not max(powers) > 0.0:
        unless = (
            f", or every channel's |h|^2 below {threshold:.3g}; lower link.threshold" if threshold else ""
        )
        raise RoundFailed(f"every update is zero{unless}; nothing to transmit")
    relative = zip(mean_powers or powers, budgets or [1.0] * len(powers), strict=True)
    strongest = max(power / budget for power, budget in relative)
    highest = max(need.peak for need in needs)
    by_power = 1.0 / math.sqrt(strongest)
    return min(by_power, PEAK_LIMIT / highest) if highest > 0.0 else by_power
