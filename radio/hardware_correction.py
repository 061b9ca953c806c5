"""What a radio's samples undo of its own hardware: pre-distortion of a transmitter, and the same of a receiver.

A transmitter makes y = G(u + image u* + leakage) of its samples u, G an amplifier after Rapp's law, y = x / (1 + (|x| /
A)^(2 p))^(1 / (2 p)) at the same phase. So what is to leave it goes through the inverses from the last to the first:
turned down to the level that all devices share, then by x = y / (1 - (|y| / A)^(2 p))^(1 / (2 p)) what the amplifier
will compress, then the mixer's.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radio.front_end_correction import undo_receiver, undo_transmitter
from radio.impairments import LIMITS, NEVER_DB, amplitude
from radio.interface import Samples, check_full_scale

LOWEST_DB = -120.0  # of a level
LEAST_ROOM = 0.25  # of full scale: a mixer that takes more is broken
ROUNDING = 1e-6  # of full scale, and more than a complex64 is rounded by


@dataclass(frozen=True, kw_only=True)
class TransmitCorrection:
    """level_db: by which samples are turned down, 0 or below. image, leakage: of the mixer, relative to the signal and
    to full scale. saturation_db, smoothness: Rapp's A over full scale, and p; NEVER_DB: nothing is compressed."""

    level_db: float = 0.0
    image: complex = 0.0 + 0.0j
    leakage: complex = 0.0 + 0.0j
    saturation_db: float = NEVER_DB
    smoothness: float = 3.0

    def __post_init__(self) -> None:
        if not LOWEST_DB <= self.level_db <= 0.0:
            raise ValueError(
                f"level_db must be in [{LOWEST_DB:g}, 0]: no device is raised above what it had; "
                f"got {self.level_db:g}"
            )
        if not self.room >= LEAST_ROOM:
            raise ValueError(
                f"image of {abs(self.image):.3g} and leakage of {abs(self.leakage):.3g} leave {self.room:.3g} of full "
                f"scale, less than {LEAST_ROOM:g}; mend that transmitter, no correction makes up for it"
            )
        for name, value, limits in (
            ("saturation_db", self.saturation_db, LIMITS["saturation_db"]),
            ("smoothness", self.smoothness, LIMITS["rapp_smoothness"]),
        ):
            if not limits[0] <= value <= limits[1]:
                raise ValueError(f"{name} must be in [{limits[0]:g}, {limits[1]:g}], got {value:g}")

    @property
    def factor(self) -> float:
        """`level_db` as a factor of amplitudes: the linear gain from samples to what leaves."""
        return float(10.0 ** (self.level_db / 20.0))

    @property
    def room(self) -> float:
        """Highest |I| or |Q| behind the mixer for which both are within full scale before it, whatever the other is."""
        image, leakage = abs(self.image), abs(self.leakage)
        return (1.0 - image**2 - leakage * (1.0 + image)) / (1.0 + math.sqrt(2.0) * image)

    @property
    def tone_room(self) -> float:
        """Highest amplitude of a tone behind the mixer for which it is within full scale before it."""
        return 1.0 - abs(self.image) - abs(self.leakage)

    @property
    def growth(self) -> float:
        """By how much a peak grows at most: samples that peak below 1 / growth are never refused."""
        return self.factor / self.room


@dataclass(frozen=True, kw_only=True)
class DeviceCorrection:
    """Of the transmitter of that serial number: its gain setting, and what its samples undo."""

    serial: str
    tx_gain_db: float
    transmit: TransmitCorrection


@dataclass(frozen=True, kw_only=True)
class ReceiveCorrection:
    """image, dc: of the mixer, relative to the signal and to full scale."""

    image: complex = 0.0 + 0.0j
    dc: complex = 0.0 + 0.0j

    def __post_init__(self) -> None:
        if not abs(self.image) < 1.0:
            raise ValueError(f"image must be below 1 (0 dB) in magnitude, got {abs(self.image):.3g}")
        if not abs(self.dc) <= math.sqrt(2.0):
            raise ValueError(f"dc must be within full scale, got {abs(self.dc):.3g}")


def predistort(samples: Samples, correction: TransmitCorrection) -> Samples:
    """What to send so that (num_samples,), turned down by the level, leave the amplifier.

    Where the amplifier would have to be driven beyond full scale, it is driven up to it: it gives no more. Raises
    FullScaleError for samples that do not fit for another reason.
    """
    check_full_scale(samples)
    if correction == TransmitCorrection():
        return samples
    level = np.asarray(samples * np.float32(correction.factor), dtype=np.complex64)
    converted = undo_transmitter(level, correction.image, correction.leakage)
    check_full_scale(converted)
    if correction.saturation_db >= NEVER_DB:
        return converted
    return undo_transmitter(_driven(level, correction), correction.image, correction.leakage)


def _driven(samples: Samples, correction: TransmitCorrection) -> Samples:
    """What the amplifier has to be given so that (num_samples,) come out of it, within full scale before the mixer."""
    wanted = np.abs(samples.astype(np.complex128))
    towards = samples / np.maximum(wanted, np.finfo(np.float64).tiny)
    saturation, power = amplitude(correction.saturation_db), 2.0 * correction.smoothness
    most = _most(towards, correction.image, correction.leakage)
    reach = most * (1.0 + (most / saturation) ** power) ** (-1.0 / power)
    within = np.minimum(wanted, reach)
    needed = within * (1.0 - (within / saturation) ** power) ** (-1.0 / power)
    return np.asarray(towards * np.where(wanted < reach, needed, most), dtype=np.complex64)


def _most(towards: NDArray[np.complexfloating], image: complex, leakage: complex) -> NDArray[np.float64]:
    """(num_samples,) greatest magnitude behind the mixer, at these phases, that is within full scale before it."""
    scale = 1.0 - abs(image) ** 2
    gains = (towards - image * towards.conj()) / scale
    offset = (leakage - image * leakage.conjugate()) / scale
    limits = [
        (1.0 + np.sign(part) * shift) / np.maximum(np.abs(part), ROUNDING)
        for part, shift in ((gains.real, offset.real), (gains.imag, offset.imag))
    ]
    return np.asarray(np.minimum(np.minimum(*limits), 2.0) * (1.0 - ROUNDING))  # 2 at no phase: of silence


def restore(samples: Samples, correction: ReceiveCorrection) -> Samples:
    """(num_samples,) as they arrived at a receiver's mixer."""
    if correction == ReceiveCorrection():
        return samples
    return undo_receiver(samples, correction.image, correction.dc)


def share_with_attenuator(
    correction: TransmitCorrection, tx_gain_db: float, step_db: float, lowest_db: float
) -> tuple[float, TransmitCorrection]:
    """A transmitter's gain setting, whole steps below `tx_gain_db`, and the correction with what is left of its level:
    less than a step, unless the setting ends at `lowest_db`. What is radiated is the same, and the converter's steps
    stay as fine as they were. step_db: 0 for a radio whose gain is fixed."""
    if step_db <= 0.0:
        return tx_gain_db, correction
    steps = math.floor(-correction.level_db / step_db + 1e-9)
    steps = max(min(steps, math.floor((tx_gain_db - lowest_db) / step_db + 1e-9)), 0)
    rest_db = min(correction.level_db + steps * step_db, 0.0)
    return tx_gain_db - steps * step_db, replace(correction, level_db=rest_db)
