"""Automatic gain control in steps of 1 dB, as a state that goes from one stretch of samples to the next.

After the AD9361 reference manual UG-570, "Gain control": an overload takes gain away at once, the mean power moves it
towards the target slowly, in both directions. "fast_attack" looks more often and then holds the gain until the power
leaves it by more than `UNLOCK_DB`. "hybrid" is slow attack, whose updates an external pin would gate.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.interface import Samples

TARGET_DBFS = -12.0  # mean power; leaves room for the peaks of OFDM
HYSTERESIS_DB = 1.5
OVERLOAD = 0.89  # of full scale, -1 dBFS: amplitude of I or Q
UNLOCK_DB = 10.0
WINDOW_LEN = {"slow_attack": 64, "hybrid": 64, "fast_attack": 16}  # samples between looks for an overload
WINDOWS_A_STEP = {"slow_attack": 16, "hybrid": 16, "fast_attack": 1}  # windows that a mean power is taken of
LOCK_WINDOWS = 16  # in step with the target before fast attack locks
MIN_GAIN_DB, MAX_GAIN_DB = -3, 71  # of an AD9363 as a Pluto's attribute says


@dataclass(frozen=True)
class AgcState:
    """gain_db: what the next sample meets. energy, peak, count: of the window that is not full; means: powers of
    windows since the last step, before gain. steady: windows without need for a step; locked: power at the lock."""

    gain_db: float = MAX_GAIN_DB
    energy: float = 0.0
    peak: float = 0.0
    count: int = 0
    means: tuple[float, ...] = ()
    steady: int = 0
    locked: float | None = None


def control(
    state: AgcState,
    mode: str,
    samples: Samples,
    limits_db: tuple[int, int] = (MIN_GAIN_DB, MAX_GAIN_DB),
) -> tuple[NDArray[np.float64], AgcState]:
    """Gain in dB that each sample meets, and the state after.

    samples: (num_samples,) complex at 0 dB of gain, 1 = full scale of the converter.
    returns: (num_samples,) gains. Where a stretch is cut does not matter.
    """
    window = WINDOW_LEN[mode]
    gains = np.empty(len(samples))
    energies = samples.real.astype(np.float64) ** 2 + samples.imag.astype(np.float64) ** 2
    peaks = np.maximum(np.abs(samples.real), np.abs(samples.imag)).astype(np.float64)
    gain, energy, peak, count = state.gain_db, state.energy, state.peak, state.count
    lowest, highest = limits_db
    gain = min(max(gain, lowest), highest)
    means, steady, locked = state.means, state.steady, state.locked
    edges = [0, *range(window - count, len(samples) + 1, window)]
    if edges[-1] != len(samples):
        edges.append(len(samples))
    first = np.array(edges[:-1])
    sums = np.add.reduceat(energies, first) if len(samples) else energies
    tops = np.maximum.reduceat(peaks, first) if len(samples) else peaks
    for low, high, part, top in zip(edges, edges[1:], sums.tolist(), tops.tolist(), strict=False):
        gains[low:high] = gain
        energy, peak, count = energy + part, max(peak, top), count + high - low
        if count < window:
            continue
        means = (*means, energy / window)
        step, means, steady, locked = _decide(mode, gain, peak, means, steady, locked)
        gain = min(max(gain + step, lowest), highest)
        energy, peak, count = 0.0, 0.0, 0
    return gains, AgcState(gain, energy, peak, count, means, steady, locked)


def _decide(
    mode: str, gain: float, peak: float, means: tuple[float, ...], steady: int, locked: float | None
) -> tuple[int, tuple[float, ...], int, float | None]:
    """A step in dB at the end of a window, and what is remembered."""
    if peak * 10.0 ** (gain / 20.0) > OVERLOAD:
        return -1, (), 0, None
    if len(means) < WINDOWS_A_STEP[mode]:
        return 0, means, steady, locked
    power = sum(means) / len(means)
    level_db = 10.0 * math.log10(max(power, 1e-30))
    if locked is not None:
        if abs(level_db - locked) <= UNLOCK_DB:
            return 0, (), steady, locked
        locked = None
    error_db = TARGET_DBFS - (level_db + gain)
    if abs(error_db) <= HYSTERESIS_DB:
        steady += 1
        held = mode == "fast_attack" and steady >= LOCK_WINDOWS
        return 0, (), steady, level_db if held else None
    return (1 if error_db > 0.0 else -1), (), 0, None
