"""Arguments and options of the commands, but those of `airmeta air`, and what they come to."""

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
LabFile = Annotated[
    Path | None,
    typer.Option(
        "--lab", metavar="LAB.toml", help="Inventory (docs/lab.md): gives what other options do not."
    ),
]
LabOfNames = Annotated[
    Path | None,
    typer.Option("--lab", metavar="LAB.toml", help="Inventory (docs/lab.md): keys for all devices in it."),
]
LabHere = Annotated[
    Path | None,
    typer.Option(
        "--lab", metavar="LAB.toml", help="Inventory (docs/lab.md): what this host has to do with it."
    ),
]
LabName = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="NAME",
        show_default="all on this host",
        help="One process of --lab, or server, as if this were its host.",
    ),
]
Bind = Annotated[
    str | None,
    typer.Option(metavar="URL", show_default=f"of --lab, or {BIND}", help="Where devices connect."),
]
KeyFolder = Annotated[
    Path | None,
    typer.Option(
        "--keys", metavar="DIR", show_default="of --lab, or none", help="Keys, as airmeta keys made them."
    ),
]
ServerUrl = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", show_default="of --lab", help="Where the server listens."),
]
Name = Annotated[str, typer.Option("--id", metavar="NAME", help="Name of this process; no other has it.")]
Count = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        show_default="of --lab, or 1, or one a radio",
        help="Devices that this process hosts.",
    ),
]
First = Annotated[
    int,
    typer.Option(
        metavar="NUMBER",
        show_default="of --lab, or the lowest that are free",
        help="Number of the first of them.",
    ),
]
Radio = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URI",
        show_default="of --lab, or none",
        help="Radio of a device, e.g. ip:192.168.2.1; may be repeated.",
    ),
]
NewKeyFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the keys")]
KeyNames = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Devices, by --id")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a run, or of one of its arms")]
RecordingPath = Annotated[
    Path,
    typer.Argument(metavar="RECORDING", help="Path of a SigMF recording, with or without its suffix"),
]
Examined = Annotated[
    list[str] | None,
    typer.Option(metavar="URI", help="Examine a radio, e.g. ip:192.168.2.1; may be repeated."),
]
Radios = Annotated[list[str] | None, typer.Argument(metavar="[URI]...", help="Radios")]
Log = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Keep a log of JSON lines; stderr has words all the same.")
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


def check_name_of_lab(name: str | None, lab: Path | None) -> None:
    """ConfigError for an option without effect."""
    if name is not None and lab is None:
        raise ConfigError(f"--id {name} has no effect without --lab; add it, or leave --id out")
