"""The composition root of a run: what is plugged into an arm, from devices and scheme to radios and uplink.

`prepare` checks all that can be checked without opening anything; `open_bench` opens radios, when the arm's turn comes.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from devices.messages import DeviceSettings
from devices.on_air import OnAir, OnEdge
from devices.proxy import DeviceProxy, LocalProxy, guarded
from radio.frame import element_level
from radio.heap import keep_freed_memory
from radio.schedule import Schedule
from radio.schemes.registry import is_coherent, load_scheme
from radio.support import num_kept
from radio.uplink import Uplink
from server.appraisal import initial_parameters
from server.arm_parts import Link, Parts
from server.board import DeviceNow, FleetNow, posted
from server.compose_fleet import open_fleet
from server.compose_measured import with_measured_air
from server.compose_plutos import (
    air_plan,
    check_safety,
    check_uris,
    open_plutos,
    receiver_first,
    virtual_bench,
)
from server.compose_simulated import open_simulated
from server.config import ON_AIR, Arm, ConfigError, Experiment
from server.doctor import why_no_gnuradio
from server.experiment import num_workers
from server.launch import Remote
from server.mean_powers import CalibratedUplink
from server.profile_use import with_profile
from server.receiver import RadioUplink
from server.round_recorder import RoundRecorder
from server.rounds import Rounds
from server.support_rule import support_rule
from server.taped_uplink import TapedUplink

if TYPE_CHECKING:
    from devices.agent import Agent


class Bench(NamedTuple):
    """An arm with everything plugged in. radios: what the manifest says of them; hosts: and, at any time, of device
    processes."""

    rounds: Rounds
    radios: list[dict[str, Any]]
    hosts: Callable[[], dict[str, Any]] | None = None


def prepare(arm: Arm, remote: Remote | None = None) -> Parts:
    """Devices and scheme of an arm. remote: devices are processes of their own, and nothing here needs torch.

    ValueError for anything that cannot work, before work starts.
    """
    experiment = arm.experiment
    link = experiment.link
    if experiment.is_simulated:
        experiment = with_measured_air(experiment)
    experiment = with_profile(experiment)
    arm = Arm(arm.name, experiment)
    if link.backend == "waveform" and (reason := why_no_gnuradio()):
        raise ConfigError(
            f'link.backend = "waveform" needs GNU Radio, which Python cannot import ({reason}); '
            'apt-get install gnuradio and run make setup, or set link.backend = "symbol"'
        )
    settings = settings_of(experiment)
    agents = _build_agents(settings) if remote is None else {}
    schedule = schedule_of(experiment)
    dimension = agents[0].model.num_parameters if agents else None
    handlers = {device: agent.handle for device, agent in agents.items()}
    parts = Parts(
        arm, settings, handlers, load_scheme(link.scheme, experiment.scheme_options()), schedule, dimension
    )
    if dimension is not None:
        parts.num_elements(dimension)
        _check_block(experiment, dimension)
    if link.backend == "pluto":
        schedule.check_devices(experiment.num_active)
        check_safety(experiment)
        check_uris(experiment, remote)
        if not experiment.radio.uris:
            air_plan(experiment)
    return parts


def settings_of(experiment: Experiment) -> DeviceSettings:
    """What devices have to know."""
    link, ofdm = experiment.link, experiment.ofdm()
    return DeviceSettings(
        seed=experiment.run.seed,
        task=experiment.task,
        model=experiment.model,
        learning=experiment.learning,
        scheme=link.scheme,
        scheme_options=experiment.scheme_options(),
        memory=experiment.update.memory,
        devices=experiment.fleet.devices,
        held_out=experiment.fleet.held_out,
        classes_per_device=experiment.fleet.classes_per_device,
        waveform=(ofdm, element_level(link.backoff_db, ofdm)) if link.backend in ON_AIR else None,
    )


def schedule_of(experiment: Experiment) -> Schedule:
    """When things happen in a round."""
    return Schedule(
        ofdm=experiment.ofdm(),
        round_s=experiment.link.round_s,
        gap_s=experiment.link.gap_s,
        free_clocks=experiment.radio.reference == "free",
        crystal_ppm=experiment.radio.crystal_ppm,
        num_devices=experiment.fleet.devices,
    )


def _build_agents(settings: DeviceSettings) -> "dict[int, Agent]":
    try:
        from devices.agent import build_agents
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed, and devices need it; pip install 'airmeta[learning]'"
        ) from error
    return build_agents(settings)


@contextmanager
def open_bench(
    parts: Parts, remote: Remote | None = None, board: Path | None = None, recordings: Path | None = None
) -> Iterator[Bench]:
    """Radios on, and off again whatever happens. RadioError if one cannot be had, FleetError if devices do not come.

    board: the file that shows meanwhile which devices are there and at what. recordings: folder of the arm, in which
    rounds are recorded as `run.record` says; nowhere if None.
    """
    keep_freed_memory()
    experiment = parts.arm.experiment
    with ExitStack() as opened:
        over_plutos = experiment.link.backend == "pluto"
        air = None
        if over_plutos and not experiment.radio.uris:
            air = opened.enter_context(virtual_bench(experiment))
        uris = (receiver_first(air.uris) if air else experiment.radio.uris) if over_plutos else ()
        proxy: DeviceProxy
        hosts, dimension = None, parts.dimension
        if (
            remote is not None
        ):  # before the receiver, which would move the time of a virtual air as fast as it can
            fleet = proxy = opened.enter_context(open_fleet(parts, remote, uris[1:], board))
            dimension, hosts = len(initial_parameters(proxy)), fleet.hosts
        assert dimension is not None
        if over_plutos:
            own_uris = uris if remote is None else uris[:1]
            link = open_plutos(experiment, parts.schedule, opened, own_uris, air)
        else:
            link = open_simulated(experiment, parts.schedule, parts.num_elements(dimension))
            opened.callback(link.uplink.close)
        if remote is None:
            local = proxy = _local_proxy(parts, link)
            opened.callback(proxy.close)
            num_all = experiment.fleet.devices + experiment.fleet.held_out
            opened.enter_context(posted(lambda: _now(local, num_all), board))
        uplink = link.uplink
        if link.mean_gain is None and not is_coherent(parts.scheme):
            uplink = CalibratedUplink(uplink)
        uplink, recorder = _recorded(parts, link, uplink, recordings, hosts)
        update = experiment.update
        _check_block(experiment, dimension)
        rule = support_rule(update.support, update.keep, update.block, experiment.run.seed)
        rounds = Rounds(experiment, proxy, uplink, parts.scheme, link.mean_gain, link.truth, rule, recorder)
        yield Bench(rounds, link.radios, hosts)


def _recorded(
    parts: Parts,
    link: Link,
    uplink: Uplink,
    folder: Path | None,
    hosts: Callable[[], dict[str, Any]] | None,
) -> tuple[Uplink, RoundRecorder | None]:
    """The uplink, and who records what is received by it; nobody where no radio does, or nothing is to be recorded."""
    if link.tee is None or folder is None:
        return uplink, None
    assert isinstance(link.uplink, RadioUplink)
    taped = TapedUplink(uplink, link.uplink, link.tee)
    recorder = RoundRecorder(
        parts.arm.experiment, parts.schedule, taped, link.tee, folder, link.radios, hosts
    )
    return taped, recorder


def _check_block(experiment: Experiment, dimension: int) -> None:
    update, kept = experiment.update, num_kept(dimension, experiment.update.keep)
    if update.support == "shared-vote" and update.block > kept:
        raise ConfigError(
            f"update.block = {update.block} exceeds the {kept} entries that travel of {dimension}; lower it to at most "
            f"{kept}, so that there are blocks to choose from, or raise update.keep"
        )


def _now(proxy: LocalProxy, num_devices: int) -> FleetNow:
    """Devices of this process are always there."""
    at_work = proxy.at_work()
    found = []
    for device in range(num_devices):
        request, asked = at_work.get(device, (None, None))
        kind = None if request is None else type(request).__name__.lower()
        found.append(DeviceNow(device, "connected", working_on=kind, asked=asked))
    return FleetNow(tuple(found))


def _local_proxy(parts: Parts, link: Link) -> LocalProxy:
    from devices.agent import one_torch_thread

    experiment = parts.arm.experiment
    on_air = OnEdge if experiment.radio.trigger == "external" else OnAir
    handlers = {
        device: guarded(on_air(handle, link.radio_of[device]) if device in link.radio_of else handle, device)
        for device, handle in parts.handlers.items()
    }
    return LocalProxy(handlers, num_workers(experiment), one_torch_thread)
