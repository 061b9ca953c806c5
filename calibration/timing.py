"""Where a burst starts: correlation with its known preamble."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.signal
import scipy.stats
from numpy.typing import NDArray

from radio.interface import Samples


@dataclass(frozen=True)
class TimingEstimate:
    """`start_index`: sample at which the preamble begins. `quality` in [0, 1]: share of the local energy that
    the preambles explain. `detected`: whether noise alone would reach this with the stated probability only."""

    start_index: int
    quality: float
    detected: bool


def correlation_energy(samples: Samples, references: Sequence[Samples]) -> NDArray[np.float64]:
    """Energy that the references explain at each start, relative to the local mean power.

    samples: (num_samples,); references: equally long, each of any scale.
    returns: (num_samples - reference_len + 1,). In white noise each reference adds a unit exponential variable.
    Where nearly all of the window is silent there is nothing to explain: the local power is taken as at least a
    ten-thousandth of the mean, or rounding errors would be divided by nothing.
    """
    length = len(references[0])
    power = np.abs(samples.astype(np.complex128)) ** 2
    running = np.concatenate([[0.0], np.cumsum(power)])
    floor = max(1e-4 * running[-1] / len(samples), 1e-30)
    local = np.maximum((running[length:] - running[:-length]) / length, floor)
    explained = np.zeros(len(local))
    for reference in references:
        matched = scipy.signal.correlate(samples, reference, mode="valid", method="fft")
        explained += np.abs(matched) ** 2 / np.vdot(reference, reference).real
    return explained / local


def estimate_timing(
    samples: Samples, references: Sequence[Samples], false_alarm: float = 1e-9
) -> TimingEstimate:
    """Start of a burst whose preamble is a superposition of `references` with unknown complex weights.

    samples: (num_samples,), longer than a reference. false_alarm: probability that noise alone passes, over all
    positions searched together (union bound; the sum of n unit exponentials is Gamma(n, 1)).
    Non-coherent over references, so that no set of channel phases can cancel them.
    """
    if len(samples) < len(references[0]):
        raise ValueError(f"{len(samples)} samples are fewer than the preamble's {len(references[0])}")
    energy = correlation_energy(samples, references)
    best = int(np.argmax(energy))
    threshold = float(scipy.stats.gamma.isf(false_alarm / len(energy), len(references)))
    quality = min(float(energy[best]) / len(references[0]), 1.0)
    return TimingEstimate(best, quality, bool(energy[best] > threshold))
