"""Composition root of Plutos, real ones or virtual ones on an air of this process."""

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from devices.wire.envelope import RadioSetup
from radio.decibel import from_db
from radio.frame import element_level
from radio.interface import Radio, RadioConfig, RadioError
from radio.pluto_timeline import StreamShape
from radio.rebased import RebasedRadio
from radio.receiving_side import ReceivingSide
from radio.safety import preflight
from radio.schedule import Schedule
from radio.tee_radio import TeeRadio
from radio.uplink import Truth, Uplink
from server.air_command import AirPlan, plan_of
from server.arm_parts import Link
from server.compose_corrected import corrected
from server.config import ConfigError, Experiment
from server.config_checks import wrong_number_of_uris
from server.launch import Remote
from server.link_noise import element_noise_variance
from server.live import LiveSchedule, LiveUplink
from server.triggered import EdgeSchedule, TriggeredUplink

if TYPE_CHECKING:
    from radio.pluto import PlutoRadio
    from sim_backend.virtual_bench import VirtualBench

log = logging.getLogger(__name__)

MIN_GAIN_DB = -89.75  # of a Pluto's transmitter
IDLE_PACE = 0.02
PATIENCE_S = 30.0
"""Virtual time waits that long for a stream of a run's own radios: nothing there is slow because a lab would be."""


def open_plutos(
    experiment: Experiment,
    schedule: Schedule,
    opened: ExitStack,
    uris: Sequence[str],
    bench: "VirtualBench | None",
) -> Link:
    """uris: the receiver's, then those of devices in this process; bench: whose radios they are, if virtual."""
    receiver, transmitters = open_radios(
        experiment, opened, uris[0], dict(enumerate(uris[1:])), bench is not None
    )
    heard_by, sent_by = corrected(experiment, receiver, transmitters)
    tee = TeeRadio(heard_by) if experiment.run.record != "none" else None
    uplink = _uplink_over(experiment, schedule, tee or heard_by, bench)
    statuses = [
        {"uri": uri, **dataclasses.asdict(each.status())}
        for uri, each in zip(uris, (receiver, *transmitters.values()), strict=True)
    ]
    truth = None if bench is None else _virtual_truth(experiment, schedule, bench)
    return Link(uplink, truth, None, statuses, sent_by, tee)


def open_radios(
    experiment: Experiment,
    opened: ExitStack,
    receiver_uri: str,
    device_uris: Mapping[int, str],
    is_virtual: bool,
) -> tuple[Radio, dict[int, "PlutoRadio"]]:
    """The receiver, and the transmitters by device; closed with `opened`. A device's radio may be the receiver too."""
    from radio.pluto import open_pluto

    radio, limits = experiment.radio, experiment.safety
    setup = radio_setup(experiment)
    config, shape = setup.config, setup.shape
    if is_virtual:  # nobody else waits for that air's time
        shape = dataclasses.replace(shape, idle_pace=IDLE_PACE)
    silent = dataclasses.replace(config, tx_gain_db=MIN_GAIN_DB)

    def plug(uri: str, config: RadioConfig, *, transmits: bool, receives: bool) -> "PlutoRadio":
        plugged = open_pluto(
            uri,
            config,
            limits,
            transmits=transmits,
            receives=receives,
            trigger=radio.trigger if transmits else "none",
            shape=shape,
        )
        opened.callback(_close, plugged)
        return plugged

    heard_by = None
    if receiver_uri not in device_uris.values():
        heard_by = plug(receiver_uri, silent, transmits=False, receives=True)
    transmitters = {
        device: plug(uri, setup.config_of(device), transmits=True, receives=uri == receiver_uri)
        for device, uri in device_uris.items()
    }
    if heard_by is None:
        return ReceivingSide(next(iter(transmitters.values()))), transmitters
    return heard_by, transmitters


def radio_setup(experiment: Experiment) -> RadioSetup:
    """How devices set their radios."""
    radio = experiment.radio
    config = RadioConfig(
        sample_rate_hz=radio.sample_rate_hz,
        center_hz=radio.center_hz,
        tx_gain_db=radio.tx_gain_db,
        rx_gain_db=radio.rx_gain_db,
    )
    shape, applied = StreamShape(block_s=radio.block_s, lead_s=radio.lead_s), experiment.applied
    return RadioSetup(
        config=config,
        limits=experiment.safety,
        shape=shape,
        trigger=radio.trigger,
        corrections={} if applied is None else dict(applied.devices),
    )


