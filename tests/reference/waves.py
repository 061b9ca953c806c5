"""Test signals of virtual radios as int16 words, and what received words hold, by the textbook's sums."""

import numpy as np

TX_FULL, RX_FULL = 32767, 2047


def tone(cycles_per_sample, num_samples, amplitude=1.0):
    """(num_samples, 2) a complex tone."""
    phase = 2 * np.pi * cycles_per_sample * np.arange(num_samples)
    return words(amplitude * np.exp(1j * phase))


def words(samples):
    """(num_samples, 2) int16 of complex samples, full scale = 1."""
    return np.rint(np.stack([samples.real, samples.imag], axis=1) * TX_FULL).astype(np.int16)


def complex_of(received):
    """(num_samples,) complex of received words, full scale = 1."""
    return (received[:, 0] + 1j * received[:, 1]) / RX_FULL


def frequency(samples):
    """Cycles a sample of a noiseless tone: slope of its unwrapped phase, by least squares."""
    return np.polyfit(np.arange(len(samples)), np.unwrap(np.angle(samples)), 1)[0] / (2 * np.pi)


def level_db(samples):
    """Mean power in dB of full scale."""
    return 10 * np.log10(np.mean(np.abs(samples) ** 2))
