"""What the server decides for schemes that invert channels: the threshold of a round, and the power to count with."""

from collections.abc import Mapping, Sequence

from devices.messages import Trained
from radio.schemes import inversion
from radio.truncation import optimal_threshold
from radio.uplink import Plan, Sounding
from server.config import LinkSettings
from server.planning import sounded_power


def round_threshold(
    link: LinkSettings, sounding: Sounding, devices: Sequence[int], mean_power: float | None
) -> float:
    """|h|^2 below which an element stays empty: link.threshold times the mean power of the channels.

    mean_power: E|h|^2 of the channel's model, None where the mean over what was measured serves.
    "optimal": that of `radio.truncation` for s devices whose changes are independent of each other: in the mean
    over devices, memories then have 1/s of a device's energy, a; noise at unit power has sigma^2 / s^2, b. These
    weights are our reading. The law is Rayleigh's, whatever the channels are.
    """
    power = measured_mean_power(sounding, devices) if mean_power is None else mean_power
    if link.threshold != "optimal":
        return link.threshold * power
    count = len(devices)
    return power * optimal_threshold(1.0 / count, sounding.noise_variance / (power * count**2))


def measured_mean_power(sounding: Sounding, devices: Sequence[int]) -> float:
    """Mean of |h|^2 over devices and subcarriers of a round, without the noise that is in it."""
    powers = [sounded_power(sounding, device) for device in devices]
    return max(sum(powers) / len(powers), 1e-30)


def fading_mean_powers(trained: Mapping[int, Trained], plan: Plan) -> list[float]:
    """Of each of plan.devices, the power of an element at scale 1 in the mean over fading: the `average` rule's."""
    return [inversion.mean_power(trained[device].update_norm2, plan) for device in plan.devices]
