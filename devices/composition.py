"""The composition root of a device process: agents for the numbers it is given, radios where it has some."""

import logging
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from devices.client import Client, ClientError, Server
from devices.on_air import OnAir, OnEdge
from devices.proxy import Handler, guarded
from devices.wire.envelope import Facts, Hello, RadioSetup, Welcome
from devices.wire.keys import read_device_keys
from devices.wire.provenance import commit, system, versions
from radio.corrected_radio import CorrectedRadio
from radio.heap import keep_freed_memory
from radio.interface import Radio, RadioError
from radio.radio_identity import place_of, wrong_radio

_log = logging.getLogger(__name__)


@dataclass
class Devices:
    """What a process hosts."""

    handlers: dict[int, Handler]
    radios: tuple[Facts, ...]
    closing: ExitStack

    def close(self) -> None:
        """Radios silent and closed."""
        self.closing.close()


def serve_devices(
    url: str,
    name: str,
    told_to_end: Callable[[], bool],
    *,
    count: int = 1,
    first: int = -1,
    uris: Sequence[str] = (),
    keys: Path | None = None,
) -> bool:
    """Host `count` devices, or one a radio, for the server at `url` until it has no more work, or `told_to_end`.

    Returns whether no device is at work any more. ClientError, KeyFileError.
    """
    server = Server(url, None if keys is None else read_device_keys(keys, name))
    hello = Hello(name, secrets.token_hex(8), count, first, len(uris), _facts())
    try:
        from devices.agent import one_torch_thread
    except ModuleNotFoundError as error:
        raise ClientError(
            f"{error.name} is not installed, and devices need it; pip install 'airmeta[learning]'"
        ) from error
    one_torch_thread()
    workers = min(count, len(os.sched_getaffinity(0)))
    client = Client(
        server, hello, lambda welcome: open_devices(welcome, uris), told_to_end, workers, one_torch_thread
    )
    return client.serve()


def open_devices(welcome: Welcome, uris: Sequence[str]) -> Devices:
    """What a welcome asks for; radios stay closed where it asks for none. ClientError where it cannot be had."""
    from devices.agent import build_agents

    keep_freed_memory()
    if uris and welcome.radio is None:  # an arm to compare with, or a mistake
        _log.info("%s is not used: the experiment's air is simulated", ", ".join(uris))
        uris = ()
    with ExitStack() as opening:
        try:
            agents = build_agents(welcome.settings)
            places = zip(welcome.numbers, uris, strict=False)
            radios = [_plug(uri, number, welcome.radio, opening) for number, uri in places if welcome.radio]
        except (ValueError, OSError, RadioError) as error:
            raise ClientError(str(error)) from error
        on_air = OnEdge if welcome.radio is not None and welcome.radio.trigger == "external" else OnAir
        handlers: dict[int, Handler] = {number: agents[number].handle for number in welcome.numbers}
        for number, radio in zip(welcome.numbers, radios, strict=False):
            handlers[number] = on_air(handlers[number], radio)
        return Devices(
            {number: guarded(handle, number) for number, handle in handlers.items()},
            tuple({"uri": uri, **asdict(each.status())} for uri, each in zip(uris, radios, strict=True)),
            opening.pop_all(),
        )
    raise AssertionError  # an ExitStack without callbacks swallows nothing


def _plug(uri: str, device: int, setup: RadioSetup, opening: ExitStack) -> Radio:
    """With its correction, if there is one and it is of this radio. ClientError."""
    from radio.pluto import open_pluto

    radio: Radio = open_pluto(
        uri, setup.config_of(device), setup.limits, receives=False, trigger=setup.trigger, shape=setup.shape
    )
    opening.callback(_unplug, radio)
    if (own := setup.corrections.get(device)) is None:
        return radio
    known = {place_of(number): each.serial for number, each in setup.corrections.items()}
    if reason := wrong_radio(place_of(device), radio.status().serial, known, "the server's radio.profile"):
        raise ClientError(reason)
    return CorrectedRadio(radio, transmit=own.transmit)


def _unplug(radio: Radio) -> None:
    """A radio that is not surely silent keeps no other from being closed, and is one to be told of."""
    try:
        radio.close()
    except RadioError as error:
        _log.warning("%s; silence it with python -m radio.silence URI", error)


def _facts() -> dict[str, str]:
    """Of what is there: versions by name, and the commit of a checkout."""
    facts = system() | {"commit": commit()} | versions()
    return {name: fact for name, fact in facts.items() if fact is not None}
