"""From captures to a profile: pure functions, the same on live captures and on recorded ones."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from calibration.amplifier import CompressionEstimate, estimate_compression
from calibration.burst import BurstEstimate, estimate_burst
from calibration.frequency import remove_cfo
from calibration.iq import FrontEndEstimate, estimate_front_ends
from calibration.ramp import Ramp
from calibration.search import MARGIN, Searcher
from calibration.soundings import Soundings
from calibration.spectrum import OccupancyEstimate, estimate_occupancy
from calibration.waveforms import probe_symbols, scramble_of
from radio.capture import Capture, SentBurst
from radio.correction import Correction
from radio.interface import RadioError
from radio.ofdm import OfdmConfig, demodulate
from radio.pilot_layout import num_channel_taps
from radio.preamble import device_identity, preamble_len
from radio.sounding import SoundingSlot, separate
from radio.zadoff_chu import sounding_amplitudes

MOST_RESPONSES = 16_000  # of devices in symbols, that are held at once: 50 MB
PRESENT_FALSE_ALARM = 1e-6  # per sample; where a burst has to be, a few hundred are looked at
CORRECTED = " corrected"  # ends the name of a step that was done again through corrections
Complex = NDArray[np.complex128]
Found = tuple[SentBurst, float, BurstEstimate | None]
# A capture never changes, and many ask what was in it.
_probes_of: WeakKeyDictionary[Capture, tuple[Found, ...]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Together:
    """Periodic joint soundings. gains: (num_blocks, num_devices, num_active) as corrected at the devices; instants_s:
    (num_blocks,) middles; error_variances: (num_devices,) of a gain. phasors: (num_blocks, num_symbols, num_devices)
    what each symbol's channel is of its block's, about 1."""

    devices: tuple[int, ...]
    corrections: Mapping[int, Correction]
    gains: Complex
    instants_s: NDArray[np.float64]
    error_variances: NDArray[np.float64]
    noise_variance: float
    phasors: Complex


def ofdm_of(capture: Capture) -> OfdmConfig:
    """Of the waveforms that a capture was made for."""
    return OfdmConfig(**capture.facts["ofdm"])


def silence_report(capture: Capture) -> OccupancyEstimate:
    """What is on the air while nobody here sends."""
    return estimate_occupancy(capture.samples, capture.config.sample_rate_hz)


def refusal(seen: OccupancyEstimate, center_hz: float) -> str:
    """Why nothing may be sent, empty if it may."""
    if not seen.busy:
        return ""
    where = f"{(center_hz + seen.strongest_offset_hz) / 1e6:.3f} MHz"
    return (
        f"the band is busy: {seen.strongest_dbfs:.1f} dBFS at {where}, {seen.strongest_over_floor_db:.1f} dB over the "
        f"noise, {100.0 * max(seen.occupied_share, seen.active_share):.0f} % of it in use; stop whoever sends there, "
        "choose another radio.center_hz, or measure all the same with --busy"
    )


def alone_estimates(capture: Capture) -> Iterator[tuple[SentBurst, BurstEstimate]]:
    """Of every probe in a capture. Raises RadioError for one that is not there."""
    for sent, _, burst in _probes(capture):
        if burst is None:
            raise RadioError(
                f"device {sent.device} was heard when it was met and not when it sent its probe; "
                "its clock has slipped, or its transmitter has stopped"
            )
        yield sent, burst


def heard_estimates(capture: Capture) -> Iterator[tuple[SentBurst, float, BurstEstimate]]:
    """(what was sent, sample at which it was meant to arrive, what was found) of the probes that are there: a channel
    that fades may hide one now and then."""
    for sent, arrival, burst in _probes(capture):
        if burst is not None:
            yield sent, arrival, burst


def _probes(capture: Capture) -> tuple[Found, ...]:
    found = _probes_of.get(capture)
    if found is None:
        found = _probes_of[capture] = tuple(_sought(capture))
    return found


def _sought(capture: Capture) -> Iterator[Found]:
    ofdm = ofdm_of(capture)
    searcher = Searcher(ofdm=ofdm, max_cfo_hz=float(capture.facts["max_cfo_hz"]))
    lead = ofdm.prefix_len // 4
    offset_hz = float(capture.facts["offset_hz"])
    offset = _offset_beside(capture, lead)
    for sent, start in zip(capture.sent, capture.facts["arrivals"], strict=True):
        first = max(math.floor(start) - 2 * lead - MARGIN, 0)
        window = capture.samples[first : math.ceil(start) + sent.num_samples + 4 * lead]
        window = remove_cfo(window - offset, -offset_hz, ofdm.sample_rate_hz)
        head = window[: preamble_len(ofdm) + 4 * lead + 2 * MARGIN]
        path = searcher.locate(head, device_identity(sent.device), PRESENT_FALSE_ALARM)
        if path is None or path.delay_samples < lead:  # so early, it is something else that looks like it
            yield sent, float(start), None
            continue
        found = estimate_burst(
            window,
            sent.device,
            int(capture.facts["num_symbols"]),
            ofdm,
            start=path.delay_samples,
            cfo_hz=path.cfo_hz,
            level=sent.level,
            num_taps=num_channel_taps(ofdm),
            lead=lead,
        )
        yield sent, float(start), replace(found, start=found.start + first, middle=found.middle + first)


def _offset_beside(capture: Capture, lead: int) -> complex:
    """The receiver's DC, in the silence around bursts: within them it is no other than what they carry there."""
    quiet = np.ones(len(capture.samples), dtype=bool)
    for sent, start in zip(capture.sent, capture.facts["arrivals"], strict=True):
        quiet[max(math.floor(start) - lead, 0) : math.ceil(start) + sent.num_samples + 4 * lead] = False
    return complex(capture.samples[quiet].mean(dtype=np.complex128)) if quiet.any() else 0j


