"""`profile.json`: what a calibration found out about radios and channels, with intervals, and for how long it holds.

Units stand in names. Each entry has the interval that covers the truth with a probability of 95 %, when it was measured
and for how long it may be relied on; a bound instead of a value where no more could be said.
"""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from radio.ofdm import OfdmConfig

VERSION = 1
FILE_NAME = "profile.json"
Z95 = 1.959964  # standard normal
FOREVER_S = 365.0 * 86400.0
# Temperature, hands and cables change a path within minutes; a crystal ages in days; converters and mixers in months.
VALID_S = {
    "path": 600.0,
    "clock": 3600.0,
    "hardware": 30.0 * 86400.0,
}


class ProfileError(ValueError):
    """A profile that cannot be used; the message is one line: value, limit, remedy."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """bound: "" for an estimate, "lower" or "upper" where the value is all that can be said. valid_s: from at_s on,
    seconds since 1970."""

    value: float
    low: float
    high: float
    at_s: float
    valid_s: float
    bound: Literal["", "lower", "upper"] = ""

    @property
    def std(self) -> float:
        """Of a normal law with the same interval."""
        return (self.high - self.low) / (2.0 * Z95)


class ComplexEntry(msgspec.Struct, frozen=True, kw_only=True):
    """std: root of the mean squared magnitude of the error."""

    re: float
    im: float
    std: float
    at_s: float
    valid_s: float

    @property
    def value(self) -> complex:
        """As one number."""
        return complex(self.re, self.im)


class ResponseEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Gains of the active subcarriers in order of frequency, the mean delay of the paths removed; std of each, of the
    magnitude of the error."""

    re: tuple[float, ...]
    im: tuple[float, ...]
    std: float
    at_s: float
    valid_s: float


class PathsEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Mean powers of paths that fade, in the unit of gain_db but linear, and their delays after the earliest."""

    delays_s: tuple[float, ...]
    powers: tuple[float, ...]
    at_s: float
    valid_s: float


class CorrectedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of a transmitter again, through its correction.

    level_db: by which it was turned down, 0 or below. tx_gain_db: its gain setting then. The rest as of
    `DeviceProfile`.
    """

    level_db: float
    tx_gain_db: float
    snr_db: Entry | None = None
    gain_db: Entry | None = None
    evm_db: Entry | None = None
    image: ComplexEntry | None = None
    leakage: ComplexEntry | None = None


class DeviceProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A transmitter as the receiver hears it, at its gain setting. Every entry may be missing.

    gain_db: of the path, samples to samples, both in full scales, mean power over the subcarriers. phase_rad: of the
    gain at the carrier. delay_s: from the instant that an index of the transmitter names to the same index of the
    receiver, mean over the paths by their power. Radios that share no start (`Profile.shared_start`) count from when
    each was started: that is then in it, and it ends with either radio's epoch. Response, phase and delay hold in the
    middle of the device's probe. fading_paths: of a channel that fades, over all soundings. reciprocity: of the
    way back, from the receiver to the device, against the way there; the error is what one gain, one phase and one
    delay do not explain. image, leakage: of the transmitter. start: from being asked to send
    to being heard. evm_db: power of all in a burst that no channel explains,
    noise included, over the rest.
    step_errors_db: by gain setting. after: once what was found is undone.
    """

    device: int
    serial: str
    firmware: str
    tx_gain_db: float
    uri: str = ""
    temperature_c: float | None = None
    snr_db: Entry | None = None
    gain_db: Entry | None = None
    phase_rad: Entry | None = None
    delay_s: Entry | None = None
    cfo_hz: Entry | None = None
    sro_ppm: Entry | None = None
    clock_disagreement_std: float | None = None
    drift_hz_per_root_s: Entry | None = None
    response: ResponseEntry | None = None
    delay_spread_s: Entry | None = None
    coherence_bandwidth_hz: Entry | None = None
    coherence_time_s: Entry | None = None
    longest_burst_s: Entry | None = None
    rician_k_db: Entry | None = None
    doppler_hz: Entry | None = None
    fading_paths: PathsEntry | None = None
    phase_noise_deg: Entry | None = None
    phase_noise_corner_hz: Entry | None = None
    jitter_s: Entry | None = None
    start_s: Entry | None = None
    start_jitter_s: Entry | None = None
    reciprocity_error_db: Entry | None = None
    reciprocity_gain_db: Entry | None = None
    crosstalk_db: Entry | None = None
    image: ComplexEntry | None = None
    leakage: ComplexEntry | None = None
    compression_db: Entry | None = None
    saturation_db: Entry | None = None
    smoothness: Entry | None = None
    gain_slope: Entry | None = None
    step_errors_db: dict[str, float] = {}
    evm_db: Entry | None = None
    after: CorrectedDevice | None = None


class CorrectedReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of the receiver again, through its correction."""

    dc: ComplexEntry | None = None
    image: ComplexEntry | None = None


class InterfererEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody else's band: its centre from the carrier, its width, its mean power, full scale 0 dB."""

    offset_hz: float
    width_hz: float
    dbfs: float


