"""Composition root of a trial: rounds over radios and scheme of a configuration that carry vectors known to all."""

from dataclasses import replace
from typing import Any

import numpy as np

from devices.known_vector import KnownVector
from devices.sender import Sender
from radio.schemes.registry import load_scheme
from server.arm_parts import Parts
from server.compose_measured import with_measured_air
from server.composition import open_bench, schedule_of, settings_of
from server.config import Arm, Experiment
from server.profile_use import with_profile

Record = dict[str, Any]


def run_trial(experiment: Experiment, num_rounds: int, dimension: int) -> list[Record]:
    """The records of some rounds from a fresh start; failed ones have `failed`. Raises what radios raise."""
    has_air = experiment.is_simulated and experiment.measured is None
    known = with_profile(with_measured_air(experiment) if has_air else experiment)
    settings, scheme = settings_of(known), load_scheme(known.link.scheme, known.scheme_options())
    handlers = {
        device: KnownVector(Sender(device, scheme, settings.waveform), known.run.seed, dimension).handle
        for device in range(known.fleet.devices)
    }
    parts = Parts(Arm("", known), settings, handlers, scheme, schedule_of(known), dimension)
    parts.num_elements(dimension)
    still = np.zeros(dimension, dtype=np.float32)
    with open_bench(parts) as bench:
        return [bench.rounds.run(index, still).record for index in range(num_rounds)]


def with_scheme(experiment: Experiment, scheme: str, **update: Any) -> Experiment:
    """The same radios with another scheme, and other keys of the `update` table."""
    link = replace(experiment.link, scheme=scheme)
    return replace(experiment, link=link, update=replace(experiment.update, **update))
