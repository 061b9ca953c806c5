"""What the air between two radios is like, stated statistically: plain numbers, the identity by default.

A device's own values follow from these, a seed and its number. Levels in dB may be `NONE_DB`, which is nothing at all;
0 bits is a converter without steps.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

Clock = Literal["shared", "free"]
FadingLaw = Literal["none", "rayleigh", "rician"]

NONE_DB = -200.0  # of a level that is absent
NEVER_DB = 200.0  # of a level that nothing reaches
REFERENCE_HZ = 915e6  # carrier at which the drift is stated
MAX_TAPS = 64


@dataclass(frozen=True, kw_only=True)
class Impairments:
    """The transmitters, the paths and the receiver, in the order of a sample's way.

    Transmitter, each device with phases of its own:
    dac_bits: of a symmetric mid-tread quantiser whose outermost levels are full scale.
    image_db: power of the mirrored signal x*, relative to the signal. lo_leakage_db: relative to full scale, and only
        while a burst lasts.
    saturation_db, rapp_smoothness: Rapp's amplifier y = x / (1 + (|x| / A)^(2 p))^(1 / (2 p)); A relative to full
        scale.
    phase_noise_deg, phase_noise_corner_hz: rms, and the corner of its one-pole spectrum.

    Clock of a device against the receiver's; one crystal drives carrier and samples:
    clock: "shared" has neither offset nor drift. max_clock_offset_ppm: a free clock is uniform within +- this.
    drift_hz_per_root_s: its frequency's random walk at a carrier of 915 MHz; other carriers in proportion.
    separate_sample_clock, sample_clock_offset_ppm: instead of the crystal's, one fixed offset of the sample clock.

    Path:
    max_delay_s: uniform from 0. random_phase: of the carrier.
    tap_delays_s, tap_powers_db: power delay profile, scaled to unit energy.
    fading: "none" holds the taps at their powers, "rayleigh" makes each CN(0, power) with Jakes' spectrum, "rician"
        adds to the first tap a steady line of sight with rician_k_db more power than all scattering together.
    near_far_db: width of the uniform spread of path gains in dB, whose mean power stays 1. path_loss_db: of everybody.

    Receiver; the power of a device comes from elsewhere:
    noise_figure_db: over the noise of a resistor at 290 K; without a meaning where an SNR is stated instead.
    interferer_db, interferer_fraction: power over that of a device, and width over the sample rate.
    impulse_db, impulse_rate_hz: power of an impulse over that of a device; mean number a second.
    rx_image_db; rx_dc_db: relative to a transmitter's full scale.
    adc_bits, adc_full_scale_db: amplitude of I or Q that saturates, relative to a transmitter's full scale.
    """

    dac_bits: int = 0
    image_db: float = NONE_DB
    lo_leakage_db: float = NONE_DB
    saturation_db: float = NEVER_DB
    rapp_smoothness: float = 3.0
    phase_noise_deg: float = 0.0
    phase_noise_corner_hz: float = 10e3

    clock: Clock = "shared"
    max_clock_offset_ppm: float = 0.0
    drift_hz_per_root_s: float = 0.0
    separate_sample_clock: bool = False
    sample_clock_offset_ppm: float = 0.0

    max_delay_s: float = 0.0
    random_phase: bool = False
    tap_delays_s: tuple[float, ...] = (0.0,)
    tap_powers_db: tuple[float, ...] = (0.0,)
    fading: FadingLaw = "none"
    rician_k_db: float = 6.0
    doppler_hz: float = 0.0
    near_far_db: float = 0.0
    path_loss_db: float = 0.0

    noise_figure_db: float = 0.0
    interferer_db: float = NONE_DB
    interferer_fraction: float = 0.01
    impulse_db: float = 20.0
    impulse_rate_hz: float = 0.0
    rx_image_db: float = NONE_DB
    rx_dc_db: float = NONE_DB
    adc_bits: int = 0
    adc_full_scale_db: float = NEVER_DB

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}")
        for name, (lowest, highest) in LIMITS.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise ValueError(f"{name} must be in [{lowest:g}, {highest:g}], got {value:g}")
        for name in ("dac_bits", "adc_bits"):
            bits = getattr(self, name)
            if bits != int(bits) or 0 < bits < 2:
                raise ValueError(
                    f"{name} must be 0, for no quantisation, or a whole number from 2; got {bits:g}"
                )
        self._check_taps()
        if self.clock == "shared" and (self.max_clock_offset_ppm or self.drift_hz_per_root_s):
            raise ValueError(
                f"clock is shared, but max_clock_offset_ppm = {self.max_clock_offset_ppm:g} and "
                f'drift_hz_per_root_s = {self.drift_hz_per_root_s:g}; set both to 0, or clock to "free"'
            )
        if self.sample_clock_offset_ppm and not self.separate_sample_clock:
            raise ValueError(
                f"sample_clock_offset_ppm = {self.sample_clock_offset_ppm:g} needs separate_sample_clock = true; "
                "without it one crystal drives carrier and samples"
            )

    def _check_taps(self) -> None:
        delays, powers = self.tap_delays_s, self.tap_powers_db
        if not 1 <= len(delays) <= MAX_TAPS or len(delays) != len(powers):
            raise ValueError(
                f"tap_delays_s and tap_powers_db need equally many entries, 1 to {MAX_TAPS}; "
                f"got {len(delays)} and {len(powers)}"
            )
        for name, values, (lowest, highest) in (
            ("tap_delays_s", delays, (0.0, 1e-4)),
            ("tap_powers_db", powers, (-100.0, 100.0)),
        ):
            for value in values:
                if not lowest <= value <= highest:
                    raise ValueError(f"{name} must be in [{lowest:g}, {highest:g}], got {value:g}")

    def changed(self, **parameters: object) -> "Impairments":
        """These with some parameters replaced, checked anew."""
        unknown = parameters.keys() - {field.name for field in dataclasses.fields(self)}
        if unknown:
            known = ", ".join(field.name for field in dataclasses.fields(self))
            raise ValueError(f"unknown impairment {sorted(unknown)[0]!r}; known: {known}")
        return dataclasses.replace(self, **parameters)  # type: ignore[arg-type]


CHOICES: dict[str, tuple[str, ...]] = {
    "clock": ("shared", "free"),
    "fading": ("none", "rayleigh", "rician"),
}
LIMITS: dict[str, tuple[float, float]] = {
    "dac_bits": (0, 24),
    "image_db": (NONE_DB, 0.0),
    "lo_leakage_db": (NONE_DB, 0.0),
    "saturation_db": (-40.0, NEVER_DB),
    "rapp_smoothness": (0.5, 20.0),
    "phase_noise_deg": (0.0, 45.0),
    "phase_noise_corner_hz": (1.0, 1e6),
    "max_clock_offset_ppm": (0.0, 100.0),
    "drift_hz_per_root_s": (0.0, 100.0),
    "sample_clock_offset_ppm": (-100.0, 100.0),
    "max_delay_s": (0.0, 1e-3),
    "rician_k_db": (-30.0, 60.0),
    "doppler_hz": (0.0, 2000.0),
    "near_far_db": (0.0, 60.0),
    "path_loss_db": (0.0, 150.0),
    "noise_figure_db": (0.0, 60.0),
    "interferer_db": (NONE_DB, 60.0),
    "interferer_fraction": (1e-4, 0.5),
    "impulse_db": (NONE_DB, 80.0),
    "impulse_rate_hz": (0.0, 1e5),
    "rx_image_db": (NONE_DB, 0.0),
    "rx_dc_db": (NONE_DB, 20.0),
    "adc_bits": (0, 24),
    "adc_full_scale_db": (-100.0, NEVER_DB),
}


def amplitude(level_db: float) -> float:
    """Linear amplitude of a level; NONE_DB is exactly 0 and NEVER_DB is infinite."""
    if level_db <= NONE_DB:
        return 0.0
    return math.inf if level_db >= NEVER_DB else 10.0 ** (level_db / 20.0)
