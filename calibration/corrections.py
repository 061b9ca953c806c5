"""From a profile to what radios undo of themselves: what was seen to be there, and one level for all devices.

The level. Devices of gains g_i (amplitudes) that are turned down to a common T, those below it at full power, add up to
T sum_i min(1, g_i / T) x_i over noise of variance s^2 an element: the sum of all x_i, over T, misses

    J(T) = sum_i max(0, 1 - g_i / T)^2 + s^2 / T^2

of unit variance x_i. What weak devices miss falls with T, noise rises as it does, J has one minimum, and that T is the
level: with little noise the gain of the weakest. (The trade of Cao, Zhu, Xu and Huang, IEEE TWC 2020, arXiv 1906.06858,
for steady channels.) It is made for devices that are worth it, with an SNR of 10 dB or more or no more than 10 dB below
the strongest's: one that is all but dead stays at full power, misses most of its own share, and draws nobody down.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from calibration.profile import ComplexEntry, DeviceProfile, Profile
from radio.decibel import from_db, to_db
from radio.hardware_correction import ReceiveCorrection, TransmitCorrection
from radio.impairments import LIMITS, NEVER_DB

SIGNIFICANT = 2.0  # standard deviations, beyond which a value is there
WORTH_DB = 10.0  # SNR, or distance from the strongest's, up to which others are turned down for a device
STEADY_K_DB = 10.0  # line of sight over scattering, below which a channel that moves takes its gain with it
UNDONE = ("image", "leakage", "saturation_db", "smoothness", "gain_db")  # entries of a device
UNDONE_AT_RECEIVER = ("image", "dc")


def corrections_of(profile: Profile) -> tuple[ReceiveCorrection, dict[int, TransmitCorrection]]:
    """The receiver's, and each device's. A value that is no more than SIGNIFICANT standard deviations is not undone, a
    channel that moves not levelled, a mixer that is beyond correction left as it is; clocks and delays are not touched,
    as every round sounds them for itself."""
    levels_db = _levels_db(profile)
    transmit = {
        each.device: replace(_hardware(each), level_db=levels_db.get(each.device, 0.0))
        for each in profile.devices
    }
    receiver = profile.receiver
    return ReceiveCorrection(image=_there(receiver.image), dc=_there(receiver.dc)), transmit


def common_gain(gains: Sequence[float], noise_variance: float) -> float:
    """The level T, an amplitude like the gains. noise_variance: of an element whose power at the transmitter is 1."""
    rising = sorted(gains)
    total = energy = level = 0.0
    for place, gain in enumerate(rising):
        total, energy = total + gain, energy + gain**2
        level = (energy + noise_variance) / total  # where J is least, if these alone lie below it
        if place + 1 < len(rising) and level <= rising[place + 1]:
            break
    return level


def in_use(profile: Profile) -> Iterator[str]:
    """Names of the entries, as `calibration.profile.entries` has them, that corrections are made of."""
    yield from (f"receiver {name}" for name in UNDONE_AT_RECEIVER if _there(getattr(profile.receiver, name)))
    levels_db = _levels_db(profile)
    for each in profile.devices:
        hardware, untouched = _hardware(each), TransmitCorrection()
        undone = {name for name in UNDONE if getattr(hardware, name, 0) != getattr(untouched, name, 0)}
        if any(levels_db.values()) and each.device in levels_db:
            undone.add("gain_db")
        yield from (f"device {each.device} {name}" for name in UNDONE if name in undone)


def _levels_db(profile: Profile) -> dict[int, float]:
    """Of the devices whose gains hold: by how much each is turned down."""
    known = {each.device: each.gain_db for each in profile.devices if each.gain_db and _holds(each)}
    if not known:
        return {}
    noise, highest_db = _noise_variance(profile), max(gain.value for gain in known.values())
    least_db = min(to_db(noise), highest_db - 2.0 * WORTH_DB) + WORTH_DB
    worth = [from_db(gain.value / 2.0) for gain in known.values() if gain.value >= least_db]
    level_db = 2.0 * to_db(common_gain(worth, noise))
    down_db = {device: min(level_db - gain.value, 0.0) for device, gain in known.items()}
    return {d: down if -down > SIGNIFICANT * known[d].std else 0.0 for d, down in down_db.items()}


def _holds(device: DeviceProfile) -> bool:
    """Whether the gain will be what it was: the channel stands still, or moves about a strong line of sight."""
    assert device.gain_db is not None
    time_s, k_db = device.coherence_time_s, device.rician_k_db
    moves = time_s is not None and not time_s.bound
    steady = k_db is not None and k_db.bound != "upper" and k_db.value >= STEADY_K_DB
    return not device.gain_db.bound and (not moves or steady)


def _noise_variance(profile: Profile) -> float:
    """By every device that tells, on the mean; 0 where none does."""
    known = [
        from_db(each.gain_db.value - each.snr_db.value)
        for each in profile.devices
        if each.gain_db and each.snr_db and not each.snr_db.bound
    ]
    return float(np.mean(known)) if known else 0.0


def _hardware(device: DeviceProfile) -> TransmitCorrection:
    """Its level apart."""
    amplifier = TransmitCorrection(**_amplifier(device))
    try:
        return replace(amplifier, image=_there(device.image), leakage=_there(device.leakage))
    except ValueError:
        return amplifier


def _amplifier(device: DeviceProfile) -> dict[str, float]:
    """Nothing where either value is missing, or the amplifier was not driven far enough to tell them."""
    found = {"saturation_db": device.saturation_db, "smoothness": device.smoothness}
    known = {name: entry.value for name, entry in found.items() if entry is not None and not entry.bound}
    if len(known) < len(found):
        return {}
    lowest, highest = LIMITS["rapp_smoothness"]
    return {
        "saturation_db": min(known["saturation_db"], NEVER_DB),
        "smoothness": min(max(known["smoothness"], lowest), highest),
    }


def _there(entry: ComplexEntry | None) -> complex:
    if entry is None or abs(entry.value) <= SIGNIFICANT * entry.std:
        return 0.0 + 0.0j
    return entry.value