class ReceiverProfile(msgspec.Struct, frozen=True, kw_only=True):
    """noise_dbfs: power of a sample of noise, full scale 0 dB. disturbance_dbfs: of noise and whoever else sends.
    occupied: share of the bins that others use. strongest_dbfs: the strongest of them, if there is one.
    interferers: all of them, in order of frequency. gain_slope, step_errors_db: as of `DeviceProfile`.
    after: once what was found is undone."""

    serial: str
    firmware: str
    rx_gain_db: float
    uri: str = ""
    temperature_c: float | None = None
    noise_dbfs: Entry | None = None
    disturbance_dbfs: Entry | None = None
    occupied: float = 0.0
    strongest_dbfs: float | None = None
    interferers: tuple[InterfererEntry, ...] = ()
    dc: ComplexEntry | None = None
    image: ComplexEntry | None = None
    gain_slope: Entry | None = None
    step_errors_db: dict[str, float] = {}
    after: CorrectedReceiver | None = None


class Numerology(msgspec.Struct, frozen=True, kw_only=True):
    """Of the waveforms that were measured with."""

    center_hz: float
    sample_rate_hz: float
    fft_len: int
    prefix_len: int
    num_active: int
    backoff_db: float

    @property
    def ofdm(self) -> OfdmConfig:
        """Their OFDM."""
        return OfdmConfig(
            fft_len=self.fft_len,
            prefix_len=self.prefix_len,
            num_active=self.num_active,
            sample_rate_hz=self.sample_rate_hz,
        )


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """version: of this schema. made_at_s: seconds since 1970. shared_clock: whether the radios run on one reference.
    shared_start: whether index 0 is one instant for all of them, so that delays are those of the paths.
    gain_spread_db, gain_spread_after_db: from the weakest device to the strongest, as found and as levelled."""

    version: int = VERSION
    made_at_s: float
    numerology: Numerology
    shared_clock: bool
    shared_start: bool = False
    receiver: ReceiverProfile
    devices: tuple[DeviceProfile, ...]
    gain_spread_db: float | None = None
    gain_spread_after_db: float | None = None


def estimate(value: float, std: float, at_s: float, kind: str) -> Entry:
    """With a normal law. kind: a key of VALID_S."""
    return interval(value, value - Z95 * std, value + Z95 * std, at_s, kind)


def interval(
    value: float, low: float, high: float, at_s: float, kind: str, bound: Literal["", "lower", "upper"] = ""
) -> Entry:
    """With an interval of its own."""
    return Entry(
        value=float(value), low=float(low), high=float(high), at_s=at_s, valid_s=VALID_S[kind], bound=bound
    )


def at_most(value: float, low: float, high: float, at_s: float, kind: str) -> Entry:
    """Of what is 0 or more: an estimate, or, where its interval reaches 0, an upper bound."""
    if low > 0.0:
        return interval(value, low, high, at_s, kind)
    return interval(high, high, high, at_s, kind, "upper")


def number(value: complex, std: float, at_s: float, kind: str) -> ComplexEntry:
    """A complex entry."""
    return ComplexEntry(re=value.real, im=value.imag, std=std, at_s=at_s, valid_s=VALID_S[kind])


def write_profile(path: Path, profile: Profile) -> None:
    """In place of what may be there, whole or not at all."""
    beside = path.with_suffix(".partial")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(profile), indent=1))
    beside.replace(path)


def read_profile(path: Path) -> Profile:
    """Raises ProfileError for what is no profile of this version."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}; give the profile.json of airmeta calibrate") from error
    try:
        version = msgspec.json.decode(text, type=dict).get("version")
        if version != VERSION:
            raise ProfileError(
                f"{path}: version {version} of the profile, this build reads {VERSION}; calibrate again"
            )
        return msgspec.json.decode(text, type=Profile)
    except msgspec.MsgspecError as error:
        raise ProfileError(
            f"{path} is no profile ({error}); give the profile.json of airmeta calibrate"
        ) from error


def entries(profile: Profile) -> Iterator[tuple[str, Entry | ComplexEntry | ResponseEntry]]:
    """Every entry that is there, by name, such as "device 2 gain_db"."""
    parts = [("receiver", profile.receiver), *((f"device {each.device}", each) for each in profile.devices)]
    for owner, part in parts:
        for name in part.__struct_fields__:
            value = getattr(part, name)
            if isinstance(value, Entry | ComplexEntry | ResponseEntry):
                yield f"{owner} {name}", value


def expired(
    profile: Profile, now_s: float | None = None, max_age_s: float | None = None
) -> list[tuple[str, float]]:
    """(name, seconds over) of the entries that are too old to be relied on, oldest first. max_age_s: of all of them,
    instead of each one's own."""
    now_s = time.time() if now_s is None else now_s
    over = [
        (name, now_s - entry.at_s - (entry.valid_s if max_age_s is None else max_age_s))
        for name, entry in entries(profile)
    ]
    return sorted(((name, late) for name, late in over if late > 0.0), key=lambda pair: -pair[1])


def finite(value: float) -> float | None:
    """JSON has no infinities."""
    return value if math.isfinite(value) else None
