"""The captures of a calibration, taken together: a profile."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from calibration.amplifier import CompressionEstimate
from calibration.analysis import (
    CORRECTED,
    Together,
    alone_estimates,
    aside_estimates,
    heard_estimates,
    ofdm_of,
    ramp_estimates,
    silence_report,
    soundings_of,
    together_estimates,
)
from calibration.burst import BurstEstimate
from calibration.clock import estimate_clock
from calibration.crosstalk import CrosstalkEstimate
from calibration.delay import remove_delay
from calibration.interferers import estimate_interferers
from calibration.iq import FrontEndEstimate
from calibration.levels import estimate_levels
from calibration.mixer import Mixer, remove_compression
from calibration.motion import of_motion
from calibration.multipath import estimate_multipath
from calibration.oscillators import NOTHING, Hardware, Probe, of_oscillator
from calibration.power import NoiseEstimate
from calibration.profile import (
    VALID_S,
    ComplexEntry,
    CorrectedDevice,
    CorrectedReceiver,
    DeviceProfile,
    Entry,
    InterfererEntry,
    Numerology,
    Profile,
    ReceiverProfile,
    ResponseEntry,
    at_most,
    estimate,
    interval,
    number,
)
from calibration.repeats import crosstalk, jitters
from calibration.waveforms import PROBE_SYMBOLS, probe_symbols
from radio.capture import Capture, SentBurst
from radio.decibel import to_db
from radio.hardware_correction import ReceiveCorrection
from radio.impairments import NEVER_DB
from radio.interface import EPOCH_LEN
from radio.ofdm import OfdmConfig, modulate
from radio.pilot_layout import num_channel_taps

GAIN_STEP = "gain "  # what the steps of a gain setting begin with
LEAST_SETTINGS = 3
SIGNIFICANT = 2.0  # standard deviations, beyond which a value is there
NUM_PARTS = 20  # of a silence, whose powers tell how far the mean is to be trusted
SURE = 0.99  # probability that a phase's turns were counted right, below which a clock is not known
DB_PER_SHARE = 10.0 / math.log(10.0)


def find_out(captures: Mapping[str, Capture]) -> Profile:
    """A pure function of the captures: recorded ones give the same profile to the last bit."""
    return with_corrected(found_first(captures), captures)


def found_first(captures: Mapping[str, Capture]) -> Profile:
    """Without what was measured through corrections, and without oscillators, which are in that too."""
    silence = captures["silence"]
    facts, ofdm = silence.facts, ofdm_of(silence)
    at_s = float(facts["at_s"])
    quiet = silence_report(silence)
    found: dict[int, dict[str, Any]] = {}
    sent_of: dict[int, SentBurst] = {}
    probes: list[tuple[SentBurst, BurstEstimate]] = []
    if "alone" in captures:
        probes = list(alone_estimates(captures["alone"]))
        sent_of = {sent.device: sent for sent, _ in probes}
        delays = _delays(captures["alone"], [burst for _, burst in probes], at_s)
        found = {
            sent.device: _of_probe(sent, burst, quiet.noise, ofdm, at_s) | {"delay_s": delay}
            for (sent, burst), delay in zip(probes, delays, strict=True)
        }
        for sent, burst in probes:
            found[sent.device] |= _of_paths(burst, ofdm, at_s)
    if "together" in captures:
        for device, values in _of_soundings(
            together_estimates(captures["together"]), ofdm, facts["center_hz"], at_s
        ).items():
            found[device] |= values
    if "ramp" in captures:
        for device, amplifier in ramp_estimates(captures["ramp"]):
            found[device] |= _of_amplifier(amplifier, at_s)
    if steps := [captures[step] for step in sorted(captures) if step.startswith(GAIN_STEP)]:
        for device, values in _of_gain_steps(steps, at_s).items():
            found[device] |= values
    for device, jitter in jitters(captures).items():
        low, high = (each / ofdm.sample_rate_hz for each in jitter.jitter_interval_samples)
        value = jitter.jitter_samples / ofdm.sample_rate_hz
        found[device]["jitter_s"] = at_most(value, low, high, at_s, "hardware")
    if (seen := crosstalk(captures)) is not None:
        for device, entry in _of_crosstalk(*seen, at_s).items():
            found[device]["crosstalk_db"] = entry
    receiver: dict[str, Any] = {}
    if "aside" in captures:
        receiver = _of_front_ends(captures["aside"], found, at_s)
    hardware = facts["hardware"]
    return Profile(
        made_at_s=at_s,
        numerology=Numerology(
            center_hz=facts["center_hz"],
            sample_rate_hz=ofdm.sample_rate_hz,
            fft_len=ofdm.fft_len,
            prefix_len=ofdm.prefix_len,
            num_active=ofdm.num_active,
            backoff_db=facts["backoff_db"],
        ),
        shared_clock=facts["shared_clock"],
        shared_start=facts["shared_start"],
        receiver=ReceiverProfile(
            rx_gain_db=silence.config.rx_gain_db,
            noise_dbfs=_decibels(quiet.noise.variance, quiet.noise.std, at_s, "path"),
            disturbance_dbfs=_disturbance(silence, at_s),
            occupied=quiet.occupied_share,
            strongest_dbfs=quiet.strongest_dbfs if quiet.busy else None,
            interferers=_interferers(silence),
            **hardware["receiver"],
            **receiver,
        ),
        gain_spread_db=_gain_spread_db(found),
        devices=tuple(
            DeviceProfile(
                device=device,
                tx_gain_db=sent_of[device].tx_gain_db if device in sent_of else 0.0,
                **hardware["devices"][str(device)],
                **found.get(device, {}),
            )
            for device in sorted(map(int, hardware["devices"]))
        ),
    )


def _interferers(silence: Capture) -> tuple[InterfererEntry, ...]:
    seen = estimate_interferers(silence.samples, ofdm_of(silence).sample_rate_hz)
    return tuple(
        InterfererEntry(offset_hz=each.offset_hz, width_hz=each.width_hz, dbfs=to_db(each.power))
        for each in seen
    )


def _disturbance(silence: Capture, at_s: float) -> Entry:
    """Power of all that is not the receiver's own offset, from its mean over parts of the time."""
    samples = silence.samples.astype(np.complex128)
    samples -= samples.mean()
    parts = np.array([np.mean(np.abs(part) ** 2) for part in np.array_split(samples, NUM_PARTS)])
    return _decibels(float(parts.mean()), float(parts.std(ddof=1)) / math.sqrt(NUM_PARTS), at_s, "path")


