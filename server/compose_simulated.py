"""Composition root of uplinks over an air in this process."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from radio.air_config import AirConfig, Fading
from radio.decibel import from_db
from radio.frame import element_level
from radio.impairments import Impairments
from radio.interface import RadioConfig
from radio.measured_air import AirLaw
from radio.schedule import Schedule
from radio.seeds import Use, stream
from radio.tee_radio import TeeRadio
from server.arm_parts import Link
from server.compose_corrected import corrected
from server.config import Experiment
from server.link_noise import element_noise_variance, mean_power_db
from server.receiver import RadioUplink

if TYPE_CHECKING:
    from sim_backend.air import Air
    from sim_backend.radio import SimRadio


RECEIVER_PORT = -1


def open_simulated(experiment: Experiment, schedule: Schedule, num_elements: int) -> Link:
    """The uplink of an experiment over the air in this process."""
    from sim_backend.air import Air
    from sim_backend.channel import BlockChannel
    from sim_backend.dissection import AirTruth
    from sim_backend.elements import (
        BlockElements,
        ElementChannel,
        ElementTruth,
        LevelledElements,
        PathElements,
    )
    from sim_backend.medium import BlockMedium, Medium, PathMedium
    from sim_backend.symbol import SymbolUplink

    link, radio, ofdm, seed = experiment.link, experiment.radio, schedule.ofdm, experiment.run.seed
    mean_gain: float | None = None
    elements: ElementChannel
    medium: Medium
    law: AirLaw
    if link.backend == "ideal":
        air, law, fading = AirConfig(), Impairments(), Fading()
    else:
        air, law = experiment.air, experiment.law()
        fading = Fading(law=link.fading, rician_k_db=link.rician_k_db)
    if not air.has_paths:
        channel = BlockChannel(fading, air, seed, schedule.round_len)
        mean_gain = fading.mean_gain() * channel.mean_shape(range(experiment.fleet.devices), ofdm)
        elements, medium = BlockElements(channel, ofdm), BlockMedium(channel)
    else:
        medium = PathMedium(law, seed)
        elements = PathElements(medium, ofdm, radio.center_hz)
    noise_variance = element_noise_variance(experiment)
    if link.backend != "waveform":
        uplink = SymbolUplink(elements, schedule, num_elements, noise_variance, seed)
        return Link(uplink, ElementTruth(elements), mean_gain, [], {})
    shared_air = Air(medium, memory_s=1.0)
    receiver, transmitters = simulated_radios(experiment, shared_air)
    level = element_level(link.backoff_db, ofdm)
    radios = [dataclasses.asdict(radio.status()) for radio in (receiver, *transmitters.values())]
    heard_by, sent_by = corrected(experiment, receiver, transmitters)
    if experiment.applied is not None:
        elements, mean_gain = LevelledElements(elements, experiment.applied.levels), None
    tee = TeeRadio(heard_by) if experiment.run.record != "none" else None
    uplink_over_radios = RadioUplink(
        tee or heard_by, sent_by, schedule, link.backoff_db, radio.center_hz, shared_air.rewind
    )
    return Link(uplink_over_radios, AirTruth(elements, receiver, level, ofdm), mean_gain, radios, {}, tee)


def simulated_radios(
    experiment: Experiment,
    shared_air: "Air",
    receiver_port: int = RECEIVER_PORT,
    ports: Mapping[int, int] | None = None,
) -> tuple["SimRadio", dict[int, "SimRadio"]]:
    """The receiver, and the transmitters by device, on one air. ports: of those by device, each its own by default."""
    from sim_backend.front_end import FrontEnd, draw_front_end
    from sim_backend.radio import SimRadio

    link, ofdm, seed = experiment.link, experiment.ofdm(), experiment.run.seed
    level = element_level(link.backoff_db, ofdm)
    config = RadioConfig(sample_rate_hz=ofdm.sample_rate_hz, center_hz=experiment.radio.center_hz)
    most = experiment.air.start_offset_samples  # by which the clocks differ; nobody is told by how much
    device_power = from_db(-link.backoff_db + mean_power_db(experiment))  # of what arrives of a device
    noise_variance = element_noise_variance(experiment) * level**2
    front_end = draw_front_end(
        experiment.law(), seed, receiver_port, ofdm.sample_rate_hz, noise_variance, device_power
    )
    identity = 0 if experiment.measured is not None else seed  # hardware that was measured is not drawn
    clock_offset = int(stream(seed, Use.CLOCK).integers(-most, most + 1))
    receiver = SimRadio(shared_air, receiver_port, config, front_end, clock_offset, seed=identity)
    if ports is None:
        ports = {device: device for device in range(experiment.fleet.devices)}
    transmitters = {
        device: SimRadio(shared_air, port, config, FrontEnd(seed, port), seed=identity)
        for device, port in ports.items()
    }
    return receiver, transmitters
