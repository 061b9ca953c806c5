"""What a radio with a clock of its own does to a burst, sample by sample: delay, drift, carrier offset.

Sample n of the device is received at n + delay + drift * (n - reference); between samples the wave is the sum of
sincs under a Kaiser window, wide enough for the guard bands of the waveforms tested and no wider than their prefix.
"""

import numpy as np

HALF_WIDTH = 16


def receive(burst, indices, *, delay=0.0, drift=0.0, reference=0, cfo_hz=0.0, sample_rate_hz=4e6):
    """What is received at the whole `indices` of the receiver's clock of (samples, start index of the device)."""
    samples, start = burst
    # instant on the device's clock that is heard at each index: the inverse of n + delay + drift (n - reference)
    instants = (np.asarray(indices, dtype=float) - delay + drift * reference) / (1.0 + drift)
    places = (instants - start)[:, None]
    taps = np.floor(places).astype(int) + np.arange(1 - HALF_WIDTH, HALF_WIDTH + 1)
    span = (places - taps) / (HALF_WIDTH + 1)
    kernel = np.sinc(places - taps) * np.i0(9.0 * np.sqrt(np.maximum(1.0 - span**2, 0.0))) / np.i0(9.0)
    inside = (taps >= 0) & (taps < len(samples))  # nothing is sent before or after
    heard = np.sum(np.where(inside, np.asarray(samples)[np.where(inside, taps, 0)], 0.0) * kernel, axis=1)
    return heard * np.exp(2j * np.pi * cfo_hz * instants / sample_rate_hz)
