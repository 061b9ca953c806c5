"""What captures tell of hardware, as entries of a profile: mixers, amplifiers, gain settings, crosstalk."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from calibration.amplifier import CompressionEstimate
from calibration.analysis import (
    aside_estimates,
    heard_estimates,
    ofdm_of,
)
from calibration.burst import BurstEstimate
from calibration.crosstalk import CrosstalkEstimate
from calibration.iq import FrontEndEstimate
from calibration.levels import estimate_levels
from calibration.mixer import Mixer, remove_compression
from calibration.oscillators import Hardware
from calibration.profile import (
    ComplexEntry,
    Entry,
    estimate,
    interval,
    number,
)
from calibration.turns import GAIN_STEP, RECEIVE_GAIN_STEP
from calibration.waveforms import probe_symbols
from radio.capture import Capture
from radio.hardware_correction import ReceiveCorrection
from radio.impairments import NEVER_DB
from radio.ofdm import OfdmConfig, modulate

LEAST_SETTINGS = 3
SIGNIFICANT = 2.0  # standard deviations, beyond which a value is there


def of_front_ends(capture: Capture, found: dict[int, dict[str, Any]], at_s: float) -> dict[str, Any]:
    """Every transmitter's added to `found`; the receiver's. What could not be told is left out."""
    ends = list(aside_estimates(capture))
    for device, end in ends:
        known = found.setdefault(device, {})
        known |= _of_mixer(end, capture, known, at_s)
    return _of_receiver([end for _, end in ends], at_s)


def of_amplifier(found: CompressionEstimate, at_s: float) -> dict[str, Any]:
    """1 dB point, or a bound of it, and Rapp's law where it fits."""
    values: dict[str, Any] = {}
    if found.one_db_dbfs is None or found.one_db_std_db is None:
        least = found.at_least_dbfs
        values["compression_db"] = interval(least, least, least, at_s, "hardware", "lower")
        return values
    values["compression_db"] = estimate(found.one_db_dbfs, found.one_db_std_db, at_s, "hardware")
    if found.is_rapp and found.saturation_db is not None and found.saturation_std_db is not None:
        values["saturation_db"] = estimate(found.saturation_db, found.saturation_std_db, at_s, "hardware")
    if found.is_rapp and found.smoothness is not None and found.smoothness_std is not None:
        values["smoothness"] = estimate(found.smoothness, found.smoothness_std, at_s, "hardware")
    return values


def of_gain_steps(captures: Mapping[str, Capture], at_s: float) -> dict[int, dict[str, Any]]:
    """Of each transmitter, from short probes at several settings."""
    seen: dict[int, list[tuple[float, float, float]]] = {}
    for capture in _of_steps(captures, GAIN_STEP):
        for sent, _, burst in heard_estimates(capture):
            power, std = mean_power(burst, ofdm_of(capture))
            seen.setdefault(sent.device, []).append((sent.tx_gain_db, power, std))
    found = {device: _of_settings(points, at_s) for device, points in seen.items()}
    return {device: values for device, values in found.items() if values}


def of_receive_gain_steps(captures: Mapping[str, Capture], at_s: float) -> dict[str, Any]:
    """Of the receiver, from the power of all devices together that are heard at every setting."""
    seen: list[tuple[float, dict[int, tuple[float, float]]]] = []
    for capture in _of_steps(captures, RECEIVE_GAIN_STEP):
        ofdm = ofdm_of(capture)
        powers = {sent.device: mean_power(burst, ofdm) for sent, _, burst in heard_estimates(capture)}
        seen.append((capture.config.rx_gain_db, powers))
    always = set.intersection(*(set(powers) for _, powers in seen)) if seen else set()
    if not always:
        return {}
    points = []
    for setting_db, powers in seen:
        each = np.array([powers[device] for device in sorted(always)])
        points.append((setting_db, float(each[:, 0].sum()), float(np.linalg.norm(each[:, 1]))))
    return _of_settings(points, at_s)


def _of_steps(captures: Mapping[str, Capture], prefix: str) -> list[Capture]:
    return [captures[step] for step in sorted(captures) if step.startswith(prefix)]


