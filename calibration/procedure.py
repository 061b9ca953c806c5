"""The order of a calibration: listen before anything is sent, meet every device, then one purpose a capture.

What is made of the captures is in `calibration/analysis.py`: only captures go from here to there, so that a recording
of them gives the same numbers.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from calibration.analysis import CORRECTED, alone_estimates, refusal, silence_report
from calibration.bench import Bench, Emission
from calibration.meeting import NotHeard
from calibration.ramp import ramp
from calibration.repeats import repeat, sound_apart
from calibration.turns import BACK, GAIN_STEP, RECEIVE_GAIN_STEP, alone, in_turns, numerology
from calibration.verification import Verification
from calibration.waveforms import GUARD_SYMBOLS, SHORT_SYMBOLS, periodic_slot, scramble_of
from radio.capture import Capture
from radio.interface import FullScaleError, RadioError
from radio.sounding import sounding_bursts

SILENCE_S = 0.05
RAMP_DB, RAMP_STEP_DB, RAMP_REFERENCE_DB = 30.0, 1.5, 12.0  # below the top
RAMP_BACK_DB = 6.0  # by which the top is lowered where the receiver saturates
RAMP_SEED = 12
GAIN_STEPS_DB = (0.0, 0.25, 1.0, 2.0, 5.0, 10.0)
RECEIVE_STEPS_DB = (0.0, 1.0, 2.0, 3.0, 4.0, 8.0, 16.0)
MIN_GAIN_DB = -89.75  # of an AD936x
CERTAIN = 5.0  # standard deviations
ASIDE = 1 / 16  # of the sample rate: the band still lies within the receiver's
NUM_STARTS = 4
MEETINGS = 2  # a channel that fades may hide a preamble, not two that lie so far apart
Tell = Callable[[str], None]


class BandBusy(RadioError):
    """Somebody else sends in the band; nothing was sent."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured. span_s: of the periodic soundings. ignore_busy: measure although others send. both_ways:
    the receiver, a real radio, sends as well; a simulated one does in any case."""

    span_s: float = 1.0
    ignore_busy: bool = False
    front_ends: bool = True
    amplifiers: bool = True
    levels: bool = True
    repeats: bool = True
    both_ways: bool = False


def calibrate(
    bench: Bench, extent: Extent, tell: Tell, verification: Verification | None = None
) -> tuple[dict[str, Capture], dict[int, str]]:
    """Every capture by its step, and of the devices that were not heard why. verification: of the bench, makes it undo
    what was found, which is then measured again.

    Raises BandBusy before anything is sent, NotHeard if nobody is heard, and what radios raise.
    """
    captures: dict[str, Capture] = {}
    tell("listening")
    captures["silence"] = listen(bench, extent.ignore_busy)
    missing = meet(bench, bench.devices, tell)
    if not bench.clocks:
        first = next(iter(missing.values()), "there is none to be measured")
        raise NotHeard(f"none of {len(missing)} devices was heard: {first}")
    heard = tuple(sorted(bench.clocks))
    tell("each device alone")
    captures["alone"] = alone(bench, "alone")
    align(bench, captures["alone"])
    tell("all devices together")
    captures["together"] = together(bench, extent.span_s)
    if extent.levels and can_set_gain(bench):
        tell("steps of the transmit gain")
        captures |= gain_steps(bench)
        tell("steps of the receive gain")
        captures |= receive_gain_steps(bench)
    if extent.repeats:
        tell("again and again, and one after the other")
        captures |= repeat(bench)
        captures |= sound_apart(bench)
        if not bench.shares_start:
            start_again(bench, heard, tell)
    if extent.front_ends:
        tell("each device alone, the receiver tuned aside")
        captures["aside"] = aside(bench, "aside")
        if verification is not None:
            verification.correct_mixers(captures)
        meet(bench, heard, tell)
    if extent.amplifiers and bench.clocks:
        tell("amplifiers")
        captures["ramp"] = ramps(bench)
    if verification is not None:
        tell("working it out")
        captures |= measured_again(bench, extent, tell, verification.correct(captures))
    return captures, missing


def meet(bench: Bench, devices: Iterable[int], tell: Tell, whom: str = "") -> dict[int, str]:
    """Of those that were not heard why."""
    missing: dict[int, str] = {}
    for device in devices:
        for attempt in range(MEETINGS):
            tell(f"meeting {whom}device {device}" + " again" * (attempt > 0))
            try:
                bench.meet(device)
                missing.pop(device, None)
                break
            except NotHeard as error:
                missing[device] = str(error)
    return missing


def start_again(bench: Bench, devices: Iterable[int], tell: Tell) -> None:
    """Some more meetings, for how long they take."""
    for _ in range(NUM_STARTS):
        meet(bench, devices, tell)


def measured_again(bench: Bench, extent: Extent, tell: Tell, undone: Mapping[str, Any]) -> dict[str, Capture]:
    """Captures of those that were met, through corrections. undone: what these are, for whoever evaluates them."""
    captures: dict[str, Capture] = {}
    facts = {"undone": dict(undone)}
    try:
        if bench.clocks:
            tell("each device alone, corrected")
            step = "alone" + CORRECTED
            captures[step] = alone(bench, step, facts=facts)
            if extent.front_ends:
                tell("each device alone, corrected, the receiver tuned aside")
                step = "aside" + CORRECTED
                captures[step] = aside(bench, step, facts)
    except FullScaleError as error:
        tell(f"not measured through its correction: {error}")
    return captures


def send_back(bench: Bench, device: int, tell: Tell) -> dict[str, Capture]:
    """A device's probe as the receiver sends it and the device hears it, by step. bench: with their places exchanged.

    Raises NotHeard, and what radios raise.
    """
    if meet(bench, [device], tell, "the receiver, heard by "):
        raise NotHeard(
            f"device {device} did not hear the receiver; see that the receiver's transmit port and the device's "
            "receive port are connected, or measure one way only, without --both-ways"
        )
    step = f"{BACK}{device}"
    return {step: alone(bench, step)}


def listen(bench: Bench, ignore_busy: bool = False) -> Capture:
    """The band before anything is sent. Raises BandBusy, with the level seen."""
    facts = numerology(bench) | bench.description()
    capture = bench.listen("silence", round(SILENCE_S * bench.ofdm.sample_rate_hz), facts)
    if not np.any(capture.samples):
        raise RadioError(
            f"all {len(capture.samples)} samples of the receiver are zero, not even its noise is seen; raise "
            f"radio.rx_gain_db from {capture.config.rx_gain_db:g}"
        )
    reason = refusal(silence_report(capture), bench.config().center_hz)
    if reason and not ignore_busy:
        raise BandBusy(reason)
    return capture


def ramps(bench: Bench) -> Capture:
    """Each device's amplifier at rising levels, up to full scale or what the receiver takes."""
    top_db = min(20.0 * math.log10(bench.tone_room), 0.0)
    while True:
        levels_db = np.arange(top_db, top_db - RAMP_DB, -RAMP_STEP_DB).tolist()
        shape = ramp(levels_db, np.random.default_rng(RAMP_SEED), reference_db=top_db - RAMP_REFERENCE_DB)
        facts = {
            "ramp": asdict(shape),
            "cfos_hz": {str(device): clock.cfo_hz for device, clock in sorted(bench.clocks.items())},
        }
        try:
            return in_turns(bench, "ramp", dict.fromkeys(bench.clocks, shape.samples), "ramp", 1.0, facts)
        except FullScaleError:
            top_db -= RAMP_BACK_DB
            if top_db < -RAMP_DB:
                raise


