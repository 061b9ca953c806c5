"""The order of a calibration: listen before anything is sent, meet every device, then one purpose a capture.

What is made of the captures is in `calibration/analysis.py`: only captures go from here to there, so that a recording
of them gives the same numbers.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from calibration.analysis import alone_estimates, refusal, silence_report
from calibration.bench import Bench, Emission, NotHeard
from calibration.waveforms import GUARD_SYMBOLS, PROBE_SYMBOLS, periodic_slot, probe, turn_len
from radio.capture import Capture
from radio.interface import RadioError
from radio.sounding import sounding_bursts

SILENCE_S = 0.05
ASIDE = 1 / 16  # of the sample rate: the band still lies within the receiver's
Tell = Callable[[str], None]


class BandBusy(RadioError):
    """Somebody else sends in the band; nothing was sent."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured. span_s: of the periodic soundings. ignore_busy: measure although others send."""

    span_s: float = 1.0
    ignore_busy: bool = False
    front_ends: bool = True
    amplifiers: bool = True
    levels: bool = True


def steps_of(extent: Extent, num_devices: int) -> int:
    """How often `calibrate` tells what it is at."""
    return 3 + num_devices


def calibrate(bench: Bench, extent: Extent, tell: Tell) -> tuple[dict[str, Capture], dict[int, str]]:
    """Every capture by its step, and of the devices that were not heard why.

    Raises BandBusy before anything is sent, NotHeard if nobody is heard, and what radios raise.
    """
    captures: dict[str, Capture] = {}
    tell("listening")
    captures["silence"] = listen(bench, extent.ignore_busy)
    missing = {}
    for device in bench.devices:
        tell(f"meeting device {device}")
        try:
            bench.meet(device)
        except NotHeard as error:
            missing[device] = str(error)
    if not bench.clocks:
        raise NotHeard("; ".join(missing.values()) or "there is no device to be measured")
    tell("each device alone")
    captures["alone"] = alone(bench, "alone")
    align(bench, captures["alone"])
    tell("all devices together")
    captures["together"] = together(bench, extent.span_s)
    if extent.front_ends:
        tell("each device alone, the receiver tuned aside")
        captures["aside"] = aside(bench)
    return captures, missing


def listen(bench: Bench, ignore_busy: bool = False) -> Capture:
    """The band before anything is sent. Raises BandBusy, with the level seen."""
    facts = numerology(bench) | bench.description()
    capture = bench.listen("silence", round(SILENCE_S * bench.ofdm.sample_rate_hz), facts)
    reason = refusal(silence_report(capture), bench.config().center_hz)
    if reason and not ignore_busy:
        raise BandBusy(reason)
    return capture


def alone(bench: Bench, step: str) -> Capture:
    """Each device that was met sends its probe in a turn of its own."""
    ofdm, devices = bench.ofdm, sorted(bench.clocks)
    turn, guard = turn_len(PROBE_SYMBOLS, ofdm), GUARD_SYMBOLS * ofdm.symbol_len

    def make(base: int) -> Iterator[Emission]:
        for place, device in enumerate(devices):
            samples = np.float32(bench.level) * probe(device, PROBE_SYMBOLS, ofdm)
            yield bench.emission(device, base + place * turn + guard, samples, "probe", bench.level)

    return bench.play(step, make, len(devices) * turn, numerology(bench))


def aside(bench: Bench) -> Capture:
    """As `alone`, with the receiver tuned so far aside that what its own mixer does lies elsewhere."""
    ofdm, devices = bench.ofdm, sorted(bench.clocks)
    bench.tune(round(ASIDE * ofdm.fft_len) * ofdm.sample_rate_hz / ofdm.fft_len)
    try:
        for device in devices:
            bench.meet(device)
        return alone(bench, "aside")
    finally:
        bench.tune(0.0)


def align(bench: Bench, capture: Capture) -> None:
    """Learn from probes where every device's clock stands."""
    exact = zip(capture.facts["departures"], capture.facts["arrivals"], strict=True)
    for (sent, found), (departure, arrival) in zip(alone_estimates(capture), exact, strict=True):
        bench.learn(sent.device, departure, found.start + found.delay_samples - arrival, found.cfo_hz)


def together(bench: Bench, span_s: float) -> Capture:
    """All devices that were met sound jointly, aligned, again and again."""
    ofdm, devices = bench.ofdm, tuple(sorted(bench.clocks))
    lead = GUARD_SYMBOLS * ofdm.symbol_len
    shape = periodic_slot(devices, lead, span_s, ofdm)

    def make(base: int) -> Iterator[Emission]:
        slot = periodic_slot(devices, base + lead, span_s, ofdm)
        corrected = type(slot)(**{**vars(slot), "corrections": dict(bench.clocks)})
        for device in devices:
            for burst in sounding_bursts(corrected, device, ofdm):
                scaled = burst._replace(samples=np.float32(bench.level) * burst.samples)
                yield Emission(device, scaled, "sounding", bench.level)

    facts = numerology(bench) | {
        "devices": list(devices),
        "slot_start": lead,
        "num_symbols": shape.num_symbols,
        "block_gaps": list(shape.block_gaps),
        "corrections": {str(device): asdict(clock) for device, clock in sorted(bench.clocks.items())},
    }
    return bench.play("together", make, shape.end_index(ofdm) + lead, facts)


def numerology(bench: Bench) -> dict[str, Any]:
    """What every capture has to say of its waveforms."""
    return {"ofdm": asdict(bench.ofdm), "level": bench.level, "max_cfo_hz": bench.max_cfo_hz}
