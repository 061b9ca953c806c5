"""The named airs, and power delay profiles for making more. Every number stands in `docs/scenarios.md`."""

import math
from typing import Literal, NamedTuple

from radio.decibel import from_db
from radio.impairments import MAX_TAPS, Impairments

MAX_DELAY_SPREAD_S = 1e-5  # TDL-A's last tap lies at 9.7 times that


ProfileName = Literal["epa", "eva", "tdl-a", "exponential"]


class Profile(NamedTuple):
    """A power delay profile; powers relative to any one reference."""

    delays_s: tuple[float, ...]
    powers_db: tuple[float, ...]

    def delay_spread_s(self) -> float:
        """Root of the second central moment of delay, weighted by power."""
        powers = [from_db(power) for power in self.powers_db]
        mean = sum(p * d for p, d in zip(powers, self.delays_s, strict=True)) / sum(powers)
        moment = sum(p * (d - mean) ** 2 for p, d in zip(powers, self.delays_s, strict=True))
        return math.sqrt(moment / sum(powers))


# 3GPP TS 36.104, annex B.2: extended pedestrian A and extended vehicular A.
EPA = Profile(
    (0.0, 30e-9, 70e-9, 90e-9, 110e-9, 190e-9, 410e-9),
    (0.0, -1.0, -2.0, -3.0, -8.0, -17.2, -20.8),
)
EVA = Profile(
    (0.0, 30e-9, 150e-9, 310e-9, 370e-9, 710e-9, 1090e-9, 1730e-9, 2510e-9),
    (0.0, -1.5, -1.4, -3.6, -0.6, -9.1, -7.0, -12.0, -16.9),
)
# 3GPP TR 38.901, table 7.7.2-1: delays in units of the rms delay spread.
_TDL_A = (
    (0.0000, -13.4), (0.3819, 0.0), (0.4025, -2.2), (0.5868, -4.0), (0.4610, -6.0), (0.5375, -8.2),
    (0.6708, -9.9), (0.5750, -10.5), (0.7618, -7.5), (1.5375, -15.9), (1.8978, -6.6), (2.2242, -16.7),
    (2.1718, -12.4), (2.4942, -15.2), (2.5119, -10.8), (3.0582, -11.3), (4.0810, -12.7), (4.4579, -16.2),
    (4.5695, -18.3), (4.7966, -18.9), (5.0066, -16.6), (5.3043, -19.9), (9.6586, -29.7),
)  # fmt: skip


def exponential(num_taps: int, spacing_s: float, decay_s: float) -> Profile:
    """Equally spaced taps whose power falls by a factor e every `decay_s`."""
    if not 1 <= num_taps <= MAX_TAPS:
        raise ValueError(f"num_taps must be in [1, {MAX_TAPS}], got {num_taps}")
    if not (spacing_s > 0.0 and decay_s > 0.0):
        raise ValueError(f"spacing_s and decay_s must exceed 0, got {spacing_s:g} and {decay_s:g}")
    delays = tuple(tap * spacing_s for tap in range(num_taps))
    return Profile(delays, tuple(-10.0 * math.log10(math.e) * delay / decay_s for delay in delays))


def tdl_a(delay_spread_s: float) -> Profile:
    """3GPP TR 38.901's tapped delay line A at an rms delay spread."""
    _check_spread(delay_spread_s)
    return Profile(tuple(delay * delay_spread_s for delay, _ in _TDL_A), tuple(power for _, power in _TDL_A))


def falling(delay_spread_s: float) -> Profile:
    """Exponential profile of 13 taps, down to -26 dB, that has an rms delay spread."""
    _check_spread(delay_spread_s)
    unit = exponential(13, 0.5, 1.0)  # in units of its decay
    stretch = delay_spread_s / unit.delay_spread_s()
    return Profile(tuple(stretch * delay for delay in unit.delays_s), unit.powers_db)


def named_profile(name: ProfileName, delay_spread_s: float | None = None) -> Profile:
    """A named profile. delay_spread_s: rms, of the two that have none of their own, "tdl-a" and "exponential".

    Raises ValueError for one that lacks its spread, or is given a second one.
    """
    if (fixed := {"epa": EPA, "eva": EVA}.get(name)) is not None:
        if delay_spread_s is not None:
            raise ValueError(
                f'delay_spread_s = {delay_spread_s:g}, but profile = "{name}" has fixed delays; leave delay_spread_s '
                'out, or take profile "tdl-a" or "exponential"'
            )
        return fixed
    if delay_spread_s is None:
        raise ValueError(
            f'profile = "{name}" needs delay_spread_s, its rms delay spread in seconds; give one'
        )
    return tdl_a(delay_spread_s) if name == "tdl-a" else falling(delay_spread_s)


def _check_spread(delay_spread_s: float) -> None:
    if not 0.0 < delay_spread_s <= MAX_DELAY_SPREAD_S:
        raise ValueError(f"delay_spread_s must be in (0, {MAX_DELAY_SPREAD_S:g}], got {delay_spread_s:g}")


BENCH = Impairments(
    dac_bits=12,
    image_db=-40.0,
    phase_noise_deg=0.5,
    max_delay_s=3e-6,
    random_phase=True,
    tap_delays_s=(0.0, 100e-9, 300e-9),
    tap_powers_db=(0.0, -4.0, -12.0),
    fading="rician",
    rician_k_db=6.0,
    rx_image_db=-40.0,
    adc_bits=12,
    adc_full_scale_db=20.0,
)
FREE = BENCH.changed(clock="free", max_clock_offset_ppm=10.0, drift_hz_per_root_s=1.0)
SCENARIOS: dict[str, Impairments] = {
    "identity": Impairments(),
    "bench": BENCH,
    "free": FREE,
    "indoor": BENCH.changed(
        tap_delays_s=EPA.delays_s, tap_powers_db=EPA.powers_db, fading="rayleigh", doppler_hz=1.0
    ),
    "harsh": FREE.changed(
        dac_bits=10,
        image_db=-25.0,
        phase_noise_deg=1.0,
        tap_delays_s=EVA.delays_s,
        tap_powers_db=EVA.powers_db,
        fading="rayleigh",
        doppler_hz=5.0,
        near_far_db=6.0,
        interferer_db=-10.0,
        interferer_fraction=0.01,
        rx_image_db=-25.0,
        adc_bits=10,
    ),
}


def scenario(name: str) -> Impairments:
    """A named air. Raises ValueError with the known names."""
    if name not in SCENARIOS:
        raise ValueError(f"unknown scenario {name!r}; known: {', '.join(SCENARIOS)}")
    return SCENARIOS[name]