def can_set_gain(bench: Bench) -> bool:
    """Whether the transmitters have a gain to be set."""
    device = bench.devices[0]
    held_db = bench.config(device).tx_gain_db
    try:
        bench.set_gain(device, held_db - GAIN_STEPS_DB[-1])
        return True
    except RadioError:
        return False
    finally:
        bench.set_gain(device, held_db)


def gain_steps(bench: Bench) -> dict[str, Capture]:
    """Short probes at settings below the present one, which no safety limit forbids; by step."""
    held_db = {device: bench.config(device).tx_gain_db for device in bench.clocks}
    captures = {}
    try:
        for number, step_db in enumerate(GAIN_STEPS_DB):
            for device, gain_db in held_db.items():
                bench.set_gain(device, max(gain_db - step_db, MIN_GAIN_DB))
            captures[f"{GAIN_STEP}{number}"] = alone(bench, f"{GAIN_STEP}{number}", SHORT_SYMBOLS)
    finally:
        for device, gain_db in held_db.items():
            bench.set_gain(device, gain_db)
    return captures


def receive_gain_steps(bench: Bench) -> dict[str, Capture]:
    """Short probes at settings from the present one down, as far as the receiver has them; by step."""
    held_db = bench.config().rx_gain_db
    captures = {}
    try:
        for number, step_db in enumerate(RECEIVE_STEPS_DB):
            try:
                bench.set_receive_gain(held_db - step_db)
            except RadioError:  # lower than it goes
                break
            captures[f"{RECEIVE_GAIN_STEP}{number}"] = alone(
                bench, f"{RECEIVE_GAIN_STEP}{number}", SHORT_SYMBOLS
            )
    finally:
        bench.set_receive_gain(held_db)
    return captures