def with_corrected(profile: Profile, captures: Mapping[str, Capture]) -> Profile:
    """A profile of all captures but for oscillators and what was measured through corrections, with these."""
    profile = _with_oscillators(profile, captures)
    capture = captures.get("alone" + CORRECTED)
    if capture is None:
        return profile
    silence, at_s = captures["silence"], profile.made_at_s
    noise, ofdm = silence_report(silence).noise, ofdm_of(silence)
    found: dict[int, dict[str, Any]] = {}
    for sent, _, burst in heard_estimates(capture):
        measured = _of_probe(sent, burst, noise, ofdm, at_s)
        undone = capture.facts["undone"][str(sent.device)]
        found[sent.device] = undone | {name: measured[name] for name in ("gain_db", "snr_db", "evm_db")}
    receiver = profile.receiver
    if "aside" + CORRECTED in captures:
        ends = _of_front_ends(captures["aside" + CORRECTED], found, at_s)
        receiver = msgspec.structs.replace(receiver, after=CorrectedReceiver(**ends))
    devices = tuple(
        msgspec.structs.replace(each, after=CorrectedDevice(**found[each.device]))
        if "gain_db" in found.get(each.device, {})
        else each
        for each in profile.devices
    )
    return msgspec.structs.replace(
        profile, receiver=receiver, devices=devices, gain_spread_after_db=_gain_spread_db(found)
    )


