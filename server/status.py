"""What a run is doing, from its folder alone: another terminal, or another host that sees the folder, can ask."""

import math
import os
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from server.board import DeviceNow, FleetNow, read_board
from server.recorder import ROUNDS
from server.run_reader import ArmRun, read_run

State = Literal["waiting", "running", "silent", "stopped", "complete"]
PATIENCE_S = 120.0  # without a new round, on a host whose processes cannot be seen
PATIENCE_ROUNDS = 10.0  # or this many rounds' time, if that is longer


@dataclass(frozen=True)
class DeviceStatus:
    """state: in the last round. last_sent: the last round whose payload had it, None if there was none; num_sent: how
    many had it. reason: why it failed, if it did. now: where and at what it is while the run goes on."""

    device: int
    state: Literal["sent", "sat out", "failed", "round failed", "not asked", "held out", ""]
    last_sent: int | None
    num_sent: int
    reason: str = ""
    now: DeviceNow | None = None


@dataclass(frozen=True)
class ArmStatus:
    """state: "waiting" before the first round, "silent" where nobody can tell whether the run still goes on. quiet_s:
    since the last round was recorded.

    round_s: a round's mean wall time, evaluations included, up to the last checkpoint. latest: the last figures.
    repeats: how often rounds were begun again.
    """

    name: str
    state: State
    rounds: int
    planned: int
    failed: int
    repeats: int
    quiet_s: float | None
    round_s: float | None
    latest: dict[str, Any]
    last_failure: str
    devices: list[DeviceStatus]


def read_status(folder: Path) -> list[ArmStatus]:
    """Of every arm that has begun, in the order of the file. ValueError if the folder holds no run."""
    arms = read_run(folder)
    return [_of_arm(arm, folder if len(arms) == 1 and not (folder / arm.name).is_dir() else folder / arm.name)
            for arm in arms]  # fmt: skip


def _of_arm(arm: ArmRun, folder: Path) -> ArmStatus:
    rounds_file = folder / ROUNDS
    round_s = arm.wall_s / len(arm.rounds) if arm.wall_s and arm.rounds else None
    quiet_s = time.time() - rounds_file.stat().st_mtime if arm.rounds else None
    evaluated = [record for _, record in arm.evaluations()]
    done = [record for record in arm.rounds if "failed" not in record]
    latest = {key: done[-1].get(key) for key in ("nmse", "nmse_air", "gap_s")} if done else {}
    if evaluated:
        latest["accuracy"] = evaluated[-1].get("accuracy_after")
    failures = [record for record in arm.rounds if "failed" in record]
    board = read_board(folder)
    state = _state(arm, board, quiet_s, round_s)
    devices = _devices(arm, board if state in ("waiting", "running", "silent") else None)
    return ArmStatus(
        name=arm.name,
        state=state,
        rounds=len(arm.rounds),
        planned=int(arm.setting("run", "rounds") or 0),
        failed=len(failures),
        repeats=sum(len(record.get("repeated", ())) for record in arm.rounds),
        quiet_s=quiet_s,
        round_s=round_s,
        latest=latest,
        last_failure=f"round {failures[-1]['round'] + 1}: {failures[-1]['failed']}" if failures else "",
        devices=devices,
    )


def _state(arm: ArmRun, board: FleetNow | None, quiet_s: float | None, round_s: float | None) -> State:
    if arm.summary is not None:
        return "complete"
    if (alive := _process_lives(arm.manifest.get("host"), arm.manifest.get("pid"))) is True:
        is_complete = board is not None and all(device.presence == "connected" for device in board.devices)
        return "running" if arm.rounds or is_complete else "waiting"
    if board is not None and _process_lives(board.host, board.pid):  # it has not all that it needs yet
        return "waiting"
    if alive is False:
        return "stopped"
    if quiet_s is None:
        return "waiting"
    patience_s = max(PATIENCE_S, PATIENCE_ROUNDS * (round_s or 0.0))
    return "running" if quiet_s < patience_s else "silent"


def _process_lives(host: object, pid: object) -> bool | None:
    """Whether a process is there; None on another host."""
    if host != platform.node() or not isinstance(pid, int):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _devices(arm: ArmRun, board: FleetNow | None) -> list[DeviceStatus]:
    """Those that train, if there was a round; and all of a run that goes on."""
    count = arm.setting("fleet", "devices")
    if not isinstance(count, int):
        return []
    now = {device.device: device for device in board.devices} if board else {}
    trained = [_of_device(device, arm) for device in range(count)] if arm.rounds else []
    known = {device.device: device for device in trained}
    for number in sorted(now.keys() - known.keys()):
        known[number] = DeviceStatus(number, "" if number < count else "held out", None, 0)
    return [replace(known[number], now=now.get(number)) for number in sorted(known)]


def _of_device(device: int, arm: ArmRun) -> DeviceStatus:
    sent = [record["round"] for record in arm.rounds if device in record.get("devices", ())]
    last, reason = arm.rounds[-1], ""
    prefix = f"device {device}, "
    reasons = [text.removeprefix(prefix) for text in last.get("failures", ()) if text.startswith(prefix)]
    if device not in last.get("active", ()):
        state: Any = "not asked"
    elif device in last.get("devices", ()):
        state = "sent"
    elif reasons:
        state, reason = "failed", reasons[0]
    elif device in last.get("sitting_out", ()):
        state = "sat out"
    else:
        state = "round failed"
    return DeviceStatus(device, state, sent[-1] if sent else None, len(sent), reason)


def seconds_left(status: ArmStatus) -> float | None:
    """Wall time to the last round, if it goes on as it did."""
    if status.state != "running" or status.round_s is None or not math.isfinite(status.round_s):
        return None
    return (status.planned - status.rounds) * status.round_s
