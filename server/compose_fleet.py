"""Composition root of devices that are processes of their own."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from devices.wire.envelope import Pulse
from server.arm_parts import Parts
from server.board import posted
from server.compose_plutos import radio_setup
from server.fleet import Fleet
from server.launch import Remote, device_processes, seats_of
from server.switchboard import Terms


@contextmanager
def open_fleet(
    parts: Parts, remote: Remote, device_uris: Sequence[str], board: Path | None = None
) -> Iterator[Fleet]:
    """Listen, start processes where this host is to have them, wait until all devices are there. FleetError.

    board: the file that shows who is there.
    """
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
        opened.enter_context(posted(fleet.look, board))
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
