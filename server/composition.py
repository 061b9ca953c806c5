"""The composition root of a run: what is plugged into an arm, from devices and scheme to radios and uplink.

`prepare` checks all that can be checked without opening anything; `open_bench` opens radios, when the arm's turn comes.
"""

import dataclasses
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.messages import DeviceSettings, Initial, Initialise
from devices.on_air import OnAir, OnEdge
from devices.proxy import DeviceProxy, Handler, LocalProxy, guarded
from devices.wire.envelope import Pulse, RadioSetup
from radio.air_config import AirConfig, Fading
from radio.decibel import from_db
from radio.frame import element_level
from radio.interface import Radio, RadioConfig, RadioError
from radio.pluto_timeline import StreamShape
from radio.rebased import RebasedRadio
from radio.safety import preflight
from radio.schedule import Schedule
from radio.schemes.registry import load_scheme
from radio.seeds import Use, stream
from radio.uplink import Scheme, Truth, Uplink
from server import air_options as options
from server.air_command import AirPlan, plan_of
from server.air_options import Pace
from server.config import ON_AIR, Arm, ConfigError, Experiment
from server.doctor import why_no_gnuradio
from server.experiment import num_workers
from server.fleet import Fleet, FleetError, Terms
from server.launch import Remote, device_processes, seats_of
from server.link_noise import element_noise_variance
from server.live import LiveSchedule, LiveUplink
from server.receiver import RadioUplink
from server.rounds import Rounds
from server.triggered import EdgeSchedule, TriggeredUplink

if TYPE_CHECKING:
    from devices.agent import Agent
    from radio.pluto import PlutoRadio
    from sim_backend.virtual_bench import VirtualBench

log = logging.getLogger(__name__)

MIN_GAIN_DB = -89.75  # of a Pluto's transmitter
IDLE_PACE = 0.02
PATIENCE_S = 30.0
"""Virtual time waits that long for a stream of a run's own radios: nothing there is slow because a lab would be."""


class Parts(NamedTuple):
    """What an arm needs beside its radios. dimension: of the model; where devices are processes of their own it is
    None, as only they know, and there are no handlers."""

    arm: Arm
    settings: DeviceSettings
    handlers: Mapping[int, Handler]
    scheme: Scheme
    schedule: Schedule
    dimension: int | None

    def num_elements(self, dimension: int) -> int:
        """Resource elements of a payload. ValueError for more than a round carries."""
        experiment = self.arm.experiment
        num_elements = self.scheme.num_elements(dimension, experiment.update.measurements)
        if experiment.link.backend == "waveform":
            self.schedule.check(experiment.num_active, num_elements)
        return num_elements


class Bench(NamedTuple):
    """An arm with everything plugged in. radios: what the manifest says of them; hosts: and of device processes."""

    rounds: Rounds
    radios: list[dict[str, Any]]
    hosts: dict[str, Any] | None = None


class Link(NamedTuple):
    """An uplink, the truth behind it if known, E|h| of its model, and its radios as the manifest lists them.

    radio_of: radios of devices that transmit by themselves.
    """

    uplink: Uplink
    truth: Truth | None
    mean_gain: float | None
    radios: list[dict[str, Any]]
    radio_of: Mapping[int, Radio]


def prepare(arm: Arm, remote: Remote | None = None) -> Parts:
    """Devices and scheme of an arm. remote: devices are processes of their own, and nothing here needs torch.

    ValueError for anything that cannot work, before work starts.
    """
    experiment = arm.experiment
    link = experiment.link
    if link.backend == "waveform" and (reason := why_no_gnuradio()):
        raise ConfigError(
            f'link.backend = "waveform" needs GNU Radio, which Python cannot import ({reason}); '
            'apt-get install gnuradio and run make setup, or set link.backend = "symbol"'
        )
    ofdm = experiment.ofdm()
    settings = DeviceSettings(
        seed=experiment.run.seed,
        task=experiment.task,
        model=experiment.model,
        learning=experiment.learning,
        scheme=link.scheme,
        memory=experiment.update.memory,
        devices=experiment.fleet.devices,
        held_out=experiment.fleet.held_out,
        classes_per_device=experiment.fleet.classes_per_device,
        waveform=(ofdm, element_level(link.backoff_db, ofdm)) if link.backend in ON_AIR else None,
    )
    agents = _build_agents(settings) if remote is None else {}
    schedule = Schedule(
        ofdm=ofdm,
        round_s=link.round_s,
        gap_s=link.gap_s,
        free_clocks=experiment.radio.reference == "free",
        crystal_ppm=experiment.radio.crystal_ppm,
        num_devices=experiment.fleet.devices,
    )
    dimension = agents[0].model.num_parameters if agents else None
    handlers = {device: agent.handle for device, agent in agents.items()}
    parts = Parts(arm, settings, handlers, load_scheme(link.scheme), schedule, dimension)
    if dimension is not None:
        parts.num_elements(dimension)
    if link.backend == "pluto":
        schedule.check_devices(experiment.num_active)
        check_safety(experiment)
        check_uris(experiment, remote)
        if not experiment.radio.uris:
            _air_plan(experiment)
    return parts


