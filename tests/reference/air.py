"""A path as its equation says, sample by sample in double precision. Shares the draws and the kernel's two numbers."""

import numpy as np

from sim_backend.interpolate import HALF, KAISER_BETA


def kernel(distance):
    inside = np.abs(distance) < HALF
    near, values = distance[inside], np.zeros(distance.shape)
    values[inside] = np.sinc(near) * np.i0(KAISER_BETA * np.sqrt(1 - (near / HALF) ** 2)) / np.i0(KAISER_BETA)
    return values


def tones(process, times):
    total = np.zeros(len(times), complex)
    for amplitude, frequency in zip(process.amplitudes, process.frequencies_hz, strict=True):
        total += amplitude * np.exp(2j * np.pi * frequency * times)
    return total


def radiate(transmitter, samples):
    x = samples.astype(complex)
    if transmitter.dac_bits:
        levels = 2 ** (transmitter.dac_bits - 1) - 1
        x = (np.round(x.real * levels) + 1j * np.round(x.imag * levels)) / levels
    x = x + transmitter.image * np.conj(x) + transmitter.leakage
    p = transmitter.smoothness
    return x / (1 + (np.abs(x) / transmitter.saturation) ** (2 * p)) ** (1 / (2 * p))


def drifted(crystal, times):
    """Cycles, by the integral of sum Re a (exp(j w t) - 1)."""
    total = np.zeros(len(times))
    if crystal.drift is not None:
        for a, f in zip(crystal.drift.amplitudes, crystal.drift.frequencies_hz, strict=True):
            w = 2 * np.pi * f
            total += np.real(a * (np.expm1(1j * w * times) / (1j * w) - times))
    return total


def phase(crystal, times):
    total = 2 * np.pi * (crystal.offset * crystal.center_hz * times + drifted(crystal, times))
    return total + (tones(crystal.jitter, times).real if crystal.jitter is not None else 0.0)


def lead_s(crystal, times):
    lead = crystal.sample_offset * times
    return lead + drifted(crystal, times) / crystal.center_hz if crystal.one_crystal else lead


def receive(path, samples, start, first, count):
    """(count,) samples from the receiver's index `first` of a burst from the transmitter's index `start`."""
    rate = path.sample_rate_hz
    radiated = radiate(path.transmitter, samples)
    reach = 2 * HALF + int((path.delay_s + max(path.tap_delays_s)) * rate)
    on_air = np.arange(first - reach, first + count + reach)
    places = on_air + rate * lead_s(path.crystal, on_air / rate) - start
    z = kernel(places[:, None] - np.arange(len(samples))) @ radiated

    index = np.arange(first, first + count)
    times = index / rate
    total = np.zeros(count, complex)
    for tap, delay in enumerate(path.tap_delays_s):
        gain = np.full(count, path.steady[tap], complex)
        if path.scattered:
            gain += tones(path.scattered[tap], times)
        distance = index[:, None] - rate * (path.delay_s + delay) - on_air
        total += gain * (kernel(distance) @ z)
    return path.gain * np.exp(1j * phase(path.crystal, times)) * total
