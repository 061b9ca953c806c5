"""What repetition tells: how far bursts arrive from where the last ones did, and who is heard in another's place."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from calibration.analysis import heard_estimates, ofdm_of
from calibration.bench import Bench, Emission
from calibration.burst import BurstEstimate
from calibration.crosstalk import CrosstalkEstimate, estimate_crosstalk
from calibration.jitter import JitterEstimate, estimate_jitter
from calibration.mean_response import MeanResponse, mean_response
from calibration.turns import alone, numerology
from calibration.waveforms import BLOCK_SYMBOLS, GUARD_SYMBOLS
from radio.capture import Capture
from radio.ofdm import OfdmConfig
from radio.pilot_layout import num_channel_taps
from radio.sounding import SoundingSlot, separate, sounding_bursts

NUM_REPEATS = 8
AGAIN, ONLY, ALL = "again ", "only ", "only all"


def repeat(bench: Bench) -> dict[str, Capture]:
    """Probes, each asked for anew; by step."""
    return {f"{AGAIN}{number}": alone(bench, f"{AGAIN}{number}") for number in range(NUM_REPEATS)}


def sound_apart(bench: Bench) -> dict[str, Capture]:
    """The same joint sounding by one device after the other, and by all; by step."""
    devices = tuple(sorted(bench.clocks))
    captures = {f"{ONLY}{device}": _sound(bench, devices, (device,), f"{ONLY}{device}") for device in devices}
    return captures | {ALL: _sound(bench, devices, devices, ALL)}


def jitters(captures: Mapping[str, Capture]) -> dict[int, JitterEstimate]:
    """Of each device that was heard each time, the drift of its clock taken out."""
    seen: dict[int, list[tuple[float, float, float]]] = {}
    for step in (step for step in captures if step.startswith(AGAIN)):
        capture = captures[step]
        for sent, arrival, burst in heard_estimates(capture):
            late = burst.start + burst.delay_samples - arrival
            at_s = (capture.start_index + arrival) / capture.config.sample_rate_hz
            seen.setdefault(sent.device, []).append((late, burst.delay_std_samples, at_s))
    found = {}
    for device, points in seen.items():
        lates, stds, times_s = (np.array(column) for column in zip(*points, strict=True))
        if len(points) == NUM_REPEATS:
            found[device] = estimate_jitter(lates, stds, times_s)
    return found


def long_probes(captures: Mapping[str, Capture]) -> Iterator[Capture]:
    """Captures of probes at the transmitters' carrier that are as long as the first ones, these first."""
    first = captures.get("alone")
    if first is not None:
        num_symbols = first.facts["num_symbols"]
        yield first
        for step, capture in captures.items():
            if step.startswith(AGAIN) and capture.facts["num_symbols"] == num_symbols:
                yield capture


def mean_responses(captures: Mapping[str, Capture], ofdm: OfdmConfig) -> dict[int, MeanResponse]:
    """By device, of all its long probes that were heard."""
    bursts: dict[int, list[BurstEstimate]] = {}
    for capture in long_probes(captures):
        for sent, _, burst in heard_estimates(capture):
            bursts.setdefault(sent.device, []).append(burst)
    return {device: mean_response(each, ofdm) for device, each in bursts.items()}


def crosstalk(captures: Mapping[str, Capture]) -> tuple[tuple[int, ...], CrosstalkEstimate] | None:
    """(devices, who is heard in whose place); None where it was not measured."""
    if ALL not in captures:
        return None
    ofdm, devices = ofdm_of(captures[ALL]), tuple(captures[ALL].facts["devices"])
    together, together_variance = _gains(captures[ALL], ofdm)
    rows = [_gains(captures[f"{ONLY}{device}"], ofdm) for device in devices]
    alone_gains = np.stack([gains for gains, _ in rows])
    variances = np.stack([variance for _, variance in rows])
    try:
        seen = estimate_crosstalk(
            alone_gains,
            together,
            variances,
            together_variance,
            num_channel_taps(ofdm),
            comparisons=max(len(devices) - 1, 1),  # of each device the worst is stated
        )
    except ValueError:  # one of them was in a fade, and there is nothing to compare with
        return None
    return devices, seen


def _sound(bench: Bench, devices: tuple[int, ...], senders: tuple[int, ...], step: str) -> Capture:
    ofdm, lead = bench.ofdm, GUARD_SYMBOLS * bench.ofdm.symbol_len
    shape = SoundingSlot(round=0, devices=devices, start_index=lead, num_symbols=BLOCK_SYMBOLS)

    def make(base: int) -> Iterator[Emission]:
        slot = replace(shape, start_index=base + lead, corrections=dict(bench.clocks))
        for device in senders:
            for burst in sounding_bursts(slot, device, ofdm):
                scaled = burst._replace(samples=np.float32(bench.level) * burst.samples)
                yield Emission(device, scaled, "sounding", bench.level)

    facts: dict[str, Any] = {
        "devices": list(devices),
        "slot_start": lead,
        "corrections": {str(device): asdict(clock) for device, clock in sorted(bench.clocks.items())},
    }
    return bench.play(step, make, shape.end_index(ofdm) + lead, numerology(bench) | facts)


def _gains(capture: Capture, ofdm: OfdmConfig) -> tuple[np.ndarray, np.ndarray]:
    """(num_devices, num_active) in everybody's place, and the error variance of each place."""
    devices = tuple(capture.facts["devices"])
    slot = SoundingSlot(
        round=0, devices=devices, start_index=capture.facts["slot_start"], num_symbols=BLOCK_SYMBOLS
    )
    first = slot.block_index(0, ofdm) - ofdm.prefix_len // 4
    block = capture.samples[first : first + slot.block_len(ofdm)] / np.float32(capture.facts["level"])
    found = separate(block, slot, ofdm)
    return found.gains, found.error_variances.mean(axis=1)