def _build_agents(settings: DeviceSettings) -> "dict[int, Agent]":
    try:
        from devices.agent import build_agents
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed, and devices need it; pip install 'airmeta[learning]'"
        ) from error
    return build_agents(settings)


@contextmanager
def open_bench(parts: Parts, remote: Remote | None = None) -> Iterator[Bench]:
    """Radios on, and off again whatever happens. RadioError if one cannot be had, FleetError if devices do not come."""
    experiment = parts.arm.experiment
    with ExitStack() as opened:
        over_plutos = experiment.link.backend == "pluto"
        air = None
        if over_plutos and not experiment.radio.uris:
            air = opened.enter_context(_virtual_bench(experiment))
        uris = (receiver_first(air.uris) if air else experiment.radio.uris) if over_plutos else ()
        proxy: DeviceProxy
        hosts, dimension = None, parts.dimension
        if (
            remote is not None
        ):  # before the receiver, which would move the time of a virtual air as fast as it can
            proxy = opened.enter_context(open_fleet(parts, remote, uris[1:]))
            dimension, hosts = len(initial_parameters(proxy)), proxy.hosts()
        assert dimension is not None
        if over_plutos:
            own_uris = uris if remote is None else uris[:1]
            link = _open_plutos(experiment, parts.schedule, opened, own_uris, air)
        else:
            link = open_simulated(experiment, parts.schedule, parts.num_elements(dimension))
            opened.callback(link.uplink.close)
        if remote is None:
            proxy = _local_proxy(parts, link)
            opened.callback(proxy.close)
        rounds = Rounds(experiment, proxy, link.uplink, parts.scheme, link.mean_gain, link.truth)
        yield Bench(rounds, link.radios, hosts)


def _local_proxy(parts: Parts, link: Link) -> LocalProxy:
    from devices.agent import one_torch_thread

    experiment = parts.arm.experiment
    on_air = OnEdge if experiment.radio.trigger == "external" else OnAir
    handlers = {
        device: guarded(on_air(handle, link.radio_of[device]) if device in link.radio_of else handle, device)
        for device, handle in parts.handlers.items()
    }
    return LocalProxy(handlers, num_workers(experiment), one_torch_thread)


def open_simulated(experiment: Experiment, schedule: Schedule, num_elements: int) -> Link:
    """The uplink of an experiment over the air in this process."""
    from sim_backend.air import Air
    from sim_backend.channel import BlockChannel
    from sim_backend.dissection import AirTruth
    from sim_backend.elements import BlockElements, ElementChannel, ElementTruth, PathElements
    from sim_backend.front_end import FrontEnd, draw_front_end
    from sim_backend.medium import BlockMedium, Medium, PathMedium
    from sim_backend.radio import SimRadio
    from sim_backend.symbol import SymbolUplink

    link, radio, ofdm, seed = experiment.link, experiment.radio, schedule.ofdm, experiment.run.seed
    mean_gain: float | None = None
    elements: ElementChannel
    medium: Medium
    air, fading = experiment.air, Fading(law=link.fading, rician_k_db=link.rician_k_db)
    if link.backend == "ideal":
        air, fading = AirConfig(), Fading()
    impairments = air.impairments()
    if not air.has_paths:
        channel = BlockChannel(fading, air, seed, schedule.round_len)
        mean_gain = fading.mean_gain() * channel.mean_shape(range(experiment.fleet.devices), ofdm)
        elements, medium = BlockElements(channel, ofdm), BlockMedium(channel)
    else:
        medium = PathMedium(impairments, seed)
        elements = PathElements(medium, ofdm, radio.center_hz)
    noise_variance = element_noise_variance(experiment)
    if link.backend != "waveform":
        uplink = SymbolUplink(elements, schedule, num_elements, noise_variance, seed)
        return Link(uplink, ElementTruth(elements), mean_gain, [], {})
    level = element_level(link.backoff_db, ofdm)
    shared_air = Air(medium, memory_s=1.0)
    config = RadioConfig(sample_rate_hz=ofdm.sample_rate_hz, center_hz=radio.center_hz)
    most = air.start_offset_samples  # by which the clocks differ; nobody is told by how much
    device_power = from_db(-link.backoff_db - impairments.path_loss_db)  # of what arrives of a device
    front_end = draw_front_end(
        impairments, seed, -1, ofdm.sample_rate_hz, noise_variance * level**2, device_power
    )
    receiver = SimRadio(
        shared_air, -1, config, front_end, int(stream(seed, Use.CLOCK).integers(-most, most + 1))
    )
    transmitters = {
        device: SimRadio(shared_air, device, config, FrontEnd(seed, device))
        for device in range(experiment.fleet.devices)
    }
    radios = [dataclasses.asdict(radio.status()) for radio in (receiver, *transmitters.values())]
    uplink_over_radios = RadioUplink(receiver, transmitters, schedule, link.backoff_db, radio.center_hz)
    return Link(uplink_over_radios, AirTruth(elements, receiver, level, ofdm), mean_gain, radios, {})