def _of_settings(points: Sequence[tuple[float, float, float]], at_s: float) -> dict[str, Any]:
    """(setting in dB, power, std) each; nothing where too few tell."""
    settings_db, powers, stds = map(np.array, zip(*dict.fromkeys(points), strict=True))
    if len(set(settings_db.tolist())) < LEAST_SETTINGS:
        return {}
    try:
        levels = estimate_levels(powers, stds, settings_db)
    except ValueError:  # too few settings at which it is neither noise nor saturated
        return {}
    errors = zip(levels.settings_db[1:].tolist(), levels.step_errors_db.tolist(), strict=True)
    return {
        "gain_slope": estimate(levels.slope, levels.slope_std, at_s, "hardware"),
        "step_errors_db": {
            f"{setting_db:g}": round(error, 4) for setting_db, error in errors if error == error
        },
    }


def of_crosstalk(devices: Sequence[int], seen: CrosstalkEstimate, at_s: float) -> dict[int, Entry]:
    """What of each device appears in the place of the one that has most of it."""
    found = {}
    for place, device in enumerate(devices):
        others = [other for other in range(len(devices)) if other != place]
        if not others:
            continue
        bounds = seen.leakage_bound_db[place, others]
        worst = others[int(np.argmax(bounds))]
        level, (low, high) = seen.leakage_db[place, worst], seen.leakage_interval_db[place, worst]
        if math.isfinite(level) and math.isfinite(low):
            found[device] = interval(level, low, high, at_s, "hardware")
        else:
            highest = float(bounds.max())
            found[device] = interval(highest, highest, highest, at_s, "hardware", "upper")
    return found


def hardware_of(device: Mapping[str, Any], receiver: Mapping[str, Any]) -> Hardware:
    """Of values that can be told from nothing."""

    def there(held: Mapping[str, Any], name: str) -> complex:
        entry = held.get(name)
        return entry.value if entry is not None and abs(entry.value) > SIGNIFICANT * entry.std else 0j

    seen = device.get("saturation_db") is not None and device.get("smoothness") is not None
    return Hardware(
        mixer=Mixer(there(device, "image"), there(device, "leakage")),
        saturation_db=device["saturation_db"].value if seen else NEVER_DB,
        smoothness=device["smoothness"].value if seen else 3.0,
        receiver=ReceiveCorrection(image=there(receiver, "image"), dc=there(receiver, "dc")),
    )


def mean_power(burst: BurstEstimate, ofdm: OfdmConfig) -> tuple[float, float]:
    """Mean of |h|^2 over subcarriers, and its deviation."""
    power = float(np.mean(np.abs(burst.response) ** 2)) - burst.error_variance
    power = max(power, burst.error_variance)
    return power, 2.0 * power * burst.magnitude_std


def _of_mixer(
    end: FrontEndEstimate, capture: Capture, known: Mapping[str, Any], at_s: float
) -> dict[str, Any]:
    """What could be told. known: of the device's amplifier, if it was seen to compress; how well it is known is in the
    deviations."""
    seen = Mixer(end.tx_image, end.leakage)
    stds = [math.sqrt(2.0) * end.tx_image_std, math.sqrt(2.0) * end.leakage_std]
    mixer = seen
    if "saturation_db" in known and "smoothness" in known:
        ofdm = ofdm_of(capture)
        symbols = probe_symbols(int(capture.facts["num_symbols"]), ofdm)
        sent = np.float32(capture.facts["level"]) * modulate(symbols, ofdm)
        saturation, smoothness = known["saturation_db"], known["smoothness"]
        mixer = remove_compression(seen, sent, saturation.value, smoothness.value)
        for harder, sharper in ((saturation.std, 0.0), (0.0, smoothness.std)):
            other = remove_compression(seen, sent, saturation.value + harder, smoothness.value + sharper)
            stds = [math.hypot(std, abs(a - b)) for std, a, b in zip(stds, other, mixer, strict=True)]
    named = zip(("image", "leakage"), mixer, stds, strict=True)
    return {name: number(value, std, at_s, "hardware") for name, value, std in named if math.isfinite(std)}


def _of_receiver(ends: list[FrontEndEstimate], at_s: float) -> dict[str, Any]:
    """One receiver, seen through every device: the mean, each weighted by what it knows."""
    found: dict[str, ComplexEntry] = {}
    for name, value, std in (
        ("image", [end.rx_image for end in ends], [end.rx_image_std for end in ends]),
        ("dc", [end.dc for end in ends], [end.dc_std for end in ends]),
    ):
        weights = 1.0 / np.maximum(np.array(std), 1e-12) ** 2
        if not weights.sum() > 0.0:
            continue
        mean = complex(np.sum(weights * np.array(value)) / weights.sum())
        found[name] = number(mean, math.sqrt(2.0 / weights.sum()), at_s, "hardware")
    return found
