"""Bursts of one device after the other, and what every capture says of its waveforms."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from calibration.bench import Bench, Emission
from calibration.waveforms import GUARD_SYMBOLS, PROBE_SYMBOLS, probe
from radio.capture import Capture
from radio.interface import Samples

# What the steps begin with in which a device listens to the receiver, and those of gain settings.
BACK, GAIN_STEP, RECEIVE_GAIN_STEP = "back ", "gain ", "receive gain "


def alone(
    bench: Bench, step: str, num_symbols: int = PROBE_SYMBOLS, facts: Mapping[str, Any] | None = None
) -> Capture:
    """Each device that was met sends its probe in a turn of its own. facts: for whoever evaluates it."""
    ofdm, level = bench.ofdm, np.float32(bench.level)
    bursts = {device: level * probe(device, num_symbols, ofdm) for device in bench.clocks}
    return in_turns(bench, step, bursts, "probe", bench.level, {"num_symbols": num_symbols, **(facts or {})})


def in_turns(
    bench: Bench, step: str, bursts: Mapping[int, Samples], label: str, level: float, facts: dict[str, Any]
) -> Capture:
    """One device after the other sends a burst, all equally long, with silence between them."""
    guard = GUARD_SYMBOLS * bench.ofdm.symbol_len
    turn = 2 * guard + max(map(len, bursts.values()))

    def make(base: int) -> Iterator[Emission]:
        for place, device in enumerate(sorted(bursts)):
            yield bench.emission(device, base + place * turn + guard, bursts[device], label, level)

    return bench.play(step, make, len(bursts) * turn, numerology(bench) | facts)


def numerology(bench: Bench) -> dict[str, Any]:
    """What every capture has to say of its waveforms."""
    return {"ofdm": asdict(bench.ofdm), "level": bench.level, "max_cfo_hz": bench.max_cfo_hz}
