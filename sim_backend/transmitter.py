"""What a transmitter's analog side does to samples; each step can stand alone and is the identity by default."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radio.impairments import amplitude
from radio.interface import Samples
from radio.measured_air import AirLaw, known
from radio.seeds import Use, stream
from sim_backend.ports import port_key


def quantise(samples: NDArray[np.complexfloating], bits: int, full_scale: float = 1.0) -> Samples:
    """Round I and Q to 2^bits - 1 levels, symmetric, the outermost at full scale; 0 bits is no rounding.

    In double precision, where the product of a sample and a number of levels is exact, and so are ties.
    """
    if bits == 0:
        return np.asarray(samples, dtype=np.complex64)
    levels = (2 ** (bits - 1) - 1) / full_scale
    parts = np.ascontiguousarray(samples, dtype=np.complex64).view(np.float32).astype(np.float64)
    parts *= levels
    np.rint(parts, out=parts)
    parts /= levels
    return parts.astype(np.float32).view(np.complex64)


def mirror(samples: Samples, image: complex, offset: complex) -> Samples:
    """x + image x* + offset: IQ imbalance with LO leakage or DC."""
    if image:
        samples = samples + np.complex64(image) * samples.conj()
    return samples + np.complex64(offset) if offset else samples


def compress(samples: Samples, saturation: float, smoothness: float) -> Samples:
    """Rapp, Effects of HPA nonlinearity on a 4-DPSK/OFDM signal, 1991: y = x / (1 + (|x| / A)^(2 p))^(1 / (2 p))."""
    if saturation == np.inf:
        return samples
    level = np.abs(samples.astype(np.complex128)) / saturation
    gain = (1.0 + level ** (2.0 * smoothness)) ** (-0.5 / smoothness)
    return np.asarray(samples * gain, dtype=np.complex64)


@dataclass(frozen=True)
class Transmitter:
    """A device's converter, mixer and amplifier; image and leakage carry phases of their own."""

    dac_bits: int = 0
    image: complex = 0.0
    leakage: complex = 0.0
    saturation: float = np.inf
    smoothness: float = 3.0

    def radiate(self, samples: Samples) -> Samples:
        """What leaves the antenna while a burst lasts."""
        converted = mirror(quantise(samples, self.dac_bits), self.image, self.leakage)
        return compress(converted, self.saturation, self.smoothness)


def draw_transmitter(air: AirLaw, seed: int, device: int) -> Transmitter:
    """A device's own, a pure function of seed and device."""
    given, impairments = known(air, device)
    image_phase, leakage_phase = np.exp(
        2j * np.pi * stream(seed, Use.TRANSMITTER, port_key(device)).random(2)
    )
    drawn = Transmitter(
        dac_bits=impairments.dac_bits,
        image=complex(amplitude(impairments.image_db) * image_phase),
        leakage=complex(amplitude(impairments.lo_leakage_db) * leakage_phase),
        saturation=amplitude(impairments.saturation_db),
        smoothness=impairments.rapp_smoothness,
    )
    return drawn if given is None else replace(drawn, image=given.image, leakage=given.lo_leakage)