def aside(bench: Bench, step: str, facts: Mapping[str, Any] | None = None) -> Capture:
    """As `alone`, with the receiver tuned so far aside that what its own mixer does lies elsewhere."""
    ofdm, devices = bench.ofdm, sorted(bench.clocks)
    bench.tune(round(ASIDE * ofdm.fft_len) * ofdm.sample_rate_hz / ofdm.fft_len)
    try:
        for device in devices:
            bench.meet(device)
        return alone(bench, step, facts=facts)
    finally:
        bench.tune(0.0)


def align(bench: Bench, capture: Capture) -> None:
    """Learn from probes where every device's clock stands, and how fast it runs: as its carrier says, unless delays
    tell that another crystal drives it."""
    exact = zip(capture.facts["departures"], capture.facts["arrivals"], strict=True)
    for (sent, found), (departure, arrival) in zip(alone_estimates(capture), exact, strict=True):
        drift = -found.cfo_hz / capture.config.center_hz
        if abs(found.drift - drift) > CERTAIN * found.drift_std:
            drift = found.drift
        bench.learn(sent.device, departure, found.start + found.delay_samples - arrival, found.cfo_hz, drift)


def together(bench: Bench, span_s: float) -> Capture:
    """All devices that were met sound jointly, aligned, again and again."""
    ofdm, devices = bench.ofdm, tuple(sorted(bench.clocks))
    lead = GUARD_SYMBOLS * ofdm.symbol_len
    shape = periodic_slot(devices, lead, span_s, ofdm)

    def make(base: int) -> Iterator[Emission]:
        slot = periodic_slot(devices, base + lead, span_s, ofdm)
        corrected = type(slot)(**{**vars(slot), "corrections": dict(bench.clocks)})
        scramble = scramble_of(slot)
        for place, device in enumerate(devices):
            bursts = sounding_bursts(corrected, device, ofdm)  # one a block, as there is silence before each
            for block, burst in enumerate(bursts):
                samples = np.float32(bench.level) * scramble.blocks[block, place] * burst.samples
                samples[-slot.block_len(ofdm) :] *= scramble.samples(block, ofdm)
                yield Emission(device, burst._replace(samples=samples), "sounding", bench.level)

    facts = numerology(bench) | {
        "devices": list(devices),
        "slot_start": lead,
        "num_symbols": shape.num_symbols,
        "block_gaps": list(shape.block_gaps),
        "corrections": {str(device): asdict(clock) for device, clock in sorted(bench.clocks.items())},
    }
    return bench.play("together", make, shape.end_index(ofdm) + lead, facts)
