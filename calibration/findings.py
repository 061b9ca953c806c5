"""The captures of a calibration, taken together: a profile."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from calibration.analysis import (
    CORRECTED,
    Together,
    alone_estimates,
    heard_estimates,
    ofdm_of,
    ramp_estimates,
    silence_report,
    soundings_of,
    together_estimates,
)
from calibration.both_ways import of_both_ways
from calibration.burst import BurstEstimate
from calibration.clock import estimate_clock
from calibration.hardware_findings import (
    hardware_of,
    of_amplifier,
    of_crosstalk,
    of_front_ends,
    of_gain_steps,
    of_receive_gain_steps,
)
from calibration.interferers import estimate_interferers
from calibration.mean_response import mean_response
from calibration.motion import of_motion
from calibration.oscillators import NOTHING, Probe, of_oscillator
from calibration.probe_findings import decibels, delays_of, of_paths, of_probe
from calibration.profile import (
    CorrectedDevice,
    CorrectedReceiver,
    DeviceProfile,
    Entry,
    InterfererEntry,
    Numerology,
    Profile,
    ReceiverProfile,
    at_most,
    estimate,
)
from calibration.repeats import crosstalk, jitters, long_probes, mean_responses
from calibration.starts import of_starts
from radio.capture import Capture, SentBurst
from radio.decibel import to_db
from radio.ofdm import OfdmConfig

NUM_PARTS = 20  # of a silence, whose powers tell how far the mean is to be trusted
SURE = 0.99  # probability that a phase's turns were counted right, below which a clock is not known


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
        means = mean_responses(captures, ofdm)
        delays = delays_of(captures["alone"], [burst for _, burst in probes], at_s)
        for (sent, burst), delay in zip(probes, delays, strict=True):
            mean = means[sent.device]
            probed = of_probe(sent, burst, mean, quiet.noise, ofdm, at_s)
            found[sent.device] = probed | {"delay_s": delay} | of_paths(mean, ofdm, at_s)
    if "together" in captures:
        for device, values in _of_soundings(
            together_estimates(captures["together"]), ofdm, facts["center_hz"], at_s
        ).items():
            found[device] |= values
    if "ramp" in captures:
        for device, amplifier in ramp_estimates(captures["ramp"]):
            found[device] |= of_amplifier(amplifier, at_s)
    for device, values in of_gain_steps(captures, at_s).items():
        found[device] |= values
    for device, jitter in jitters(captures).items():
        low, high = (each / ofdm.sample_rate_hz for each in jitter.jitter_interval_samples)
        value = jitter.jitter_samples / ofdm.sample_rate_hz
        found[device]["jitter_s"] = at_most(value, low, high, at_s, "hardware")
    if (seen := crosstalk(captures)) is not None:
        for device, entry in of_crosstalk(*seen, at_s).items():
            found[device]["crosstalk_db"] = entry
    receiver = of_receive_gain_steps(captures, at_s)
    if "aside" in captures:
        receiver |= of_front_ends(captures["aside"], found, at_s)
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
            noise_dbfs=decibels(quiet.noise.variance, quiet.noise.std, at_s, "path"),
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
    return decibels(float(parts.mean()), float(parts.std(ddof=1)) / math.sqrt(NUM_PARTS), at_s, "path")


def with_corrected(profile: Profile, captures: Mapping[str, Capture]) -> Profile:
    """A profile of all captures but for oscillators and what was measured through corrections, with these."""
    at_s = profile.made_at_s
    profile = _with(_with_oscillators(profile, captures), of_starts(captures, at_s))
    profile = _with(profile, of_both_ways(captures, at_s))
    capture = captures.get("alone" + CORRECTED)
    if capture is None:
        return profile
    silence = captures["silence"]
    noise, ofdm = silence_report(silence).noise, ofdm_of(silence)
    found: dict[int, dict[str, Any]] = {}
    for sent, _, burst in heard_estimates(capture):
        measured = of_probe(sent, burst, mean_response([burst], ofdm), noise, ofdm, at_s)
        undone = capture.facts["undone"][str(sent.device)]
        found[sent.device] = undone | {name: measured[name] for name in ("gain_db", "snr_db", "evm_db")}
    receiver = profile.receiver
    if "aside" + CORRECTED in captures:
        ends = of_front_ends(captures["aside" + CORRECTED], found, at_s)
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
        each.device: hardware_of(msgspec.structs.asdict(each), msgspec.structs.asdict(profile.receiver))
        for each in profile.devices
    }
    aside = [captures["aside"]] if "aside" in captures else []
    corrected = [captures[step] for step in ("alone" + CORRECTED, "aside" + CORRECTED) if step in captures]
    for capture in (*long_probes(captures), *aside, *corrected):
        for sent, _, burst in heard_estimates(capture):
            hardware = NOTHING if capture in corrected else known[sent.device]
            probes.setdefault(sent.device, []).append(Probe(capture, sent, burst, hardware))
    noise = silence_report(captures["silence"]).noise
    devices = tuple(
        msgspec.structs.replace(
            each, **of_oscillator(probes.get(each.device, ()), noise.variance, profile.made_at_s)
        )
        for each in profile.devices
    )
    return msgspec.structs.replace(profile, devices=devices)


def _with(profile: Profile, found: Mapping[int, Mapping[str, Any]]) -> Profile:
    devices = (msgspec.structs.replace(each, **found.get(each.device, {})) for each in profile.devices)
    return msgspec.structs.replace(profile, devices=tuple(devices))


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


def _gain_spread_db(found: Mapping[int, Mapping[str, Any]]) -> float | None:
    """From the weakest device that was heard to the strongest."""
    gains_db = [values["gain_db"].value for values in found.values() if "gain_db" in values]
    return max(gains_db) - min(gains_db) if gains_db else None
