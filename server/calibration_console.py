"""What a person sees of a calibration in the terminal: the step it is at, and a row a device at the end."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from calibration.before_after import summary
from calibration.profile import DeviceProfile, Entry, Profile
from calibration.watch import Sight
from calibration.words import judge, rounded, shown

COLUMNS = {
    "snr_db": "SNR dB",
    "gain_db": "gain dB",
    "cfo_hz": "CFO Hz",
    "phase_noise_deg": "phase noise deg",
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


@contextmanager
def shown_live(console: Console, num_devices: int) -> Iterator[Callable[[Mapping[int, Sight]], None]]:
    """Yields what shows a look: a table that is drawn anew, or lines where the console is no terminal."""
    begun_s = time.monotonic()
    before: dict[int, Sight] = {}

    def drawn(seen: Mapping[int, Sight]) -> Table:
        table = Table(box=None, pad_edge=False, title=f"{time.monotonic() - begun_s:.0f} s; Ctrl-C ends")
        for heading in (
            "device",
            "SNR dB",
            "gain dB",
            "CFO Hz",
            "phase deg",
            "delay samples",
            "since the last look",
        ):
            table.add_column(heading, justify="right" if heading != "since the last look" else "left")
        for device in range(num_devices):
            table.add_row(str(device), *_look(seen.get(device), before.get(device)))
        before.clear()
        before.update(seen)
        return table

    if not console.is_terminal:
        yield lambda seen: console.print(drawn(seen), highlight=False)
        return
    with Live(console=console, auto_refresh=False) as live, suppress(KeyboardInterrupt):
        yield lambda seen: live.update(drawn(seen), refresh=True)


def _look(now: Sight | None, last: Sight | None) -> list[str]:
    if now is None:
        return ["-"] * 5 + ["not heard"]
    values = [
        f"{now.snr_db:.1f}",
        f"{now.gain_db:.2f}",
        f"{now.cfo_hz:.2f}",
        f"{math.degrees(now.phase_rad):.1f}",
        f"{now.delay_samples:.3f}",
    ]
    if last is None:
        return [*values, ""]
    turned = math.degrees(math.remainder(now.phase_rad - last.phase_rad, math.tau))
    return [
        *values,
        f"{now.gain_db - last.gain_db:+.2f} dB, {turned:+.1f} deg, {now.cfo_hz - last.cfo_hz:+.2f} Hz",
    ]


def print_profile(
    console: Console, profile: Profile, missing: Mapping[int, str], deaf: Mapping[int, str]
) -> None:
    """One row a device, then what is to be said of it in words, and what correcting it changes. deaf: why devices did
    not hear the receiver."""
    there = [name for name in COLUMNS if any(getattr(each, name) is not None for each in profile.devices)]
    table = Table(box=None, pad_edge=False)
    table.add_column("device")
    for name in there:
        table.add_column(COLUMNS[name], justify="right")
    for each in profile.devices:
        table.add_row(str(each.device), *(_cell(each, name) for name in there))
    console.print(table, highlight=False)
    for each in profile.devices:
        faults = judge(each, profile.shared_clock, missing.get(each.device, ""))
        for what, remedy in faults or [("good", "")]:
            said = f"{what}: {remedy}" if remedy else what
            console.print(f"device {each.device}: {said}", highlight=False, markup=False, soft_wrap=True)
    for device, why in sorted(deaf.items()):
        said = f"device {device}: not measured both ways: {why}"
        console.print(said, highlight=False, markup=False, soft_wrap=True)
    if line := summary(profile):
        console.print(line, highlight=False, soft_wrap=True)


def _cell(device: DeviceProfile, name: str) -> str:
    entry = getattr(device, name)
    if entry is None:
        return "-"
    if isinstance(entry, Entry) and not entry.bound:
        return rounded(entry)
    return shown(name, entry).split(" (")[0].replace("below ", "<").replace("above ", ">")
