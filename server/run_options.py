"""Arguments and options of the commands that run experiments, and what they come to."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from server.config import Arm, ConfigError
from server.config_file import load_arms

BIND = "tcp://127.0.0.1:5750"

Config = Annotated[Path, typer.Argument(help="TOML file of the experiment", metavar="CONFIG.toml")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change one setting; may be repeated."),
]
Seed = Annotated[int | None, typer.Option(help="Short for --set run.seed=N.")]
Folder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Run folder; default: a fresh one under runs/.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --out from its last checkpoint.")]
Processes = Annotated[
    bool, typer.Option("--processes", help="Devices are processes of their own, on this host.")
]
DevicesAProcess = Annotated[
    int | None,
    typer.Option(
        "--count", metavar="N", min=1, show_default="1", help="Devices a process, with --processes."
    ),
]
Bind = Annotated[str, typer.Option(metavar="URL", help="Where devices connect.")]
KeyFolder = Annotated[
    Path | None, typer.Option("--keys", metavar="DIR", help="Keys, as airmeta keys made them.")
]
ServerUrl = Annotated[str, typer.Option("--server", metavar="URL", help="Where the server listens.")]
Name = Annotated[str, typer.Option("--id", metavar="NAME", help="Name of this process; no other has it.")]
Count = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, show_default="1, or one a radio", help="Devices that this process hosts."
    ),
]
First = Annotated[
    int,
    typer.Option(
        metavar="NUMBER", show_default="the lowest that are free", help="Number of the first of them."
    ),
]
Radio = Annotated[
    list[str] | None,
    typer.Option(metavar="URI", help="Radio of a device, e.g. ip:192.168.2.1; may be repeated."),
]
Leash = Annotated[bool, typer.Option("--leash", hidden=True, help="End when standard input does.")]


def arms_and_folder(
    config: Path, settings: Sequence[str] | None, seed: int | None, folder: Path | None, resume: bool
) -> tuple[list[Arm], Path]:
    """The arms of a file with what changes them, and the run's folder. ConfigError."""
    overrides = [*(settings or []), *([f"run.seed={seed}"] if seed is not None else [])]
    arms = load_arms(config, overrides)
    if resume and folder is None:
        raise ConfigError("--resume needs --out DIR, the folder of the run to continue")
    return arms, folder or Path("runs") / f"{config.stem}-{datetime.now():%Y%m%d-%H%M%S}"
