"""Timing by turns: rivals run one after the other, again and again, so that what else the machine does falls on all."""

import statistics
import time
from collections.abc import Callable, Mapping


def in_turns(
    rivals: Mapping[str, Callable[[], object]],
    repeats: int,
    warm_up: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of every run of every rival, `repeats` each, after `warm_up` runs that do not count.

    clock: `time.process_time` for rivals that keep to one thread and wait for nothing: others' turns do not count then.
    """
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(repeats + warm_up):
        for name, run in rivals.items():
            start = clock()
            run()
            if turn >= warm_up:
                seconds[name].append(clock() - start)
    return seconds


def show(title: str, seconds: Mapping[str, list[float]], rival: str, target: str = "") -> None:
    """One line a rival: its median, and the median over turns of its ratio to `rival`, with the range."""
    print(f"\n{title}" + (f"  (target: {target})" if target else ""))
    for name, times in seconds.items():
        ratios = [mine / theirs for mine, theirs in zip(times, seconds[rival], strict=True)]
        print(
            f"  {name:<34} {1e3 * statistics.median(times):9.2f} ms   x {statistics.median(ratios):5.2f} of {rival}"
            f"   ({min(ratios):.2f} to {max(ratios):.2f})"
        )
