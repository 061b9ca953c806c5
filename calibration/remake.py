"""From a profile to an air that behaves like the one it was measured on."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calibration.clock import SEPARATE_STDS
from calibration.mixer import compressed_gain
from calibration.paths import paths_of
from calibration.profile import (
    ComplexEntry,
    DeviceProfile,
    Entry,
    PathsEntry,
    Profile,
    ProfileError,
    ReceiverProfile,
)
from calibration.waveforms import probe_symbols
from radio.decibel import from_db, to_db
from radio.frame import element_level
from radio.impairments import NEVER_DB, FadingLaw
from radio.measured_air import MeasuredAir, MeasuredDevice, MeasuredInterferer
from radio.ofdm import OfdmConfig, modulate

CLOSE = 1e-6  # share of a channel's energy that paths may miss, beside its noise
EARLIEST, LATEST = -8.0, 14.0  # samples from the mean delay between which paths lie; others are interference
PROBE_SYMBOLS = 16  # that an amplifier's mean gain is taken over
LEAST_SCATTERING = 1e-3  # of the first path, over the power of all
SIGNIFICANT = 2.0  # standard deviations from 0, below which a value is taken to be 0

FloatArray = NDArray[np.float64]
Complex = NDArray[np.complex128]


def measured_air(
    profile: Profile,
    tx_db: Callable[[float], float],
    rx_db: Callable[[float], float],
    converter_noise: float = 0.0,
    passband: Callable[[FloatArray], Complex] = lambda freqs_hz: np.ones(len(freqs_hz), dtype=np.complex128),
) -> MeasuredAir:
    """tx_db, rx_db: what a radio's gain settings do, from full scale to what `MeasuredAir` means by it.
    converter_noise: power of a sample, full scale 1, that the remade receiver's converter adds by itself. passband:
    response at frequencies from the carrier, in Hz, that the remade radios' own filters have.

    Raises ProfileError where a device lacks what an air needs.
    """
    rx_gain_db = rx_db(profile.receiver.rx_gain_db)
    rx_image = _seen(profile.receiver.image)
    at_input = from_db(-rx_gain_db) / (1.0 + abs(rx_image) ** 2)
    return MeasuredAir(
        devices=tuple(
            _device(each, profile, tx_db(each.tx_gain_db) + rx_gain_db, passband) for each in profile.devices
        ),
        noise_variance=max(_white(profile.receiver) - converter_noise, 0.0) * at_input,
        interferers=tuple(
            MeasuredInterferer(
                offset_hz=each.offset_hz, width_hz=each.width_hz, power=from_db(each.dbfs) * at_input
            )
            for each in profile.receiver.interferers
        ),
        sample_rate_hz=profile.numerology.sample_rate_hz,
        rx_image=rx_image,
        rx_dc=_seen(profile.receiver.dc),
    )


def _white(receiver: ReceiverProfile) -> float:
    """Power of all that is heard and is no interferer: noise, and what comes and goes as if it were."""
    if receiver.disturbance_dbfs is None:
        return 0.0
    power = from_db(receiver.disturbance_dbfs.value) - sum(
        from_db(each.dbfs) for each in receiver.interferers
    )
    floor = receiver.noise_dbfs
    return power if floor is None else max(power, from_db(floor.value))


def _device(
    device: DeviceProfile,
    profile: Profile,
    hardware_db: float,
    passband: Callable[[FloatArray], Complex],
) -> MeasuredDevice:
    if device.response is None:
        raise ProfileError(
            f"device {device.device} was not heard when the profile was made; calibrate again, or take it out"
        )
    numerology = profile.numerology
    ofdm = numerology.ofdm
    fading, k_db, turning_hz = _fading(device)
    response = np.array(device.response.re) + 1j * np.array(device.response.im)
    response /= passband(ofdm.active_freqs_hz)
    mean_s = device.delay_s.value if device.delay_s is not None and profile.shared_start else None
    if fading != "none" and device.fading_paths is not None:
        first_s, delays_s, gains = _fading_paths(device.fading_paths, k_db, mean_s, ofdm.sample_rate_hz)
    else:
        first_s, delays_s, gains = _still_paths(response, device.response.std, ofdm, mean_s)
    energy = float(np.sum(np.abs(gains) ** 2))
    saturation_db = _value(device.saturation_db, NEVER_DB)
    smoothness = _value(device.smoothness, 3.0)
    cfo_hz = 0.0 if profile.shared_clock else _value(device.cfo_hz)
    return MeasuredDevice(
        gain_db=to_db(energy) - hardware_db - _compressed_db(saturation_db, smoothness, profile, ofdm),
        delay_s=max(first_s, 0.0),
        tap_delays_s=tuple(delays_s.tolist()),
        taps=tuple(map(complex, gains / math.sqrt(energy))),
        fading=fading,
        rician_k_db=k_db,
        doppler_hz=turning_hz,
        clock_offset_ppm=1e6 * cfo_hz / numerology.center_hz,
        sample_clock_offset_ppm=None if _has_one_crystal(device, profile) else _value(device.sro_ppm),
        drift_hz_per_root_s=0.0 if profile.shared_clock else _value(device.drift_hz_per_root_s),
        phase_noise_deg=_value(device.phase_noise_deg),
        phase_noise_corner_hz=_value(device.phase_noise_corner_hz) or 10e3,
        image=_seen(device.image),
        lo_leakage=_seen(device.leakage),
        saturation_db=saturation_db,
        rapp_smoothness=smoothness,
    )


def _still_paths(
    response: Complex, std: float, ofdm: OfdmConfig, mean_s: float | None
) -> tuple[float, FloatArray, Complex]:
    """Delay of the first path in s, 0 where nothing is known of the mean, delays of all after it, and their gains."""
    earliest = EARLIEST if mean_s is None else max(EARLIEST, -mean_s * ofdm.sample_rate_hz)
    left = (CLOSE * float(np.mean(np.abs(response) ** 2)) + std**2) * len(response)
    found = paths_of(response, left, ofdm, min(earliest, 0.0), LATEST)
    delays_s = found.delays / ofdm.sample_rate_hz
    first_s = 0.0 if mean_s is None else mean_s + float(delays_s[0])
    return first_s, delays_s - delays_s[0], found.gains


def _fading_paths(
    held: PathsEntry, k_db: float, mean_s: float | None, sample_rate_hz: float
) -> tuple[float, FloatArray, Complex]:
    """The same of the mean over the fades, without the line of sight of the first path, to the same energy."""
    delays_s, powers = np.array(held.delays_s), np.array(held.powers)
    total = float(powers.sum())
    after = (delays_s - float(delays_s @ powers) / total) * sample_rate_hz
    near = (after >= EARLIEST) & (after <= LATEST)
    delays_s, powers = delays_s[near] - delays_s[near][0], powers[near] * (total / float(powers[near].sum()))
    first_s = 0.0 if mean_s is None else mean_s - float(delays_s @ powers) / total
    line = total * from_db(k_db) / (1.0 + from_db(k_db))
    powers[0] = max(powers[0] - line, LEAST_SCATTERING * total)
    return first_s, delays_s, np.sqrt(powers * (total / powers.sum())).astype(np.complex128)


def _has_one_crystal(device: DeviceProfile, profile: Profile) -> bool:
    return profile.shared_clock or abs(device.clock_disagreement_std or 0.0) <= SEPARATE_STDS


def _fading(device: DeviceProfile) -> tuple[FadingLaw, float, float]:
    turning, line = device.doppler_hz, device.rician_k_db
    if turning is None or line is None or turning.value <= 0.0:
        return "none", 6.0, 0.0
    return "rician", line.value, turning.value


def _compressed_db(saturation_db: float, smoothness: float, profile: Profile, ofdm: OfdmConfig) -> float:
    """What an amplifier takes from a probe: the gain was measured with that, and the remade one takes it again."""
    if saturation_db >= NEVER_DB:
        return 0.0
    level = element_level(profile.numerology.backoff_db, ofdm)
    sent = level * modulate(probe_symbols(PROBE_SYMBOLS, ofdm), ofdm)
    return to_db(abs(compressed_gain(sent.astype(np.complex64), saturation_db, smoothness)) ** 2)


def _value(entry: Entry | None, otherwise: float = 0.0) -> float:
    """What can be told from nothing; a bound is nothing."""
    if entry is None or entry.bound:
        return otherwise
    return entry.value if abs(entry.value) > SIGNIFICANT * entry.std else otherwise


def _seen(entry: ComplexEntry | None) -> complex:
    if entry is None or abs(entry.value) <= SIGNIFICANT * entry.std:
        return 0.0 + 0.0j
    return entry.value
