"""Arguments and options of `airmeta calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Argument(help="TOML file of the radios, as of a run", metavar="CONFIG.toml")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change one setting; may be repeated."),
]
Folder = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Folder of the calibration; default: a fresh one under runs/."),
]
Long = Annotated[bool, typer.Option("--long", help="Follow the phase for 30 s instead of 2 s.")]
Busy = Annotated[bool, typer.Option("--busy", help="Measure although others send in the band.")]
BothWays = Annotated[
    bool,
    typer.Option(
        "--both-ways",
        help="Send from the receiver too: whether paths are reciprocal. Simulated radios do so in any case.",
    ),
]
Compare = Annotated[
    Path | None,
    typer.Option(
        "--compare",
        metavar="PROFILE.json",
        help="Say how alike an earlier calibration it is; default: the one that air.profile names, if it does.",
    ),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", help="Repeat the light part and show what drifts, until Ctrl-C; keeps nothing."),
]
Every = Annotated[
    float, typer.Option("--every", metavar="S", min=0.0, help="Seconds between looks, with --watch.")
]
Times = Annotated[int, typer.Option("--times", metavar="N", min=0, help="Looks, with --watch; 0: for ever.")]
