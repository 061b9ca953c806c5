"""Phase noise from probes: the phases of short pieces of them against what their channel makes of what was sent."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from calibration.analysis import ofdm_of
from calibration.burst import BurstEstimate
from calibration.frequency import remove_cfo
from calibration.mixer import Mixer, radiated
from calibration.phase_noise import burst_phases, estimate_phase_noise
from calibration.profile import interval
from calibration.waveforms import probe
from radio.capture import Capture, SentBurst
from radio.hardware_correction import ReceiveCorrection, restore
from radio.impairments import NEVER_DB
from radio.ofdm import OfdmConfig
from radio.pilot_layout import num_channel_taps

GROUP_LEN = 32  # samples; shorter ones see faster noise, and need more SNR
SEEN = 1e-3  # share of the strongest direction below which taps are not told apart
TERMS = 5  # at the edges of the band, half a sample late, the next one is 0.3 % of the signal
PADDING = 64  # samples behind a burst, so that its end and its start do not mix
LEAST_GROUP_SNR = 20.0  # linear: below, turns are miscounted
NOISIEST = 2.0  # times the least noise: probes with more hide more than they show in a mean
FASTEST_HZ = 100e3  # corner up to which a bound holds: of faster noise less is seen in a group
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What is known of both ends beside the oscillators: images look like phase noise. receiver: undone."""

    mixer: Mixer
    saturation_db: float
    smoothness: float
    receiver: ReceiveCorrection


NOTHING = Hardware(
    mixer=Mixer(0j, 0j), saturation_db=NEVER_DB, smoothness=3.0, receiver=ReceiveCorrection()
)  # that would still have to be undone


@dataclass(frozen=True, eq=False)
class Probe:
    """One that was heard. hardware: what of both ends is in it."""

    capture: Capture
    sent: SentBurst
    burst: BurstEstimate
    hardware: Hardware


def of_oscillator(probes: Sequence[Probe], noise_variance: float, at_s: float) -> dict[str, Any]:
    """Entries of a device, from its probes, all equally long; none where noise is too strong to tell.

    noise_variance: of a received sample.
    """
    seen = [each for each in (_phases(probe, noise_variance) for probe in probes) if each is not None]
    if not seen:
        return {}
    least = min(variance for _, variance in seen)
    seen = [each for each in seen if each[1] <= NOISIEST * least]
    rate_hz = probes[0].capture.config.sample_rate_hz
    phases = np.stack([each for each, _ in seen])
    variance = float(np.mean([each for _, each in seen]))
    interval_s = GROUP_LEN / rate_hz
    found = estimate_phase_noise(phases, interval_s, interval_s, variance, variance * 0.02)
    if not found.seen or not math.isfinite(found.rms_deg):
        highest = float(found.rms_interval_deg[1]) / math.sqrt(_common_share(FASTEST_HZ * interval_s))
        if not math.isfinite(highest):
            return {}
        return {"phase_noise_deg": interval(highest, highest, highest, at_s, "hardware", "upper")}
    if found.rms_deg < 2.0 * found.rms_std_deg or not math.isfinite(found.rms_interval_deg[1]):
        return {}
    entries = {"phase_noise_deg": interval(found.rms_deg, *found.rms_interval_deg, at_s, "hardware")}
    if found.corner_known and math.isfinite(found.corner_hz):
        entries["phase_noise_corner_hz"] = interval(
            found.corner_hz, *found.corner_interval_hz, at_s, "hardware"
        )
    return entries


def _common_share(corner: float) -> float:
    """Of the variance of one-pole noise, what is left in the mean over a time: corner in cycles over it."""
    turns = 2.0 * math.pi * corner
    return 2.0 / turns**2 * (turns - 1.0 + math.exp(-turns))


def _phases(probe: Probe, noise_variance: float) -> tuple[FloatArray, float] | None:
    """(num_groups,) and their variance through noise; None where that is too strong."""
    capture, burst = probe.capture, probe.burst
    ofdm = ofdm_of(capture)
    num_symbols = int(capture.facts["num_symbols"])
    expected = _expected(burst, probe.sent, num_symbols, probe.hardware, ofdm)
    received = capture.samples[burst.start : burst.start + len(expected)]
    received = restore(received, probe.hardware.receiver)
    still = remove_cfo(received, burst.cfo_hz - float(capture.facts["offset_hz"]), ofdm.sample_rate_hz)
    used = slice(2 * ofdm.prefix_len, len(expected) // GROUP_LEN * GROUP_LEN)
    power = float(np.mean(np.abs(expected[used]) ** 2))
    if power * GROUP_LEN < LEAST_GROUP_SNR * noise_variance:
        return None
    return burst_phases(still[used], expected[used].astype(np.complex64), GROUP_LEN, noise_variance)


def _expected(
    burst: BurstEstimate, sent: SentBurst, num_symbols: int, hardware: Hardware, ofdm: OfdmConfig
) -> NDArray[np.complex128]:
    """(num_samples,) what the channel makes of a probe, its offset taken away, from the estimate's first sample on.

    Sample clocks part during a probe: 10 ppm turn the edges of the band by 20 degrees until its end, the one up and the
    other down, which no mean of the phase shows and which would pass for phase noise.
    """
    since_start = (burst.middle - burst.start) / ofdm.sample_rate_hz
    response = burst.response * np.exp(-2j * np.pi * burst.cfo_hz * since_start)
    delays = np.arange(num_channel_taps(ofdm))
    turns = np.exp(-2j * np.pi * np.outer(ofdm.active_bins, delays) / ofdm.fft_len)
    taps = np.linalg.lstsq(turns, response, rcond=SEEN)[0]
    samples = np.float32(sent.level) * probe(sent.device, num_symbols, ofdm)
    left = radiated(samples, hardware.mixer, hardware.saturation_db, hardware.smoothness)
    return slid(scipy.signal.oaconvolve(left, taps)[: len(left)], burst.drift, burst.middle - burst.start)


def slid(samples: NDArray[np.complex128], drift: float, middle: float) -> NDArray[np.complex128]:
    """(num_samples,) of a band-limited signal, later by `drift` (n - middle) samples at sample n: less than one sample
    all over, by the first terms of Taylor's series."""
    late = drift * (np.arange(len(samples)) - middle)
    length = scipy.fft.next_fast_len(len(samples) + PADDING)
    spectrum = scipy.fft.fft(samples, length)
    turns = -2j * np.pi * np.fft.fftfreq(length)
    term, result = np.ones(len(samples)), samples.astype(np.complex128)
    for order in range(1, TERMS + 1):
        spectrum = spectrum * turns
        term = term * late / order
        result = result + term * scipy.fft.ifft(spectrum)[: len(samples)]
    return result
