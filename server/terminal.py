"""The terminal of a command, and how it says what went wrong: one line, and an exit code."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from devices.proxy import WORKERS
from devices.wire.keys import KeyFileError
from radio.interface import RadioError
from server.config import ConfigError

CONTINUE = "continue from the last checkpoint with --resume and the same --out"
out, err = Console(), Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def say(text: object) -> None:
    """A line as it is, however long."""
    out.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def refusing_bad_input() -> Iterator[None]:
    """Before work starts a ValueError is what a user asked wrongly: one line and exit code 2."""
    try:
        yield
    except ValueError as error:
        err.print(f"error: {error}")
        raise typer.Exit(2) from error
    except OSError as error:
        err.print(f"error: {error}")
        raise typer.Exit(1) from error


@contextmanager
def reporting_failure(if_interrupted: str = CONTINUE) -> Iterator[None]:
    """What went wrong in the course of work: one line and exit code 1. Other exceptions are bugs and show it."""
    from server.checkpoint import CheckpointError
    from server.experiment import ExperimentFailed
    from server.fleet import FleetError
    from server.planning import RoundFailed

    try:
        yield
    except (FleetError, ExperimentFailed, RoundFailed, CheckpointError, RadioError, OSError) as error:
        err.print(f"error: {error}")
        raise typer.Exit(1) from error
    except (ConfigError, KeyFileError) as error:  # of what only devices could tell
        err.print(f"error: {error}")
        raise typer.Exit(2) from error
    except (KeyboardInterrupt, RuntimeError) as error:
        # A signal between a Condition's giving up of its lock and its wait: the lock is then released twice.
        if not any(isinstance(each, KeyboardInterrupt) for each in (error, error.__context__)):
            raise
        err.print(f"interrupted; {if_interrupted}")
        if any(thread.name.startswith(WORKERS) for thread in threading.enumerate()):
            sys.stdout.flush()
            os._exit(1)  # what devices still compute is of no use to anybody, and cannot be interrupted
        raise typer.Exit(1) from error