# Devices that are processes of their own.


@contextmanager
def open_fleet(parts: Parts, remote: Remote, device_uris: Sequence[str]) -> Iterator[Fleet]:
    """Listen, start processes where this host is to have them, wait until all devices are there. FleetError."""
    fleet_settings = parts.arm.experiment.fleet
    terms = Terms(
        settings=parts.settings,
        pulse=Pulse(beat_s=fleet_settings.beat_s, lost_s=fleet_settings.lost_s),
        reply_s=fleet_settings.reply_s,
        return_s=fleet_settings.return_s,
        quorum=fleet_settings.quorum,
        radio=radio_setup(parts.arm.experiment) if parts.arm.experiment.link.backend == "pluto" else None,
    )
    with ExitStack() as opened:
        fleet = Fleet(terms, remote.bind, remote.keys)
        opened.callback(fleet.close)
        remote.on_listening(fleet.url)
        if remote.launches:
            seats = seats_of(
                parts.settings.devices, parts.settings.held_out, remote.devices_a_process, device_uris
            )
            brood = opened.enter_context(device_processes(fleet.url, seats, remote.logs))
            fleet.wait_for_all(fleet_settings.return_s, brood.look)
            brood.keep()
        else:
            fleet.wait_for_all(fleet_settings.return_s)
        opened.push(lambda kind, error, trace: fleet.close(over=kind is None and remote.is_last))
        yield fleet


def initial_parameters(proxy: DeviceProxy) -> NDArray[np.float32]:
    """Of the model, which device processes know and the server does not. FleetError."""
    (reply,) = proxy.ask({0: Initialise()}).values()
    if not isinstance(reply, Initial):
        raise FleetError(f"no initial parameters: {reply}")
    return reply.theta


# Plutos, real or virtual.


def _open_plutos(
    experiment: Experiment,
    schedule: Schedule,
    opened: ExitStack,
    uris: Sequence[str],
    bench: "VirtualBench | None",
) -> Link:
    """uris: the receiver's, then those of devices in this process; bench: whose radios they are, if virtual."""
    from radio.pluto import open_pluto

    radio, limits = experiment.radio, experiment.safety
    receiver_uri, *device_uris = uris
    setup = radio_setup(experiment)
    config, shape = setup.config, setup.shape
    if bench is not None:  # nobody else waits for that air's time
        shape = dataclasses.replace(shape, idle_pace=IDLE_PACE)
    silent = dataclasses.replace(config, tx_gain_db=MIN_GAIN_DB)

    def plug(uri: str, config: RadioConfig, *, transmits: bool) -> "PlutoRadio":
        plugged = open_pluto(
            uri,
            config,
            limits,
            transmits=transmits,
            receives=not transmits,
            trigger=radio.trigger if transmits else "none",
            shape=shape,
        )
        opened.callback(_close, plugged)
        return plugged

    receiver = plug(receiver_uri, silent, transmits=False)
    transmitters = {device: plug(uri, config, transmits=True) for device, uri in enumerate(device_uris)}
    uplink = _uplink_over(experiment, schedule, receiver, shape, bench)
    statuses = [
        {"uri": uri, **dataclasses.asdict(each.status())}
        for uri, each in zip(uris, (receiver, *transmitters.values()), strict=True)
    ]
    truth = None if bench is None else _virtual_truth(experiment, schedule, bench)
    return Link(uplink, truth, None, statuses, transmitters)


