"""From a profile to an air that behaves like the one it was measured on."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.delay import centred_bins, estimate_mean_delay, remove_delay
from calibration.profile import ComplexEntry, DeviceProfile, Entry, Numerology, Profile, ProfileError
from radio.decibel import from_db, to_db
from radio.impairments import NEVER_DB, FadingLaw
from radio.measured_air import MeasuredAir, MeasuredDevice
from radio.ofdm import OfdmConfig

MOST_TAPS = 32  # a path between samples has tails
CLOSE = 3e-5  # share of a channel's energy that taps may miss, beside its noise
SEEN = 1e-3  # share of the strongest direction below which taps are not told apart
SIGNIFICANT = 2.0  # standard deviations from 0, below which a value is taken to be 0


def measured_air(
    profile: Profile, tx_db: Callable[[float], float], rx_db: Callable[[float], float]
) -> MeasuredAir:
    """tx_db, rx_db: what a radio's gain settings do, from full scale to what `MeasuredAir` means by it.

    Raises ProfileError where a device lacks what an air needs.
    """
    rx_gain_db = rx_db(profile.receiver.rx_gain_db)
    noise = profile.receiver.disturbance_dbfs  # others' signals too, as if they were white
    shapes = [_shape(each, profile.numerology) for each in profile.devices]
    earliest_s = min(shape.starts_s for shape in shapes)
    return MeasuredAir(
        devices=tuple(
            _device(each, shape, earliest_s, profile, tx_db(each.tx_gain_db) + rx_gain_db)
            for each, shape in zip(profile.devices, shapes, strict=True)
        ),
        noise_variance=0.0 if noise is None else from_db(noise.value - rx_gain_db),
        sample_rate_hz=profile.numerology.sample_rate_hz,
        rx_image=_seen(profile.receiver.image),
        rx_dc=_seen(profile.receiver.dc),
    )


def taps_of(
    response: NDArray[np.complex128], error_variance: float, ofdm: OfdmConfig
) -> tuple[int, NDArray[np.complex128]]:
    """(delay of the first in samples from the mean delay, gains of taps a sample apart): as few as make a response.

    From the one nearest to the mean delay, to that side which explains more, until noise may explain the rest.
    """
    centred = remove_delay(response, float(estimate_mean_delay(response, ofdm)), ofdm)
    energy = float(np.linalg.norm(centred) ** 2)
    enough = CLOSE * energy + error_variance * len(centred)
    (first, last), (left_over, taps) = (0, 0), _fit(centred, 0, 0, ofdm)
    while left_over > enough and last - first < MOST_TAPS:
        spans = ((first - 1, last), (first, last + 1))
        fits = [_fit(centred, *span, ofdm) for span in spans]
        best = 0 if fits[0][0] < fits[1][0] else 1
        (first, last), (left_over, taps) = spans[best], fits[best]
    return first, taps


def _fit(
    response: NDArray[np.complex128], first: int, last: int, ofdm: OfdmConfig
) -> tuple[float, NDArray[np.complex128]]:
    """(energy that is left over, gains of the taps at delays first to last)."""
    turns = np.exp(-2j * np.pi * np.outer(centred_bins(ofdm), np.arange(first, last + 1)) / ofdm.fft_len)
    taps = np.linalg.lstsq(turns, response, rcond=SEEN)[0]
    return float(np.linalg.norm(response - turns @ taps) ** 2), np.asarray(taps)


class _Shape(NamedTuple):
    """starts_s: when the first tap arrives, by a clock that the devices share."""

    starts_s: float
    spacing_s: float
    taps: NDArray[np.complex128]


def _shape(device: DeviceProfile, numerology: Numerology) -> _Shape:
    if device.response is None:
        raise ProfileError(
            f"device {device.device} was not heard when the profile was made; calibrate again, or take it out"
        )
    ofdm = OfdmConfig(
        fft_len=numerology.fft_len,
        prefix_len=numerology.prefix_len,
        num_active=numerology.num_active,
        sample_rate_hz=numerology.sample_rate_hz,
    )
    response = np.array(device.response.re) + 1j * np.array(device.response.im)
    first, taps = taps_of(response, device.response.std**2, ofdm)
    mean_s = device.delay_s.value if device.delay_s is not None and _is_path(device.delay_s) else 0.0
    return _Shape(mean_s + first / ofdm.sample_rate_hz, 1.0 / ofdm.sample_rate_hz, taps)


def _device(
    device: DeviceProfile, shape: _Shape, earliest_s: float, profile: Profile, hardware_db: float
) -> MeasuredDevice:
    energy = float(np.sum(np.abs(shape.taps) ** 2))
    fading, k_db, turning_hz = _fading(device)
    cfo_hz = 0.0 if profile.shared_clock else _value(device.cfo_hz)
    return MeasuredDevice(
        gain_db=to_db(energy) - hardware_db,
        delay_s=shape.starts_s - earliest_s,
        tap_delays_s=tuple((np.arange(len(shape.taps)) * shape.spacing_s).tolist()),
        taps=tuple(map(complex, shape.taps / math.sqrt(energy))),
        fading=fading,
        rician_k_db=k_db,
        doppler_hz=turning_hz,
        clock_offset_ppm=1e6 * cfo_hz / profile.numerology.center_hz,
        drift_hz_per_root_s=0.0 if profile.shared_clock else _value(device.drift_hz_per_root_s),
        phase_noise_deg=_value(device.phase_noise_deg),
        phase_noise_corner_hz=_value(device.phase_noise_corner_hz) or 10e3,
        image=_seen(device.image),
        lo_leakage=_seen(device.leakage),
        saturation_db=_value(device.saturation_db, NEVER_DB),
        rapp_smoothness=_value(device.smoothness, 3.0),
    )


def _fading(device: DeviceProfile) -> tuple[FadingLaw, float, float]:
    turning, line = device.doppler_hz, device.rician_k_db
    if turning is None or line is None or turning.value <= 0.0:
        return "none", 6.0, 0.0
    return "rician", line.value, turning.value


def _is_path(delay: Entry | None) -> bool:
    """Whether a delay is of paths, and not of the instant at which a stream was started."""
    return delay is not None and 0.0 <= delay.value <= 1e-5


def _value(entry: Entry | None, otherwise: float = 0.0) -> float:
    """What can be told from nothing; a bound is nothing."""
    if entry is None or entry.bound:
        return otherwise
    return entry.value if abs(entry.value) > SIGNIFICANT * entry.std else otherwise


def _seen(entry: ComplexEntry | None) -> complex:
    if entry is None or abs(entry.value) <= SIGNIFICANT * entry.std:
        return 0.0 + 0.0j
    return entry.value