def _with_oscillators(profile: Profile, captures: Mapping[str, Capture]) -> Profile:
    """Phase noise from every long probe: one alone tells its corner to a factor of two."""
    probes: dict[int, list[Probe]] = {}
    known = {
        each.device: _hardware(msgspec.structs.asdict(each), msgspec.structs.asdict(profile.receiver))
        for each in profile.devices
    }
    for step in ("alone", "aside"):
        for through, capture in ((False, captures.get(step)), (True, captures.get(step + CORRECTED))):
            if capture is None:
                continue
            for sent, _, burst in heard_estimates(capture):
                hardware = NOTHING if through else known[sent.device]
                probes.setdefault(sent.device, []).append(Probe(capture, sent, burst, hardware))
    noise = silence_report(captures["silence"]).noise
    devices = tuple(
        msgspec.structs.replace(
            each, **of_oscillator(probes.get(each.device, ()), noise.variance, profile.made_at_s)
        )
        for each in profile.devices
    )
    return msgspec.structs.replace(profile, devices=devices)


def _of_probe(
    sent: SentBurst, burst: BurstEstimate, noise: NoiseEstimate, ofdm: OfdmConfig, at_s: float
) -> dict[str, Any]:
    power, power_std = _power(burst, ofdm)
    snr, relative = (
        power * sent.level**2 / noise.variance,
        math.hypot(power_std / power, noise.std / noise.variance),
    )
    shape = remove_delay(burst.response, burst.delay_samples, ofdm)
    evm_share = math.hypot(power_std / power, 1.0 / math.sqrt(ofdm.num_active * (PROBE_SYMBOLS - 1)))
    return {
        "gain_db": _decibels(power, power_std, at_s, "path"),
        "snr_db": _decibels(snr, snr * relative, at_s, "path"),
        "evm_db": _decibels(
            burst.noise_variance / power, burst.noise_variance / power * evm_share, at_s, "path"
        ),
        "phase_rad": estimate(burst.phase_rad, burst.phase_std_rad, at_s, "path"),
        "cfo_hz": estimate(burst.cfo_hz, burst.cfo_std_hz, at_s, "clock"),
        "response": ResponseEntry(
            re=tuple(shape.real.tolist()),
            im=tuple(shape.imag.tolist()),
            std=burst.shape_std,
            at_s=at_s,
            valid_s=VALID_S["path"],
        ),
    }


def _power(burst: BurstEstimate, ofdm: OfdmConfig) -> tuple[float, float]:
    """Mean of |h|^2 over subcarriers, and its deviation."""
    power = float(np.mean(np.abs(burst.response) ** 2)) - burst.error_variance
    power = max(power, burst.error_variance)
    return power, 2.0 * power * burst.magnitude_std


def _of_front_ends(capture: Capture, found: dict[int, dict[str, Any]], at_s: float) -> dict[str, Any]:
    """Every transmitter's added to `found`; the receiver's. What could not be told is left out."""
    ends = list(aside_estimates(capture))
    for device, end in ends:
        known = found.setdefault(device, {})
        known |= _of_mixer(end, capture, known, at_s)
    return _of_receiver([end for _, end in ends], at_s)


def _gain_spread_db(found: Mapping[int, Mapping[str, Any]]) -> float | None:
    """From the weakest device that was heard to the strongest."""
    gains_db = [values["gain_db"].value for values in found.values() if "gain_db" in values]
    return max(gains_db) - min(gains_db) if gains_db else None


def _delays(capture: Capture, bursts: Sequence[BurstEstimate], at_s: float) -> list[Entry]:
    """From an index of the transmitter to the receiver's, in the middles of probes; whole numbers apart, as indices may
    be larger than a float tells to a fraction."""
    facts, rate_hz = capture.facts, capture.config.sample_rate_hz
    found = []
    for burst, origin, departure in zip(bursts, facts["origins"], facts["departures"], strict=True):
        apart = (capture.start_index + burst.start) % EPOCH_LEN - (origin + departure) % EPOCH_LEN
        delay_s = (apart + burst.delay_samples) / rate_hz
        found.append(estimate(delay_s, burst.delay_std_samples / rate_hz, at_s, "path"))
    return found


