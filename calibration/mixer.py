"""A mixer's image and leakage, told from behind an amplifier that compresses them.

What leaves a transmitter is f(x + a x* + l), f the amplifier. Near saturation it takes more of an image than of the
signal (to third order twice as much of its gain), so that a receiver sees less of a, and of l, than the mixer made and
than a pre-distortion has to undo. With the amplifier known, both follow from what was seen.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radio.decibel import from_db
from radio.impairments import NEVER_DB
from radio.interface import Samples

STEPS = 4  # each leaves a fraction of the error, the share that the amplifier takes


class Mixer(NamedTuple):
    """image: of the mirrored signal over the signal. leakage: relative to full scale."""

    image: complex
    leakage: complex


def remove_compression(seen: Mixer, sent: Samples, saturation_db: float, smoothness: float) -> Mixer:
    """The mixer itself. seen: relative to the signal as received; sent: (num_samples,) what it was seen with;
    saturation_db, smoothness: of Rapp's amplifier (`calibration/rapp.py`), relative to full scale."""
    found = seen
    for _ in range(STEPS):
        image, leakage = apply_compression(found, sent, saturation_db, smoothness)
        found = Mixer(found.image + seen.image - image, found.leakage + seen.leakage - leakage)
    return found


def apply_compression(mixer: Mixer, sent: Samples, saturation_db: float, smoothness: float) -> Mixer:
    """What is seen of a mixer behind an amplifier: inverse of `remove_compression`."""
    gain, image, offset = _seen_of(mixer, sent, saturation_db, smoothness)
    return Mixer(image / gain, offset / gain)


def compressed_gain(sent: Samples, saturation_db: float, smoothness: float) -> complex:
    """Of an amplifier, for the part of what leaves it that is like what was sent; 1 without compression."""
    return _seen_of(Mixer(0j, 0j), sent, saturation_db, smoothness)[0]


def radiated(sent: Samples, mixer: Mixer, saturation_db: float, smoothness: float) -> NDArray[np.complex128]:
    """(num_samples,) what leaves a transmitter, over its gain for what was sent: that, and all that is added to it."""
    amplified = _amplified(sent.astype(np.complex128), mixer, saturation_db, smoothness)
    return amplified / _seen_of(mixer, sent, saturation_db, smoothness)[0]


def _seen_of(
    mixer: Mixer, sent: Samples, saturation_db: float, smoothness: float
) -> tuple[complex, complex, complex]:
    """Of the signal, of the mirrored one, and the offset, behind the amplifier."""
    signal = sent.astype(np.complex128)
    parts = np.stack([signal, signal.conj(), np.ones(len(signal))], axis=1)
    amplified = _amplified(signal, mixer, saturation_db, smoothness)
    gain, image, offset = np.linalg.solve(parts.conj().T @ parts, parts.conj().T @ amplified)
    return complex(gain), complex(image), complex(offset)


def _amplified(
    signal: NDArray[np.complex128], mixer: Mixer, saturation_db: float, smoothness: float
) -> NDArray[np.complex128]:
    mixed = signal + mixer.image * signal.conj() + mixer.leakage
    if saturation_db >= NEVER_DB:
        return mixed
    level = np.abs(mixed) / math.sqrt(from_db(saturation_db))
    return np.asarray(mixed * (1.0 + level ** (2.0 * smoothness)) ** (-0.5 / smoothness))
