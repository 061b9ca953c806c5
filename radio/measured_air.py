"""The air between given radios, as a calibration measures it: values where `Impairments` has statistics.

What is random stays a function of seed and absolute time: phase noise, drift, fading. Its parameters are given here.
"""

import cmath
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from radio.decibel import from_db, to_db
from radio.impairments import LIMITS, NEVER_DB, FadingLaw, Impairments

GIVEN_LIMITS: dict[str, tuple[float, float]] = {
    "gain_db": (-LIMITS["path_loss_db"][1], 60.0),
    "phase_rad": (-2.0 * math.pi, 2.0 * math.pi),
    "delay_s": LIMITS["max_delay_s"],
    "clock_offset_ppm": (-LIMITS["max_clock_offset_ppm"][1], LIMITS["max_clock_offset_ppm"][1]),
}
UNIT_TOLERANCE = 1e-6  # of the taps' energy
MAX_NOISE_VARIANCE = 1e6
FAINTEST_DB = -100.0  # of a tap that fades


@dataclass(frozen=True, kw_only=True)
class MeasuredDevice:
    """One transmitter and its path to the receiver, in the order of a sample's way.

    Transmitter:
    dac_bits, saturation_db, rapp_smoothness, phase_noise_deg, phase_noise_corner_hz: as of `Impairments`.
    image: of the mirrored signal x* over the signal. lo_leakage: over full scale, while a burst lasts.

    Clock against the receiver's:
    clock_offset_ppm: of the carrier. sample_clock_offset_ppm: None where one crystal drives both.
    drift_hz_per_root_s: as of `Impairments`. A device keeps the receiver's time where both are 0.

    Path:
    gain_db: power, from the transmitter's full scale to the receiver's input. phase_rad: of the carrier at time 0.
    delay_s: of the first tap, after a zero that all devices share.
    tap_delays_s, taps: after the first tap, and their gains with a sum of |g|^2 of 1.
    fading, doppler_hz: of a channel that was seen to fade: then |g|^2 is the power of a tap's scattering, as in
        tap_powers_db of `Impairments`; the first tap's line of sight, rician_k_db over all scattering, keeps its phase.
    """

    gain_db: float = 0.0
    phase_rad: float = 0.0
    delay_s: float = 0.0
    tap_delays_s: tuple[float, ...] = (0.0,)
    taps: tuple[complex, ...] = (1.0 + 0.0j,)
    fading: FadingLaw = "none"
    rician_k_db: float = 6.0
    doppler_hz: float = 0.0

    clock_offset_ppm: float = 0.0
    sample_clock_offset_ppm: float | None = None
    drift_hz_per_root_s: float = 0.0

    phase_noise_deg: float = 0.0
    phase_noise_corner_hz: float = 10e3
    image: complex = 0.0 + 0.0j
    lo_leakage: complex = 0.0 + 0.0j
    saturation_db: float = NEVER_DB
    rapp_smoothness: float = 3.0
    dac_bits: int = 0

    def __post_init__(self) -> None:
        for name, (lowest, highest) in GIVEN_LIMITS.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise ValueError(f"{name} must be in [{lowest:g}, {highest:g}], got {value:g}")
        for name in ("image", "lo_leakage"):
            _check_share(name, getattr(self, name))
        self._check_taps()
        if self.fading == "none" and self.doppler_hz:
            raise ValueError(
                f'doppler_hz = {self.doppler_hz:g} has no effect with fading = "none"; set it to 0, or say how the '
                "taps fade"
            )
        if self.fading != "none" and self.doppler_hz == 0.0:
            raise ValueError(
                f'fading = "{self.fading}" with doppler_hz = 0 stands still; state the taps as they are, and '
                'fading = "none"'
            )
        _ = self.law  # whose limits are those of the rest

    def _check_taps(self) -> None:
        delays, taps = self.tap_delays_s, self.taps
        if not taps or len(delays) != len(taps):
            raise ValueError(
                f"tap_delays_s and taps need equally many entries, at least one; got {len(delays)} and {len(taps)}"
            )
        if delays[0] != 0.0 or any(not a < b for a, b in pairwise(delays)):
            raise ValueError(
                f"tap_delays_s must rise from 0, got {list(delays)}; add the first one to delay_s"
            )
        if taps[0] == 0.0:
            raise ValueError("taps must begin with one that is not 0; leave it out, and raise delay_s")
        energy = sum(abs(tap) ** 2 for tap in taps)
        if not abs(energy - 1.0) <= UNIT_TOLERANCE:
            raise ValueError(
                f"taps must have a sum of |g|^2 of 1, got {energy:g}; divide them by its root and add "
                f"{to_db(energy):g} dB to gain_db"
            )

    @property
    def gain(self) -> complex:
        """Of amplitudes, carrier phase included."""
        return cmath.rect(math.sqrt(from_db(self.gain_db)), self.phase_rad)

    @cached_property
    def law(self) -> Impairments:
        """What is drawn of it: its random processes, with nothing that is given but what they need."""
        is_free = bool(self.clock_offset_ppm or self.drift_hz_per_root_s)
        return Impairments(
            dac_bits=self.dac_bits,
            saturation_db=self.saturation_db,
            rapp_smoothness=self.rapp_smoothness,
            phase_noise_deg=self.phase_noise_deg,
            phase_noise_corner_hz=self.phase_noise_corner_hz,
            clock="free" if is_free else "shared",
            max_clock_offset_ppm=abs(self.clock_offset_ppm),
            drift_hz_per_root_s=self.drift_hz_per_root_s,
            separate_sample_clock=self.sample_clock_offset_ppm is not None,
            sample_clock_offset_ppm=self.sample_clock_offset_ppm or 0.0,
            tap_delays_s=self.tap_delays_s,
            tap_powers_db=tuple(max(to_db(abs(tap) ** 2), FAINTEST_DB) for tap in self.taps),
            fading=self.fading,
            rician_k_db=self.rician_k_db,
            doppler_hz=self.doppler_hz,
        )

    def mean_power(self, freqs_hz: Iterable[float]) -> float:
        """Of the path, over frequencies at baseband; where it fades, over time as well."""
        power = from_db(self.gain_db)
        if self.fading != "none":
            return power
        powers = [abs(self._shape(freq_hz)) ** 2 for freq_hz in freqs_hz]
        return power * sum(powers) / len(powers)

    def _shape(self, freq_hz: float) -> complex:
        return sum(
            tap * cmath.exp(-2j * math.pi * freq_hz * delay)
            for tap, delay in zip(self.taps, self.tap_delays_s, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class MeasuredInterferer:
    """Somebody else: a band that is evenly filled, about offset_hz from the receiver's carrier; of width 0 it is one
    tone. power: E|x|^2 of a sample, in the unit of `MeasuredAir.noise_variance`."""

    offset_hz: float
    width_hz: float
    power: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.offset_hz) or not 0.0 <= self.width_hz < math.inf:
            raise ValueError(
                f"an interferer needs a finite offset_hz and a width_hz of 0 or more, got {self.offset_hz:g} and "
                f"{self.width_hz:g}"
            )
        if not 0.0 <= self.power <= MAX_NOISE_VARIANCE:
            raise ValueError(
                f"an interferer's power must be in [0, {MAX_NOISE_VARIANCE:g}], got {self.power:g}"
            )


@dataclass(frozen=True, kw_only=True)
class MeasuredAir:
    """devices: by number.

    Of the receiver, and of every other radio that hears, as only one was measured:
    noise_variance: E|w|^2 of a sample at its input, a transmitter's full scale = 1. sample_rate_hz: at which that was
        found; white noise grows with the rate. None: the same at every rate.
    interferers: what else it hears, none of which grows with the rate.
    rx_image: of the mirrored signal over the signal. rx_dc: as `rx_dc_db` of `Impairments`.
    adc_bits, adc_full_scale_db: as of `Impairments`.

    first_port: of the simulation's radios, the one that is device 0; the others follow.
    """

    devices: tuple[MeasuredDevice, ...]
    noise_variance: float = 0.0
    sample_rate_hz: float | None = None
    interferers: tuple[MeasuredInterferer, ...] = ()
    rx_image: complex = 0.0 + 0.0j
    rx_dc: complex = 0.0 + 0.0j
    adc_bits: int = 0
    adc_full_scale_db: float = NEVER_DB
    first_port: int = 0

    def __post_init__(self) -> None:
        if not self.devices:
            raise ValueError("a measured air needs one device or more, got none")
        if not 0.0 <= self.noise_variance <= MAX_NOISE_VARIANCE:
            raise ValueError(
                f"noise_variance must be in [0, {MAX_NOISE_VARIANCE:g}], got {self.noise_variance:g}"
            )
        if self.sample_rate_hz is not None and not 0.0 < self.sample_rate_hz < math.inf:
            raise ValueError(f"sample_rate_hz must be above 0, got {self.sample_rate_hz:g}")
        _check_share("rx_image", self.rx_image)
        highest = math.sqrt(from_db(LIMITS["rx_dc_db"][1]))
        if not abs(self.rx_dc) <= highest:
            raise ValueError(f"rx_dc must be of a magnitude in [0, {highest:g}], got {abs(self.rx_dc):g}")
        _ = self.elsewhere

    def device(self, port: int) -> MeasuredDevice | None:
        """The one that a radio of the simulation is, None for a radio that was not measured."""
        number = port - self.first_port
        return self.devices[number] if 0 <= number < len(self.devices) else None

    def noise_at(self, sample_rate_hz: float) -> float:
        """`noise_variance` at a sample rate."""
        return self.noise_variance * (sample_rate_hz / (self.sample_rate_hz or sample_rate_hz))

    @cached_property
    def elsewhere(self) -> Impairments:
        """Of radios and paths that nobody measured: perfect ones, with the mean gain of those measured."""
        mean_power = sum(from_db(device.gain_db) for device in self.devices) / len(self.devices)
        return Impairments(
            path_loss_db=min(max(-to_db(mean_power), 0.0), LIMITS["path_loss_db"][1]),
            adc_bits=self.adc_bits,
            adc_full_scale_db=self.adc_full_scale_db,
        )


AirLaw = Impairments | MeasuredAir  # what a simulated air is made from


def known(air: AirLaw, port: int | None) -> tuple[MeasuredDevice | None, Impairments]:
    """What is given of a radio, None for nothing, and what the rest of it is drawn from. port: None is no device."""
    if isinstance(air, Impairments):
        return None, air
    device = None if port is None else air.device(port)
    return device, air.elsewhere if device is None else device.law


def _check_share(name: str, value: complex) -> None:
    if not abs(value) <= 1.0:
        raise ValueError(f"{name} must be of a magnitude in [0, 1], got {abs(value):g}")