def _of_soundings(
    together: Together, ofdm: OfdmConfig, center_hz: float, at_s: float
) -> dict[int, dict[str, Any]]:
    undone = [together.corrections[device] for device in together.devices]
    soundings = soundings_of(together, ofdm)
    clock = estimate_clock(soundings, center_hz, undone)
    found: dict[int, dict[str, Any]] = {}
    for place, (device, motion) in enumerate(
        zip(together.devices, of_motion(soundings, clock, at_s), strict=True)
    ):
        if clock.quality[place] < SURE:
            found[device] = {}
            continue
        low, high = clock.walk_interval_hz_per_root_s[place].tolist()
        found[device] = motion | {
            "cfo_hz": estimate(float(clock.cfo_hz[place]), float(clock.cfo_std_hz[place]), at_s, "clock"),
            "sro_ppm": estimate(float(clock.sro_ppm[place]), float(clock.sro_std_ppm[place]), at_s, "clock"),
            "clock_disagreement_std": float(clock.agreement[place]),
            "drift_hz_per_root_s": at_most(float(clock.walk_hz_per_root_s[place]), low, high, at_s, "clock"),
        }
    return found


def _of_paths(burst: BurstEstimate, ofdm: OfdmConfig, at_s: float) -> dict[str, Any]:
    paths = estimate_multipath(burst.response, burst.error_variance, ofdm, num_channel_taps(ofdm))
    low, high = (each / ofdm.sample_rate_hz for each in paths.delay_spread_interval_samples)
    spread_s = paths.delay_spread_samples / ofdm.sample_rate_hz
    values = {"delay_spread_s": interval(spread_s, low, high, at_s, "path")}
    low, high = paths.coherence_bandwidth_interval_hz
    if math.isfinite(paths.coherence_bandwidth_hz) and math.isfinite(high):
        values["coherence_bandwidth_hz"] = interval(paths.coherence_bandwidth_hz, low, high, at_s, "path")
    elif math.isfinite(low):
        values["coherence_bandwidth_hz"] = interval(low, low, low, at_s, "path", "lower")
    return values


def _of_crosstalk(devices: Sequence[int], seen: CrosstalkEstimate, at_s: float) -> dict[int, Entry]:
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


def _of_amplifier(found: CompressionEstimate, at_s: float) -> dict[str, Any]:
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


def _hardware(device: Mapping[str, Any], receiver: Mapping[str, Any]) -> Hardware:
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


def _of_gain_steps(steps: Sequence[Capture], at_s: float) -> dict[int, dict[str, Any]]:
    """From short probes at several settings."""
    seen: dict[int, list[tuple[float, float, float]]] = {}
    for capture in steps:
        for sent, _, burst in heard_estimates(capture):
            power, std = _power(burst, ofdm_of(capture))
            seen.setdefault(sent.device, []).append((sent.tx_gain_db, power, std))
    found: dict[int, dict[str, Any]] = {}
    for device, points in seen.items():
        settings_db, powers, stds = map(np.array, zip(*dict.fromkeys(points), strict=True))
        if len(set(settings_db.tolist())) < LEAST_SETTINGS:
            continue
        try:
            levels = estimate_levels(powers, stds, settings_db)
        except ValueError:  # too few settings at which it is neither noise nor saturated
            continue
        errors = zip(levels.settings_db[1:].tolist(), levels.step_errors_db.tolist(), strict=True)
        found[device] = {
            "gain_slope": estimate(levels.slope, levels.slope_std, at_s, "hardware"),
            "step_errors_db": {
                f"{setting_db:g}": round(error, 4) for setting_db, error in errors if error == error
            },
        }
    return found


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


def _decibels(power: float, std: float, at_s: float, kind: str) -> Entry:
    """Of a power that is known to a small share of itself."""
    return estimate(to_db(power), DB_PER_SHARE * std / power, at_s, kind)