def aside_estimates(capture: Capture) -> Iterator[tuple[int, FrontEndEstimate]]:
    """(device, both front ends) of every probe that is heard in a capture for which the receiver was tuned aside."""
    ofdm, offset_hz = ofdm_of(capture), float(capture.facts["offset_hz"])
    num_symbols = int(capture.facts["num_symbols"])
    symbols = probe_symbols(num_symbols, ofdm)
    for sent, _, burst in heard_estimates(capture):
        first = burst.start + preamble_len(ofdm)
        received = capture.samples[first : first + num_symbols * ofdm.symbol_len]
        yield (
            sent.device,
            estimate_front_ends(received, np.float32(sent.level) * symbols, ofdm, burst.cfo_hz - offset_hz),
        )


def ramp_estimates(capture: Capture) -> Iterator[tuple[int, CompressionEstimate]]:
    """(device, amplifier) of every ramp in a capture."""
    facts, rate_hz = capture.facts["ramp"], capture.config.sample_rate_hz
    shape = Ramp(**{**facts, "levels_db": tuple(facts["levels_db"])})
    for sent, start in zip(capture.sent, capture.facts["arrivals"], strict=True):
        first = round(start)
        received = capture.samples[first : first + sent.num_samples]
        yield (
            sent.device,
            estimate_compression(received, shape, rate_hz, capture.facts["cfos_hz"][str(sent.device)]),
        )


def together_estimates(capture: Capture) -> Together:
    """Of periodic joint soundings."""
    ofdm, facts = ofdm_of(capture), capture.facts
    devices = tuple(facts["devices"])
    slot = SoundingSlot(
        round=0,
        devices=devices,
        start_index=facts["slot_start"],
        num_symbols=facts["num_symbols"],
        block_gaps=tuple(facts["block_gaps"]),
    )
    lead, level = ofdm.prefix_len // 4, np.float32(facts["level"])
    num_blocks, block_len = len(slot.block_gaps), slot.block_len(ofdm)
    pilots = np.stack([sounding_amplitudes(slot.layout(ofdm), place) for place in range(len(devices))])
    gains = np.empty((num_blocks, len(devices), ofdm.num_active), dtype=np.complex128)
    phasors = np.empty((num_blocks, slot.num_symbols, len(devices)), dtype=np.complex128)
    scramble = scramble_of(slot)
    errors, noise = np.zeros(len(devices)), 0.0
    starts = [slot.block_index(block, ofdm) - lead for block in range(num_blocks)]
    for block, start in enumerate(starts):
        samples = capture.samples[start : start + block_len] * scramble.samples(block, ofdm).conj() / level
        found = separate(samples, slot, ofdm)
        gains[block] = found.gains * scramble.blocks[block].conj()[:, None]
        errors += found.error_variances.mean(axis=1) / num_blocks
        noise += found.noise_variance / num_blocks
        phasors[block] = _phasors(demodulate(samples, ofdm), found.gains, pilots)
    middles = (np.array(starts) + lead + block_len / 2.0) / ofdm.sample_rate_hz
    corrections = {int(device): Correction(**each) for device, each in facts["corrections"].items()}
    return Together(devices, corrections, gains, middles, errors, noise, phasors)


def soundings_of(together: Together, ofdm: OfdmConfig) -> Soundings:
    """As the estimators of clocks and channels take them."""
    return Soundings(
        gains=together.gains,
        instants_s=together.instants_s,
        error_variances=together.error_variances,
        ofdm=ofdm,
        num_taps=num_channel_taps(ofdm),
    )


def symbols_of(together: Together, ofdm: OfdmConfig) -> Soundings:
    """The same, symbol by symbol, for what is faster than a block: of as many blocks as a memory of theirs allows."""
    num_blocks, num_symbols, num_devices = together.phasors.shape
    stride = math.ceil(num_blocks * num_symbols * num_devices / MOST_RESPONSES)
    phasors, gains = together.phasors[::stride], together.gains[::stride]
    symbol_s = ofdm.symbol_len / ofdm.sample_rate_hz
    within_s = (np.arange(num_symbols) - (num_symbols - 1) / 2.0) * symbol_s
    return Soundings(
        gains=(phasors[..., None] * gains[:, None]).reshape(-1, num_devices, ofdm.num_active),
        instants_s=(together.instants_s[::stride, None] + within_s).ravel(),
        error_variances=np.full(num_devices, together.noise_variance),
        ofdm=ofdm,
    )


def _phasors(rows: NDArray[np.complex64], gains: Complex, pilots: NDArray[np.complex64]) -> Complex:
    """(num_symbols, num_devices) by least squares: which multiple of each device's channel a symbol holds."""
    parts = gains[None] * pilots.transpose(1, 0, 2)  # (num_symbols, num_devices, num_active)
    crossed = np.einsum("sik,sjk->sij", parts.conj(), parts)
    seen = np.einsum("sik,sk->si", parts.conj(), rows.astype(np.complex128))
    return np.asarray(np.linalg.solve(crossed, seen[..., None])[..., 0])
