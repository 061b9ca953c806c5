"""What the simulated air is like: plain values that a configuration file, a profile or a test can state.

The defaults are the identity: one path of gain 1, no delay, no noise.
"""

import math
from dataclasses import dataclass
from typing import Literal, cast, get_args

from radio.air_parts import AirParts, given
from radio.impairments import FadingLaw, Impairments
from radio.scenarios import ProfileName, named_profile, scenario

Scenario = Literal["identity", "bench", "free", "indoor", "harsh"]


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
class AirConfig(AirParts):
    """The `air` table of a configuration: a scenario, and every parameter of `Impairments` on top of it.

    scenario: a named set of impairments (`radio/scenarios.py`). A parameter that is not given, None, is as it says.
    profile, delay_spread_s: a named power delay profile instead of tap_delays_s and tap_powers_db; or, ending in
        ".json", the file of a calibration profile instead of the scenario and all parameters (`measured`).
    tap_delays_samples: of the block-fading air that "identity" has as long as no parameter is given: every device's
        paths follow this profile, scaled to unit energy, each path with a phase of its own; at least one tap.
    tap_powers_db: of tap_delays_samples there, of tap_delays_s everywhere else.
    start_offset_samples: the receiver's clock starts at a random instant up to this many samples off, so that
        timing has to be found.
    full_scale_dbm: power of a transmitter's samples of amplitude 1, which makes noise figures mean something.
    Raises ValueError for what cannot be, naming the key as `air.key`.
    """

    scenario: Scenario = "identity"
    profile: str | None = None
    delay_spread_s: float | None = None
    tap_delays_samples: tuple[int, ...] = (0,)
    tap_powers_db: tuple[float, ...] | None = None
    start_offset_samples: int = 0
    full_scale_dbm: float = 0.0

    def __post_init__(self) -> None:
        self._check_profile()
        if not self.has_paths:
            self._check_block_taps()
        if not 0 <= self.start_offset_samples <= MAX_START_OFFSET_SAMPLES:
            raise ValueError(
                f"air.start_offset_samples must be in [0, {MAX_START_OFFSET_SAMPLES}], got {self.start_offset_samples}"
            )
        lowest, highest = FULL_SCALE_DBM
        if not lowest <= self.full_scale_dbm <= highest:
            raise ValueError(
                f"air.full_scale_dbm must be in [{lowest:g}, {highest:g}], got {self.full_scale_dbm:g}"
            )
        if self.measured is None:
            self.impairments()

    @property
    def measured(self) -> str | None:
        """Path of the calibration profile that states this air, if one does."""
        return self.profile if self.profile is not None and self.profile.endswith(MEASURED) else None

    @property
    def parts(self) -> dict[str, object]:
        """The parameters of `Impairments` that are given, by name."""
        return given(self)

    @property
    def has_paths(self) -> bool:
        """Whether devices have paths, drawn or measured; if not, the air is block-fading between perfect radios."""
        shaped = self.profile is not None or self.delay_spread_s is not None
        return self.scenario != "identity" or shaped or bool(self.parts.keys() - {"tap_powers_db"})

    @property
    def origin(self) -> str:
        """The key that makes an air with paths one, as an error names it."""
        if self.measured is not None:
            return f'air.profile = "{self.measured}"'
        if self.scenario != "identity":
            return f'air.scenario = "{self.scenario}"'
        return f"air.{next((name for name in self.parts if name != 'tap_powers_db'), 'profile')}"

    def impairments(self) -> Impairments:
        """The scenario with what was given on top; the identity for a block-fading air.

        ValueError for a measured air, whose values are in its file and not here.
        """
        if self.measured is not None:
            raise ValueError(f"{self.origin} states values and no statistics; read the file")
        if not self.has_paths:
            return Impairments()
        parts = self.parts
        if self.tap_delays_samples != (0,):
            parts.pop("tap_powers_db", None)  # those are theirs
        try:
            return scenario(self.scenario).changed(**parts, **self._profile_taps(parts))
        except ValueError as error:
            raise ValueError(f"air.{error}") from error

    def _profile_taps(self, parts: dict[str, object]) -> dict[str, object]:
        if self.profile is None:
            if self.delay_spread_s is not None:
                raise ValueError(
                    f"delay_spread_s = {self.delay_spread_s:g} needs a profile that it stretches; "
                    'set air.profile to "tdl-a" or "exponential"'
                )
            return {}
        if twice := {"tap_delays_s", "tap_powers_db"} & parts.keys():
            raise ValueError(
                f'profile = "{self.profile}" and air.{max(twice)} both state the taps; leave one out'
            )
        taps = named_profile(cast(ProfileName, self.profile), self.delay_spread_s)
        return {"tap_delays_s": taps.delays_s, "tap_powers_db": taps.powers_db}

    def _check_profile(self) -> None:
        names = get_args(ProfileName)
        if self.profile is None or self.profile in names:
            return
        if self.measured is None:
            raise ValueError(
                f"air.profile = {self.profile!r}: neither a power delay profile nor the file of a calibration, which "
                f"ends in {MEASURED}; choose one of: {', '.join(names)}, or such a file"
            )
        others = {name: f"air.{name}" for name in self.parts}
        if self.tap_delays_samples != (0,):
            others["tap_delays_samples"] = "air.tap_delays_samples"
        if self.delay_spread_s is not None:
            others["delay_spread_s"] = "air.delay_spread_s"
        if self.scenario != "identity":
            others["scenario"] = f'air.scenario = "{self.scenario}"'
        if others:
            name, spelt = others.popitem()
            remedy = ', or set air.scenario = "identity"' if name == "scenario" else ""
            raise ValueError(
                f"{self.origin} states the whole air, and {spelt} is given as well; leave one of them out{remedy}"
            )

    def _check_block_taps(self) -> None:
        delays, powers = self.tap_delays_samples, self.block_powers_db
        if not delays or len(delays) != len(powers):
            raise ValueError(
                f"air.tap_delays_samples and air.tap_powers_db need equally many entries, at least one; "
                f"got {len(delays)} and {len(powers)}"
            )
        if min(delays) < 0 or len(set(delays)) != len(delays):
            raise ValueError(f"air.tap_delays_samples must be distinct and at least 0, got {list(delays)}")

    @property
    def block_powers_db(self) -> tuple[float, ...]:
        """Powers of the taps of a block-fading air; a single tap needs none."""
        return (0.0,) if self.tap_powers_db is None else self.tap_powers_db


MEASURED = ".json"  # how the path of a calibration profile ends
MAX_START_OFFSET_SAMPLES = 1024  # what a receiver searches through
FULL_SCALE_DBM = (-100.0, 60.0)