def radio_setup(experiment: Experiment) -> RadioSetup:
    """How devices set their radios."""
    radio = experiment.radio
    config = RadioConfig(
        sample_rate_hz=radio.sample_rate_hz,
        center_hz=radio.center_hz,
        tx_gain_db=radio.tx_gain_db,
        rx_gain_db=radio.rx_gain_db,
    )
    shape = StreamShape(block_s=radio.block_s, lead_s=radio.lead_s)
    return RadioSetup(config=config, limits=experiment.safety, shape=shape, trigger=radio.trigger)


def _uplink_over(
    experiment: Experiment,
    schedule: Schedule,
    receiver: Radio,
    shape: StreamShape,
    bench: "VirtualBench | None",
) -> Uplink:
    """By how the devices' radios come to a common time."""
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


def _virtual_bench(experiment: Experiment) -> "VirtualBench":
    from sim_backend.pluto_context import PlutoModel
    from sim_backend.stream_air import StreamAirConfig
    from sim_backend.virtual_bench import VirtualBench

    plan = _air_plan(experiment)
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


def _air_plan(experiment: Experiment) -> AirPlan:
    from sim_backend.levels import TX_FULL_SCALE_DBM

    return plan_of(experiment, TX_FULL_SCALE_DBM)


def _own_host() -> str:
    """First of the loopback addresses of this process's virtual radios: two runs at a time do not meet."""
    number = os.getpid()
    return f"127.{64 + number % 128}.{number // 128 % 256}.1"


def stream_noise_variance(experiment: Experiment) -> float | None:
    """E|w|^2 of a sample at a virtual receiver's input, a transmitter's full output = 1; None: by its noise figure.

    With link.noise = "snr" that SNR holds at radio.tx_gain_db.
    """
    if experiment.link.noise == "figure":
        return None
    level = element_level(experiment.link.backoff_db, experiment.ofdm())
    return element_noise_variance(experiment) * level**2 * from_db(experiment.radio.tx_gain_db)


def _virtual_truth(experiment: Experiment, schedule: Schedule, bench: "VirtualBench") -> Truth:
    from sim_backend.stream_truth import StreamTruth

    return StreamTruth(
        experiment.air.impairments(),
        experiment.run.seed,
        schedule.ofdm,
        experiment.radio.center_hz,
        receiver=experiment.fleet.devices,
        settings_of=bench.engine.settings,
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
        raise ConfigError(
            f"radio.uris names {found} radios, {needed} are needed: the receiver and then one for each of "
            f"fleet.devices = {needed - 1}; list that many, or none for virtual ones"
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


@contextmanager
def open_air(
    plan: AirPlan,
    hosts: tuple[str, ...],
    pace: Pace,
    patience_s: float | None,
    cable: bool,
    isolation_db: float | None,
) -> Iterator[tuple["VirtualBench", dict[str, str]]]:
    """The virtual radios of a plan, and what there is to say of them. The addresses were checked before."""
    from sim_backend.levels import RX_FULL_SCALE_DBM, TX_FULL_SCALE_DBM
    from sim_backend.pluto_context import PlutoModel
    from sim_backend.stream_air import StreamAirConfig
    from sim_backend.stream_medium import CABLE_DB
    from sim_backend.virtual_bench import VirtualBench

    given: dict[str, Any] = {"isolation_db": isolation_db, "noise_figure_db": plan.noise_figure_db}
    config = StreamAirConfig(
        seed=plan.seed,
        impairments=plan.impairments,
        cable=cable,
        **{name: value for name, value in given.items() if value is not None},
    )
    patience_s = options.PATIENCE_S if patience_s is None else patience_s
    facts = {
        "radios": f"ADALM-PLUTO, {plan.chip}",
        "air": f"{plan.origin}; seed {plan.seed}",
        "to itself": f"{CABLE_DB:g} dB of cable; to others nothing"
        if cable
        else f"{config.isolation_db:g} dB",
        "levels": f"full scale is {TX_FULL_SCALE_DBM:g} dBm out, {RX_FULL_SCALE_DBM:g} dBm in at a gain of 0 dB; "
        f"noise figure {config.noise_figure_db:g} dB",
        "pace": "real" if pace is Pace.REAL else f"virtual, patience {patience_s:g} s",
        "stop": f"Ctrl-C, or kill {os.getpid()}",
    }
    with VirtualBench(
        len(hosts),
        config,
        pace=pace.value,
        patience_s=patience_s,
        model=PlutoModel(chip=plan.chip),
        first_host=hosts[0],
        beyond_loopback=True,
    ) as bench:
        yield bench, facts
