"""What the simulated air is like: plain values that a configuration file, a profile or a test can state.

The defaults are the identity: one path of gain 1, no delay, no noise.
"""

import math
from dataclasses import dataclass
from typing import Literal

Scenario = Literal["identity", "bench", "free", "indoor", "harsh"]
FadingLaw = Literal["none", "rayleigh", "rician"]


@dataclass(frozen=True, kw_only=True)
class Fading:
    """Block fading: one complex gain a device and block of air time, independent over both, E|h|^2 = 1.

    law: "none" is h = 1; "rayleigh" is CN(0, 1); "rician" has a line of sight of random phase that carries
    `rician_k_db` more power than the rest.
    """

    law: FadingLaw = "none"
    rician_k_db: float = 6.0

    def mean_gain(self) -> float:
        """E|h|. For Rician fading with factor K: sqrt(pi / (4 (K + 1))) L_{1/2}(-K), Laguerre by Bessel functions."""
        match self.law:
            case "none":
                return 1.0
            case "rayleigh":
                return math.sqrt(math.pi) / 2.0
            case "rician":
                from scipy.special import ive

                k = 10.0 ** (self.rician_k_db / 10.0)
                laguerre = (1.0 + k) * ive(0, k / 2.0) + k * ive(
                    1, k / 2.0
                )  # ive carries the factor exp(-k / 2)
                return float(math.sqrt(math.pi / (4.0 * (k + 1.0))) * laguerre)


@dataclass(frozen=True, kw_only=True)
class AirConfig:
    """The `air` table of a configuration.

    scenario: a named set of impairments (`radio/scenarios.py`); with "identity" the values below shape the air.
    tap_delays_samples, tap_powers_db: power delay profile that every device's paths follow, scaled to unit energy,
        each path with a phase of its own; at least one tap.
    start_offset_samples: the receiver's clock starts at a random instant up to this many samples off, so that
        timing has to be found.
    """

    scenario: Scenario = "identity"
    tap_delays_samples: tuple[int, ...] = (0,)
    tap_powers_db: tuple[float, ...] = (0.0,)
    start_offset_samples: int = 0

    def __post_init__(self) -> None:
        if not self.tap_delays_samples or len(self.tap_delays_samples) != len(self.tap_powers_db):
            raise ValueError(
                f"air.tap_delays_samples and air.tap_powers_db need equally many entries, at least one; "
                f"got {len(self.tap_delays_samples)} and {len(self.tap_powers_db)}"
            )
        if min(self.tap_delays_samples) < 0 or len(set(self.tap_delays_samples)) != len(
            self.tap_delays_samples
        ):
            raise ValueError(
                f"air.tap_delays_samples must be distinct and at least 0, got {list(self.tap_delays_samples)}"
            )
        if not 0 <= self.start_offset_samples <= MAX_START_OFFSET_SAMPLES:
            raise ValueError(
                f"air.start_offset_samples must be in [0, {MAX_START_OFFSET_SAMPLES}], got {self.start_offset_samples}"
            )


MAX_START_OFFSET_SAMPLES = 1024  # what a receiver searches through
