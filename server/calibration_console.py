"""What a person sees of a calibration in the terminal: the step it is at, and a row a device at the end."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from calibration.profile import DeviceProfile, Entry, Profile
from calibration.words import judge, rounded, shown

COLUMNS = {
    "snr_db": "SNR dB",
    "gain_db": "gain dB",
    "cfo_hz": "CFO Hz",
    "sro_ppm": "SRO ppm",
    "phase_noise_deg": "phase noise deg",
    "coherence_time_s": "coherence s",
    "image": "image dB",
    "leakage": "leakage dBFS",
    "compression_db": "1 dB point dBFS",
}


@contextmanager
def steps_of(console: Console) -> Iterator[Callable[[str], None]]:
    """Yields what is to be told of every step; a line each where the console is no terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    begun_s = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("")

        def tell(step: str) -> None:
            progress.update(task, description=step)
            if not console.is_terminal:
                console.print(f"{time.monotonic() - begun_s:6.1f} s  {step}", highlight=False)

        yield tell


def print_profile(console: Console, profile: Profile, missing: Mapping[int, str]) -> None:
    """One row a device, then what is to be said of it in words."""
    there = [name for name in COLUMNS if any(getattr(each, name) is not None for each in profile.devices)]
    table = Table(box=None, pad_edge=False)
    table.add_column("device")
    for name in there:
        table.add_column(COLUMNS[name], justify="right")
    for each in profile.devices:
        table.add_row(str(each.device), *(_cell(each, name) for name in there))
    console.print(table, highlight=False)
    for each in profile.devices:
        verdict, remedy = judge(each, missing.get(each.device, ""))
        said = verdict if verdict == "good" else f"{verdict}: {remedy}"
        console.print(f"device {each.device}: {said}", highlight=False, markup=False, soft_wrap=True)


def _cell(device: DeviceProfile, name: str) -> str:
    entry = getattr(device, name)
    if entry is None:
        return "-"
    if isinstance(entry, Entry) and not entry.bound:
        return rounded(entry)
    return shown(name, entry).split(" (")[0].replace("below ", "<").replace("above ", ">")
