"""From the file that radio.profile names to what a run applies of it, or why it cannot."""

import hashlib
from dataclasses import replace
from pathlib import Path

import msgspec

from calibration.corrections import corrections_of, in_use
from calibration.profile import DeviceProfile, Profile, expired, read_profile
from radio.hardware_correction import DeviceCorrection, TransmitCorrection, share_with_attenuator
from radio.pluto_settings import MUTED_DB, TX_GAIN_STEP_DB
from server.applied_profile import AppliedProfile
from server.config import ConfigError, Experiment

CENTER_TOLERANCE_HZ = 100.0  # a synthesiser's steps
GAIN_TOLERANCE_DB = 0.5


def with_profile(experiment: Experiment, now_s: float | None = None) -> Experiment:
    """An experiment with the profile of its radios read and checked; one that names none, or has no radios, as it is.

    now_s: since 1970, now unless given. ConfigError, in one line that names the file.
    """
    path = experiment.profile
    if not path:
        return experiment
    try:
        profile = read_profile(Path(path))
    except ValueError as error:
        raise ConfigError(f"radio.profile: {error}") from error
    source = f'radio.profile = "{path}"'
    fleet = _fleet_of(experiment, profile, source)
    used = msgspec.structs.replace(profile, devices=fleet)  # which is levelled for itself
    _check_settings(experiment, used, source)
    _check_age(experiment, used, source, now_s)
    receive, transmit = corrections_of(used)
    applied = AppliedProfile(
        path=path,
        sha256=hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        made_at_s=profile.made_at_s,
        receiver_serial=profile.receiver.serial,
        receive=receive,
        devices={each.device: _device(experiment, each, transmit[each.device]) for each in used.devices},
    )
    return replace(experiment, applied=applied)


def _fleet_of(experiment: Experiment, profile: Profile, source: str) -> tuple[DeviceProfile, ...]:
    known = {each.device: each for each in profile.devices}
    needed = experiment.fleet.devices
    if missing := [device for device in range(needed) if device not in known]:
        raise ConfigError(
            f"{source} holds {len(known)} devices, fleet.devices = {needed} and device {missing[0]} is not among them; "
            f"lower fleet.devices to {missing[0]}, or calibrate as many"
        )
    return tuple(known[device] for device in range(needed))


def _check_settings(experiment: Experiment, profile: Profile, source: str) -> None:
    radio, made = experiment.radio, profile.numerology
    pairs = [
        ("sample_rate_hz", made.sample_rate_hz, radio.sample_rate_hz, 0.0),
        ("center_hz", made.center_hz, radio.center_hz, CENTER_TOLERANCE_HZ),
        ("fft_len", made.fft_len, radio.fft_len, 0.0),
        ("prefix_len", made.prefix_len, radio.prefix_len, 0.0),
        ("active", made.num_active, radio.active, 0.0),
    ]
    if experiment.link.backend == "pluto":
        pairs.append(("rx_gain_db", profile.receiver.rx_gain_db, radio.rx_gain_db, GAIN_TOLERANCE_DB))
        heard = [each for each in profile.devices if each.gain_db is not None]
        pairs += [("tx_gain_db", each.tx_gain_db, radio.tx_gain_db, GAIN_TOLERANCE_DB) for each in heard]
    for name, found, wanted, tolerance in pairs:
        if abs(found - wanted) > tolerance:
            raise ConfigError(
                f"{source} was made with radio.{name} = {found:.10g}, this run has {wanted:.10g}; calibrate with the "
                "settings of the run, or run with those of the calibration"
            )


def _check_age(experiment: Experiment, profile: Profile, source: str, now_s: float | None) -> None:
    """Of what is used alone."""
    used, limit_s = set(in_use(profile)), experiment.radio.profile_max_age_s or None
    late = [(name, over_s) for name, over_s in expired(profile, now_s, limit_s) if name in used]
    if late:
        name, over_s = late[0]
        raise ConfigError(
            f"{source} is too old: {name} expired {_duration(over_s)} ago; calibrate again, or say with "
            "radio.profile_max_age_s how old it may be"
        )


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2.0 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _device(
    experiment: Experiment, device: DeviceProfile, correction: TransmitCorrection
) -> DeviceCorrection:
    radio = experiment.radio
    if experiment.link.backend != "pluto":
        return DeviceCorrection(serial=device.serial, tx_gain_db=0.0, transmit=correction)
    tx_gain_db, rest = share_with_attenuator(correction, radio.tx_gain_db, TX_GAIN_STEP_DB, MUTED_DB)
    return DeviceCorrection(serial=device.serial, tx_gain_db=tx_gain_db, transmit=rest)
