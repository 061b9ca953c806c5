"""What a mixer does to samples, and its exact inverse: an image of relative amplitude, and an offset.

A front end makes v = u + image u* + offset. Of a transmitter the offset is carrier leakage, of a receiver it is DC,
both relative to full scale. The inverse is u = (w - image w*) / (1 - |image|^2) with w = v - offset.
"""

import numpy as np

from radio.interface import Samples


def apply_front_end(samples: Samples, image: complex, offset: complex) -> Samples:
    """What a front end makes of (num_samples,). Raises ValueError for an image as strong as the signal."""
    _check_image(image)
    exact = samples.astype(np.complex128)
    return np.asarray(exact + image * exact.conj() + offset, dtype=np.complex64)


def undo_receiver(samples: Samples, image: complex, dc: complex) -> Samples:
    """What arrived at the mixer, from what the converter gave. Inverse of `apply_front_end`, which may come first.

    samples: (num_samples,). Raises ValueError for an image as strong as the signal.
    """
    return _undo(samples, image, dc)


def undo_transmitter(samples: Samples, image: complex, leakage: complex) -> Samples:
    """What to send so that (num_samples,) leaves the mixer: pre-distortion, `apply_front_end` comes after.

    The last step before the converter: a rotation or delay after it would turn the image. Peaks grow by at most
    (1 + |leakage|) / (1 - |image|), so check full scale afterwards. Raises ValueError for an image as strong as the
    signal.
    """
    return _undo(samples, image, leakage)


def _undo(samples: Samples, image: complex, offset: complex) -> Samples:
    _check_image(image)
    centred = samples.astype(np.complex128) - offset
    return np.asarray((centred - image * centred.conj()) / (1.0 - abs(image) ** 2), dtype=np.complex64)


def _check_image(image: complex) -> None:
    if not abs(image) < 1.0:
        raise ValueError(
            f"image must be below 1 (0 dB) in magnitude, got {abs(image):.3g}: such a front end has no inverse"
        )
