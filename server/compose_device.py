"""Composition root of a device process."""

import sys
from collections.abc import Callable
from typing import NamedTuple

from devices.wire.keys import KeyFileError
from server.air_command import told_to_end
from server.lab_use import DeviceTerms
from server.signals import ends_with


class Ending(NamedTuple):
    """How a device process ends: its exit code, and whether no device is at work any more."""

    code: int
    is_idle: bool


def host_devices(name: str, terms: DeviceTerms, leash: bool, complain: Callable[[str], None]) -> Ending:
    """Until the server has no more work, or a signal. leash: or standard input ends."""
    from devices.client import ClientError
    from devices.composition import serve_devices

    with told_to_end() as told:
        ended = ends_with(sys.stdin.fileno()) if leash else bool
        try:
            is_idle = serve_devices(
                terms.url,
                name,
                lambda: bool(told) or ended(),
                count=terms.count,
                first=terms.first,
                uris=terms.uris,
                keys=terms.keys,
            )
        except ClientError as error:
            complain(str(error))
            return Ending(1, True)
        except KeyFileError as error:
            complain(str(error))
            return Ending(2, True)
    return Ending(0, is_idle)
