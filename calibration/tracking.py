"""How well a free-running clock is still known, some time after it was measured.

The frequency of a crystal walks at random, and its error moves the instant at which a burst arrives:

    var f(t) = var f(0) + q t,    var d(t) = var d(0) + r^2 (var f(0) t^2 + q t^3 / 3)

with f in Hz at the carrier, d in samples, q the walk's variance a second and r samples a cycle of the carrier.
"""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from radio.correction import Correction
from radio.impairments import REFERENCE_HZ
from radio.ofdm import OfdmConfig

WALK_HZ_PER_ROOT_S = 1.0
"""Assumed random walk of frequency at 915 MHz: 1e-9 in a second, as of a plain crystal at a steady temperature, and as
in the named airs with free clocks. Assuming too much costs acquisitions, too little costs rounds."""
SIGMAS = 3.0  # standard deviations that a prediction has to stay within
OFFSET_SHARE = 0.02  # of the subcarrier spacing, as much as devices that sound at once may be off
ARRIVAL_SHARE = 1 / 16  # of the prefix: a quarter of the window's lead


@dataclass(frozen=True, kw_only=True)
class Track:
    """What is known of a device's clock, and how well, at the correction's reference. confirmed: the last sounding
    agreed; if not, the device has to be acquired again, and this only says where to look."""

    correction: Correction
    cfo_std_hz: float
    delay_std_samples: float
    confirmed: bool = True


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Standard deviations of a track at a later instant."""

    cfo_std_hz: float
    delay_std_samples: float


def predict(track: Track, index: float, center_hz: float, sample_rate_hz: float) -> Prediction:
    """How well a track is known at the receiver's sample `index`."""
    known = track.correction
    age_s = max(0.0, (index - known.reference_index - known.delay_samples) / sample_rate_hz)
    walk = (WALK_HZ_PER_ROOT_S * center_hz / REFERENCE_HZ) ** 2
    samples_per_cycle = sample_rate_hz / center_hz
    cfo_variance = track.cfo_std_hz**2 + walk * age_s
    moved_cycles = track.cfo_std_hz**2 * age_s**2 + walk * age_s**3 / 3.0
    delay_variance = track.delay_std_samples**2 + samples_per_cycle**2 * moved_cycles
    return Prediction(cfo_std_hz=math.sqrt(cfo_variance), delay_std_samples=math.sqrt(delay_variance))


def is_fresh(track: Track, index: float, center_hz: float, ofdm: OfdmConfig) -> bool:
    """Whether a device may sound at `index` with all others, on what is known of it.

    2 % of the spacing is also less than what the first step of the frequency ladder counts without ambiguity (3 % or
    more, with blocks of 8 symbols).
    """
    expected = predict(track, index, center_hz, ofdm.sample_rate_hz)
    spacing_hz = ofdm.sample_rate_hz / ofdm.fft_len
    return (
        track.confirmed
        and SIGMAS * expected.cfo_std_hz < OFFSET_SHARE * spacing_hz
        and SIGMAS * expected.delay_std_samples < max(0.5, ARRIVAL_SHARE * ofdm.prefix_len)
    )


def to_table(tracks: Mapping[int, Track]) -> NDArray[np.float64]:
    """(num_devices, 9) one row a device, exactly: indices are below 2**53."""
    rows = [
        (device, *astuple(track.correction), track.cfo_std_hz, track.delay_std_samples, track.confirmed)
        for device, track in sorted(tracks.items())
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 9)


def from_table(table: NDArray[np.float64]) -> dict[int, Track]:
    """Inverse of `to_table`."""
    return {
        int(device): Track(
            correction=Correction(
                delay_samples=delay, cfo_hz=cfo, drift=drift, reference_index=int(reference), phase_rad=phase
            ),
            cfo_std_hz=cfo_std,
            delay_std_samples=delay_std,
            confirmed=bool(confirmed),
        )
        for device, delay, cfo, drift, reference, phase, cfo_std, delay_std, confirmed in table.tolist()
    }
