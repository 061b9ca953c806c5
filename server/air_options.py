"""Arguments and options of `airmeta air`, and which of them exclude each other."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from server.config import ConfigError

PATIENCE_S = 1.0
MAX_RADIOS = 250
MAX_PATIENCE_S = 3600
MAX_ISOLATION_DB = 200


class Pace(StrEnum):
    """Who moves the air's time: those who wait for samples, or the wall clock."""

    VIRTUAL = "virtual"
    REAL = "real"


Config = Annotated[
    Path | None,
    typer.Argument(metavar="[CONFIG.toml]", show_default=False, help="TOML file of an experiment: its air."),
]
Radios = Annotated[
    int | None,
    typer.Option(metavar="N", show_default="fleet.devices + 1, or 2", help="How many."),
]
PaceOption = Annotated[
    Pace,
    typer.Option("--pace", help="Whether time waits for those who send and receive, or follows the clock."),
]
Patience = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        show_default=f"{PATIENCE_S:g}",
        help="Seconds for which virtual time waits for a stream that would lose samples.",
    ),
]
Cable = Annotated[
    bool, typer.Option("--cable", help="Each radio hears itself, through a cable, and nobody else.")
]
Isolation = Annotated[
    float | None,
    typer.Option(
        metavar="DB",
        show_default="60",
        help="Loss from a radio's transmitter to its own receiver.",
    ),
]
ArmName = Annotated[
    str | None,
    typer.Option(
        "--arm", metavar="NAME", show_default=False, help="Arm of the file, where their airs differ."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change one setting; may be repeated."),
]
Host = Annotated[str, typer.Option(metavar="FIRST", help="Address of the first radio; the others follow.")]
BeyondLoopback = Annotated[
    bool,
    typer.Option("--beyond-loopback", help="Allow addresses outside 127.0.0.0/8, where anybody may connect."),
]


def check(
    radios: int | None,
    config: Path | None,
    settings: list[str] | None,
    arm: str | None,
    pace: Pace,
    patience_s: float | None,
    cable: bool,
    isolation_db: float | None,
) -> None:
    """ConfigError for a value out of its limits, and for an option without effect."""
    for name, value, lowest, highest in (
        ("--radios", radios, 1, MAX_RADIOS),
        ("--patience", patience_s, 0, MAX_PATIENCE_S),
        ("--isolation", isolation_db, 0, MAX_ISOLATION_DB),
    ):
        if value is not None and not lowest <= value <= highest:
            raise ConfigError(f"{name} {value:g} is not within {lowest} to {highest}; change it")
    if config is None and (arm is not None or settings):
        raise ConfigError("--arm and --set change a configuration, and none is given; name a TOML file")
    if cable and isolation_db is not None:
        raise ConfigError(f"--isolation {isolation_db:g} has no effect with --cable; leave one of them out")
    if pace is Pace.REAL and patience_s is not None:
        raise ConfigError(f"--patience {patience_s:g} has no effect at --pace real; leave one of them out")
