"""What `airmeta air` serves: how many virtual radios, of which kind, on which air, until when."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from radio.air_config import AirConfig
from radio.impairments import Impairments
from radio.measured_air import AirLaw
from server.config import ConfigError, Experiment
from server.config_file import load_arms

NUM_RADIOS = 2  # without a configuration
CHIPS = (("ad9363a", 325e6, 3.8e9), ("ad9364", 70e6, 6e9))  # the least that reaches a carrier
RATES_HZ = (25e6 / 48, 61.44e6)  # with the decimating filter, and at all
LOOK_S = 0.2  # between looks at signals


@dataclass(frozen=True, kw_only=True)
class AirPlan:
    """impairments: or a measured air. noise_figure_db: None is that of the radios' chip. origin: which air it is, in
    words."""

    num_radios: int = NUM_RADIOS
    chip: str = CHIPS[0][0]
    seed: int = 0
    impairments: AirLaw = field(default_factory=Impairments)
    noise_figure_db: float | None = None
    origin: str = "identity: one path of gain 1 between any two"


def load_plan(
    path: Path,
    overrides: Sequence[str],
    arm: str | None,
    full_scale_dbm: float,
    with_air: Callable[[Experiment], Experiment] = lambda experiment: experiment,
) -> AirPlan:
    """The plan of a configuration file. full_scale_dbm: what the virtual radios radiate. with_air: reads the file of a
    measured air. ConfigError."""
    arms = load_arms(path, overrides)
    if arm is not None:
        arms = [candidate for candidate in arms if candidate.name == arm]
        if not arms:
            raise ConfigError(f"--arm {arm}: {path} has no such arm; known: {_names(path, overrides)}")
    plans = {
        candidate.name: plan_of(with_air(candidate.experiment), full_scale_dbm)
        for candidate in arms
        if candidate.experiment.link.backend != "ideal" or len(arms) == 1
    }
    if len({repr(plan) for plan in plans.values()}) > 1:
        raise ConfigError(
            f"the arms of {path} have airs of their own: {', '.join(plans)}; name one with --arm"
        )
    return next(iter(plans.values()))


def plan_of(experiment: Experiment, full_scale_dbm: float) -> AirPlan:
    """One radio a device and one that receives, on the air of the `air` table. ConfigError for what no stream can be.

    `air.start_offset_samples` needs nothing: streams begin when a client opens them.
    """
    air, link, radio = experiment.air, experiment.link, experiment.radio
    if link.fading != "none":
        raise ConfigError(
            f'link.fading = "{link.fading}" draws a gain a round, and virtual radios know of no rounds; '
            f"use --set link.fading=none --set air.fading={link.fading}"
        )
    if air.tap_delays_samples != (0,):
        raise ConfigError(
            f"air.tap_delays_samples = {list(air.tap_delays_samples)} counts samples, and each virtual radio has a "
            "rate of its own; state the paths in seconds as air.tap_delays_s"
        )
    if link.noise == "figure" and air.full_scale_dbm not in (0.0, full_scale_dbm):
        raise ConfigError(
            f"air.full_scale_dbm = {air.full_scale_dbm:g}, but virtual radios radiate {full_scale_dbm:g} dBm at full "
            f"scale; set air.full_scale_dbm = {full_scale_dbm:g}, and their attenuation for less"
        )
    lowest, highest = RATES_HZ
    if not lowest <= radio.sample_rate_hz <= highest:
        raise ConfigError(
            f"radio.sample_rate_hz = {radio.sample_rate_hz:g}, a Pluto has {lowest:.0f} to {highest:.0f}; change it"
        )
    chip = next((name for name, low, high in CHIPS if low <= radio.center_hz <= high), None)
    if chip is None:
        raise ConfigError(
            f"radio.center_hz = {radio.center_hz:g}, a Pluto's widest range is {CHIPS[-1][1]:.0f} to "
            f"{CHIPS[-1][2]:.0f}; change it"
        )
    return AirPlan(
        num_radios=experiment.fleet.devices + 1,
        chip=chip,
        seed=experiment.run.seed,
        impairments=experiment.law(),
        noise_figure_db=air.impairments().noise_figure_db if "noise_figure_db" in air.parts else None,
        origin=_describe(air),
    )


@contextmanager
def told_to_end() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM, which interrupt nothing meanwhile."""
    told: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: told.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait_until(told: list[int], look: Callable[[], object]) -> None:
    """Blocks until there is a signal. look: raises if there is nothing left to serve."""
    while not told:
        look()
        time.sleep(LOOK_S)


def _describe(air: AirConfig) -> str:
    if not air.has_paths:
        return AirPlan.origin
    if air.measured is not None:
        return f"measured, {air.measured}"
    changed = ", ".join(f"{name} = {value}" for name, value in air.parts.items())
    profile = f" with profile {air.profile}" if air.profile else ""
    return f"{air.scenario}{profile}" + (f" and {changed}" if changed else "")


def _names(path: Path, overrides: Sequence[str]) -> str:
    return ", ".join(arm.name for arm in load_arms(path, overrides)) or "none"
