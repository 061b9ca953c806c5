"""`python -m radio.silence URI ...`: make radios silent, whoever left them sounding.

For what a driver cannot see to: a process that was killed with SIGKILL, a host that lost power, a cable that was
pulled. The stream then ends with the connection, the carrier does not. Run it by hand, or as a watchdog from a service
that starts when the experiment's ends (docs/hardware.md). Ends with 0 if every radio is surely silent, otherwise 1.
"""

import argparse
import sys
from collections.abc import Sequence

from radio.interface import RadioError
from radio.pluto_link import connect
from radio.pluto_settings import silence


def silence_radio(uri: str, num_channels: int = 1, timeout_s: float = 5.0) -> None:
    """Attenuation to its highest, tones and carrier off, read back. RadioError if that is not sure."""
    link = connect(uri, num_channels, timeout_s)
    try:
        silence(link)
    finally:
        link.close()


def silence_all(uris: Sequence[str], num_channels: int = 1, timeout_s: float = 5.0) -> int:
    """Tries every radio and prints what became of it; 0 if all are surely silent, otherwise 1."""
    failed = False
    for uri in uris:
        try:
            silence_radio(uri, num_channels, timeout_s)
        except RadioError as error:
            failed = True
            sys.stderr.write(f"{error}\n")
        else:
            sys.stdout.write(f"{uri}: silent\n")
    return int(failed)


def main(words: Sequence[str] | None = None) -> int:
    """The command. words: its arguments, those of this process if None."""
    parser = argparse.ArgumentParser(prog="python -m radio.silence", description="Make radios silent.")
    parser.add_argument(
        "uris", nargs="+", metavar="URI", help="of libiio, for example ip:192.168.2.1 or usb:1.5.5"
    )
    parser.add_argument(
        "--channels", type=int, choices=(1, 2), default=1, help="2 for a board with an AD9361"
    )
    parser.add_argument(
        "--timeout", type=float, default=5.0, metavar="SECONDS", help="for each answer (default 5)"
    )
    chosen = parser.parse_args(words)
    return silence_all(chosen.uris, chosen.channels, chosen.timeout)


if __name__ == "__main__":
    sys.exit(main())
