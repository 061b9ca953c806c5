"""What the probe of one device tells, as entries of a profile: power, noise, response, paths, delay."""

import math
from collections.abc import Sequence
from typing import Any

from calibration.burst import BurstEstimate
from calibration.delay import remove_delay
from calibration.hardware_findings import mean_power
from calibration.mean_response import MeanResponse
from calibration.multipath import estimate_multipath
from calibration.power import NoiseEstimate
from calibration.profile import VALID_S, Entry, ResponseEntry, estimate, interval
from radio.capture import Capture, SentBurst
from radio.decibel import to_db
from radio.interface import EPOCH_LEN
from radio.ofdm import OfdmConfig
from radio.pilot_layout import num_channel_taps

DB_PER_SHARE = 10.0 / math.log(10.0)


def of_probe(
    sent: SentBurst,
    burst: BurstEstimate,
    mean: MeanResponse,
    noise: NoiseEstimate,
    ofdm: OfdmConfig,
    at_s: float,
) -> dict[str, Any]:
    """mean: of the device's responses, over all its probes. noise: of the receiver's samples."""
    power, power_std = mean_power(burst, ofdm)
    snr, relative = (
        power * sent.level**2 / noise.variance,
        math.hypot(power_std / power, noise.std / noise.variance),
    )
    shape = remove_delay(mean.response, burst.delay_samples, ofdm)
    evm = burst.noise_variance / power
    evm_std = math.hypot(evm * power_std / power, burst.noise_std / power)
    return {
        "gain_db": decibels(power, power_std, at_s, "path"),
        "snr_db": decibels(snr, snr * relative, at_s, "path"),
        "evm_db": decibels(evm, evm_std, at_s, "path"),
        "phase_rad": estimate(burst.phase_rad, burst.phase_std_rad, at_s, "path"),
        "cfo_hz": estimate(burst.cfo_hz, burst.cfo_std_hz, at_s, "clock"),
        "response": ResponseEntry(
            re=tuple(shape.real.tolist()),
            im=tuple(shape.imag.tolist()),
            std=mean.shape_std,
            at_s=at_s,
            valid_s=VALID_S["path"],
        ),
    }


def of_paths(mean: MeanResponse, ofdm: OfdmConfig, at_s: float) -> dict[str, Any]:
    """Delay spread and coherence bandwidth."""
    paths = estimate_multipath(mean.response, mean.error_variance, ofdm, num_channel_taps(ofdm))
    low, high = (each / ofdm.sample_rate_hz for each in paths.delay_spread_interval_samples)
    spread_s = paths.delay_spread_samples / ofdm.sample_rate_hz
    values = {"delay_spread_s": interval(spread_s, low, high, at_s, "path")}
    low, high = paths.coherence_bandwidth_interval_hz
    if math.isfinite(paths.coherence_bandwidth_hz) and math.isfinite(high):
        values["coherence_bandwidth_hz"] = interval(paths.coherence_bandwidth_hz, low, high, at_s, "path")
    elif math.isfinite(low):
        values["coherence_bandwidth_hz"] = interval(low, low, low, at_s, "path", "lower")
    return values


def delays_of(capture: Capture, bursts: Sequence[BurstEstimate], at_s: float) -> list[Entry]:
    """From an index of the transmitter to the receiver's, in the middles of probes; whole numbers apart, as indices may
    be larger than a float tells to a fraction."""
    facts, rate_hz = capture.facts, capture.config.sample_rate_hz
    found = []
    for burst, origin, departure in zip(bursts, facts["origins"], facts["departures"], strict=True):
        apart = (capture.start_index + burst.start) % EPOCH_LEN - (origin + departure) % EPOCH_LEN
        delay_s = (apart + burst.delay_samples) / rate_hz
        found.append(estimate(delay_s, burst.delay_std_samples / rate_hz, at_s, "path"))
    return found


def decibels(power: float, std: float, at_s: float, kind: str) -> Entry:
    """Of a power that is known to a small share of itself."""
    return estimate(to_db(power), DB_PER_SHARE * std / power, at_s, kind)
