"""A receiver behind its antenna, as functions of the index: noise, interference, impulses, IQ, DC, converter."""

import math
from dataclasses import dataclass, replace

import numpy as np

from radio.impairments import amplitude
from radio.interface import Samples
from radio.measured_air import AirLaw, MeasuredAir, known
from radio.seeds import Use, stream
from sim_backend.ports import port_key
from sim_backend.tones import Tones
from sim_backend.transmitter import mirror, quantise

BLOCK = 1 << 14  # noise and impulses are drawn in blocks of this many samples, each from its own stream
NUM_INTERFERER_TONES = 32
INTERFERER_EDGE = 0.4  # of the sample rate: how far from the centre an interferer may lie


@dataclass(frozen=True)
class FrontEnd:
    """noise_variance: E|w|^2 a sample; transmitters' full scale = 1 everywhere. interferer: in cycles a sample."""

    seed: int
    receiver: int
    noise_variance: float = 0.0
    interferer: Tones | None = None
    impulses_per_block: float = 0.0
    impulse_power: float = 0.0
    image: complex = 0.0
    offset: complex = 0.0
    adc_bits: int = 0
    full_scale: float = np.inf

    def receive(self, arriving: Samples, at: int) -> tuple[Samples, int]:
        """Samples from index `at` >= 0 on, and how many of them the converter could not represent.

        A saturated sample lies at the limit, as in hardware; what to do about it is the caller's decision.
        """
        heard = arriving + self.noise(at, len(arriving)) + self.interference(at, len(arriving))
        heard = mirror(heard, self.image, self.offset)
        if self.full_scale == np.inf:
            return heard, 0
        parts = np.ascontiguousarray(heard).view(np.float32).reshape(-1, 2)
        num_saturated = int(np.count_nonzero((np.abs(parts) > self.full_scale).any(axis=1)))
        if num_saturated:
            heard = np.clip(parts, -self.full_scale, self.full_scale).ravel().view(np.complex64)
        return quantise(heard, self.adc_bits, self.full_scale), num_saturated

    def noise(self, at: int, count: int) -> Samples:
        """White noise: the same index gives the same sample whenever it is asked."""
        if self.noise_variance == 0.0 or count == 0:
            return np.zeros(count, dtype=np.complex64)
        first, last = at // BLOCK, (at + count - 1) // BLOCK
        drawn = [
            stream(self.seed, Use.RECEIVER_NOISE, port_key(self.receiver), block).standard_normal(
                2 * BLOCK, dtype=np.float32
            )
            for block in range(first, last + 1)
        ]
        offset = at - first * BLOCK
        noise = np.concatenate(drawn).view(np.complex64)[offset : offset + count]
        return noise * np.float32(np.sqrt(self.noise_variance / 2.0))

    def interference(self, at: int, count: int) -> Samples:
        """What others put on the air: the narrowband interferer and impulses."""
        total = np.zeros(count, dtype=np.complex64)
        if self.interferer is not None:
            total += self.interferer.on_grid(at, count, 1.0).astype(np.complex64)
        if self.impulses_per_block > 0.0:
            total += self.impulses(at, count)
        return total

    def impulses(self, at: int, count: int) -> Samples:
        """Single samples at random places, complex Gaussian."""
        total = np.zeros(count, dtype=np.complex64)
        for block in range(at // BLOCK, (at + count - 1) // BLOCK + 1):
            rng = stream(self.seed, Use.IMPULSES, port_key(self.receiver), block)
            number = int(rng.poisson(self.impulses_per_block))
            places = block * BLOCK + rng.integers(BLOCK, size=number) - at
            values = rng.normal(scale=np.sqrt(self.impulse_power / 2.0), size=(number, 2))
            inside = (places >= 0) & (places < count)
            np.add.at(total, places[inside], (values[inside] @ [1.0, 1j]).astype(np.complex64))
        return total


def draw_front_end(
    air: AirLaw,
    seed: int,
    receiver: int,
    sample_rate_hz: float,
    noise_variance: float,
    device_power: float,
) -> FrontEnd:
    """A receiver's own, a pure function of seed and receiver.

    device_power: E|x|^2 of a device's samples at the receiver while it sends, which interference is relative to.
    """
    _, impairments = known(air, None)
    rng = stream(seed, Use.RECEIVER, port_key(receiver))
    image_phase, offset_phase = np.exp(2j * np.pi * rng.random(2))
    center = rng.uniform(-INTERFERER_EDGE, INTERFERER_EDGE)
    within = (np.arange(NUM_INTERFERER_TONES) + rng.random(NUM_INTERFERER_TONES)) / NUM_INTERFERER_TONES
    phases = np.exp(2j * np.pi * rng.random(NUM_INTERFERER_TONES))
    interferer = None
    if isinstance(air, MeasuredAir):
        interferer = _measured_interferers(air, seed, receiver, sample_rate_hz)
    elif level := amplitude(impairments.interferer_db):
        interferer = Tones(
            level * np.sqrt(device_power / NUM_INTERFERER_TONES) * phases,
            center + impairments.interferer_fraction * (within - 0.5),
        )
    drawn = FrontEnd(
        seed=seed,
        receiver=receiver,
        noise_variance=noise_variance,
        interferer=interferer,
        impulses_per_block=impairments.impulse_rate_hz * BLOCK / sample_rate_hz,
        impulse_power=amplitude(impairments.impulse_db) ** 2 * device_power,
        image=complex(amplitude(impairments.rx_image_db) * image_phase),
        offset=complex(amplitude(impairments.rx_dc_db) * offset_phase),
        adc_bits=impairments.adc_bits,
        full_scale=amplitude(impairments.adc_full_scale_db),
    )
    return replace(drawn, image=air.rx_image, offset=air.rx_dc) if isinstance(air, MeasuredAir) else drawn


def _measured_interferers(air: MeasuredAir, seed: int, receiver: int, sample_rate_hz: float) -> Tones | None:
    """Those within the sampled bandwidth, each as tones that fill its band."""
    rng = stream(seed, Use.INTERFERERS, port_key(receiver))
    amplitudes, frequencies = [np.zeros(0, np.complex128)], [np.zeros(0)]
    for each in air.interferers:
        count = NUM_INTERFERER_TONES if each.width_hz else 1
        within = (np.arange(count) + rng.random(count)) / count
        phases = np.exp(2j * np.pi * rng.random(count))
        if abs(each.offset_hz) < sample_rate_hz / 2.0:
            amplitudes.append(math.sqrt(each.power / count) * phases)
            frequencies.append((each.offset_hz + each.width_hz * (within - 0.5)) / sample_rate_hz)
    tones = Tones(np.concatenate(amplitudes), np.concatenate(frequencies))
    return tones if len(tones.amplitudes) else None
