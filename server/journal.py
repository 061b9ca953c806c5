"""What a run did, for its log alone: a terminal has a progress bar, and rounds.jsonl has the numbers."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from devices.wire.json_log import about
from devices.wire.json_log import event as any_event
from radio.decibel import to_db

Record = dict[str, Any]
ERRORS = {"nmse": "NMSE", "nmse_air": "air"}
_log = logging.getLogger(__name__)


def event(name: str, /, **facts: Any) -> dict[str, Any]:
    """The `extra` of what is for the file."""
    return any_event(name, aloud=False, **facts)


def began(num_done: int, num_rounds: int) -> None:
    """A run, or its continuation."""
    name, verb = ("resume", "goes on") if num_done else ("start", "begins")
    _log.info("%s with round %d of %d", verb, num_done + 1, num_rounds, extra=event(name, done=num_done))


def device_failed(device: int, reason: str) -> None:
    """In whatever it was asked for."""
    with about(device=device):
        _log.warning("%s", reason, extra=event("device failed"))


def round_over(record: Record, wall_s: float) -> None:
    """In one line."""
    facts = {"wall_s": round(wall_s, 3), "devices": record.get("devices", [])}
    if repeated := len(record.get("repeated", ())):
        facts["repeated"] = repeated
    if "failed" in record:
        _log.warning("failed: %s", record["failed"], extra=event("round", failed=True, **facts))
        return
    errors_db = {key: round(to_db(record[key]), 2) for key in ERRORS if record.get(key)}
    words = [f"{len(record['devices'])} of {len(record['active'])} devices sent"]
    words += [f"{ERRORS[key]} {error_db} dB" for key, error_db in errors_db.items()]
    facts |= {f"{key}_db": error_db for key, error_db in errors_db.items() if math.isfinite(error_db)}
    _log.info("%s", ", ".join(words), extra=event("round", **facts))


def evaluated(record: Record) -> None:
    """By held-out devices."""
    accuracy = record["accuracy_after"]
    _log.info("accuracy %.3f", accuracy, extra=event("evaluation", accuracy=accuracy))


def complete(summary: Record) -> None:
    """The whole run."""
    _log.info("complete after %g s", summary["wall_s"], extra=event("complete", wall_s=summary["wall_s"]))


def stopped(reason: str) -> None:
    """Before it was complete."""
    _log.error("%s", reason, extra=event("stop"))


@contextmanager
def told_how_it_ends() -> Iterator[None]:
    """The reason goes to the log, and on."""
    try:
        yield
    except KeyboardInterrupt:
        stopped("interrupted")
        raise
    except Exception as error:
        _log.error("%s", error, extra=event("stop", error=type(error).__name__), exc_info=True)
        raise