def _uplink_over(
    experiment: Experiment,
    schedule: Schedule,
    receiver: Radio,
    bench: "VirtualBench | None",
) -> Uplink:
    """By how the devices' radios come to a common time."""
    shape = radio_setup(experiment).shape
    radio, backoff_db = experiment.radio, experiment.link.backoff_db
    common = {field.name: getattr(schedule, field.name) for field in dataclasses.fields(schedule)}
    if radio.trigger == "external":
        edges = EdgeSchedule(**common, search_s=radio.meeting_s)
        release = bench.pulse_trigger if bench else (lambda: None)
        return TriggeredUplink(receiver, edges, backoff_db, radio.center_hz, release)
    clock = RebasedRadio(receiver)
    # what waits in the kernel on both sides lies between a decision and the samples that carry it out
    waiting_s = shape.lead_s + (shape.tx_blocks + shape.rx_blocks + 1) * shape.block_s
    live = LiveSchedule(**common, now=clock.now, ahead_s=waiting_s, meeting_s=radio.meeting_s)
    return LiveUplink(clock, live, backoff_db, radio.center_hz)


def _close(radio: "PlutoRadio") -> None:
    """A radio that is not surely silent is no reason to lose a run's results, and one to be told of."""
    try:
        radio.close()
    except RadioError as error:
        log.warning("%s; silence it with python -m radio.silence URI", error)


def receiver_first(uris: tuple[str, ...]) -> tuple[str, ...]:
    """Of a virtual bench the last radio receives: so the devices' radios have the devices' numbers."""
    return (uris[-1], *uris[:-1])


def virtual_bench(experiment: Experiment) -> "VirtualBench":
    from sim_backend.pluto_context import PlutoModel
    from sim_backend.stream_air import StreamAirConfig
    from sim_backend.virtual_bench import VirtualBench

    plan = air_plan(experiment)
    config = StreamAirConfig(
        seed=plan.seed,
        impairments=plan.impairments,
        noise_variance=stream_noise_variance(experiment),
        receiver=experiment.fleet.devices,
    )
    if plan.noise_figure_db is not None:
        config = dataclasses.replace(config, noise_figure_db=plan.noise_figure_db)
    return VirtualBench(
        plan.num_radios,
        config,
        patience_s=PATIENCE_S,
        model=PlutoModel(chip=plan.chip, tdd=experiment.radio.trigger == "external"),
        first_host=_own_host(),
    )


def air_plan(experiment: Experiment) -> AirPlan:
    from sim_backend.levels import TX_FULL_SCALE_DBM

    return plan_of(experiment, TX_FULL_SCALE_DBM)


def _own_host() -> str:
    """First of the loopback addresses of this process's virtual radios: two runs at a time do not meet."""
    number = os.getpid()
    return f"127.{64 + number % 128}.{number // 128 % 256}.1"


def stream_noise_variance(experiment: Experiment) -> float | None:
    """E|w|^2 of a sample at a virtual receiver's input, a transmitter's full output = 1; None: as measured, or by its
    noise figure.

    With link.noise = "snr" that SNR holds at radio.tx_gain_db.
    """
    if experiment.link.noise == "figure":
        return None
    level = element_level(experiment.link.backoff_db, experiment.ofdm())
    return element_noise_variance(experiment) * level**2 * from_db(experiment.radio.tx_gain_db)


def _virtual_truth(experiment: Experiment, schedule: Schedule, bench: "VirtualBench") -> Truth:
    from sim_backend.stream_truth import StreamTruth

    return StreamTruth(
        experiment.law(),
        experiment.run.seed,
        schedule.ofdm,
        experiment.radio.center_hz,
        receiver=experiment.fleet.devices,
        settings_of=bench.engine.settings,
        levels={} if experiment.applied is None else experiment.applied.levels,
    )


def check_uris(experiment: Experiment, remote: Remote | None) -> None:
    """Who opens which radios. ConfigError."""
    found, needed = len(experiment.radio.uris), experiment.fleet.devices + 1
    if remote is not None and not remote.launches:
        if found != 1:
            raise ConfigError(
                f"radio.uris names {found} radios, and a server opens the receiver alone: device processes bring "
                "theirs with --radio; list one, or use airmeta run --processes"
            )
    elif found not in (0, needed):
        raise wrong_number_of_uris(experiment)
    elif remote is not None and experiment.radio.is_loopback:
        raise ConfigError(
            f"{experiment.radio.uris[0]} is both the receiver and the device, and two processes cannot open one radio; "
            "run without --processes"
        )


def check_safety(experiment: Experiment) -> None:
    radio = experiment.radio
    try:
        preflight(
            experiment.safety,
            center_hz=radio.center_hz,
            sample_rate_hz=radio.sample_rate_hz,
            attenuation_db=-radio.tx_gain_db,
        )
    except RuntimeError as error:
        raise ConfigError(str(error)) from error
