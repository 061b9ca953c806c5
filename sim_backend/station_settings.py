"""Everything that a virtual radio can be told, as one frozen value."""

from dataclasses import dataclass, field, fields
from typing import TypeVar

from sim_backend.pluto_settings import Tdd

T = TypeVar("T")
NOMINAL_XO_HZ = 40e6
GAIN_MODES = ("manual", "slow_attack", "fast_attack", "hybrid")
LIMITS: dict[str, tuple[float, float]] = {  # the chip's, with room for what a correction does to them
    "sample_rate_hz": (520e3, 61.5e6),
    "tx_lo_hz": (46e6, 6.002e9),
    "rx_lo_hz": (69.9e6, 6.002e9),
    "xo_correction_hz": (39.9e6, 40.1e6),
    "tx_attenuation_db": (0.0, 89.75),
    "rx_gain_db": (-10.0, 77.0),
    "tx_bandwidth_hz": (200e3, 61.44e6),
    "rx_bandwidth_hz": (200e3, 61.44e6),
}


@dataclass(frozen=True)
class DdsTone:
    """One generator: scale * sin(2 pi frequency_hz t + phase_deg); scale 1 is full scale."""

    frequency_hz: float = 0.0
    phase_deg: float = 0.0
    scale: float = 0.0


@dataclass(frozen=True, kw_only=True)
class StationSettings:
    """Rates and carriers are what the driver makes of the crystal that it is told of: the truth is larger by
    (true crystal) / xo_correction_hz.

    tx_lo_epoch, rx_lo_epoch: each value brings a carrier phase of its own. rx_decimation, tx_interpolation: between
    the chip and the DMA. tx_attenuation_db, rx_gain_db (in manual mode), gain_mode: one a channel; the last holds for
    channels beyond. digital_loopback: transmit samples go to the receiver and not on the air. repeats: received samples
    are sent in place of a stream's, some milliseconds later.
    awake: whether converters run; otherwise nothing is sent, and zeros are received. tx_on, rx_on: one a channel,
    whether it is connected to its antenna and its mixer is fed; what is received otherwise is the receiver's noise.
    gain_range_db: of the gain control. tx_fir, rx_fir: taps of the programmable filters at the rate of the streams, an
    odd number, without their delay; none is no filter.
    dds: I, I, Q, Q of the first channel and on; they sound while no buffer is open.
    tdd: when the DMAs may begin blocks.
    """

    sample_rate_hz: float = 30.72e6
    tx_lo_hz: float = 2.45e9
    rx_lo_hz: float = 2.4e9
    tx_lo_epoch: int = 0
    rx_lo_epoch: int = 0
    awake: bool = True
    tx_on: tuple[bool, ...] = (True,)
    rx_on: tuple[bool, ...] = (True,)
    xo_correction_hz: float = NOMINAL_XO_HZ
    rx_decimation: int = 1
    tx_interpolation: int = 1
    tx_attenuation_db: tuple[float, ...] = (10.0,)
    rx_gain_db: tuple[float, ...] = (71.0,)
    gain_mode: tuple[str, ...] = ("slow_attack",)
    gain_range_db: tuple[int, int] = (-3, 71)
    tx_bandwidth_hz: float = 18e6
    rx_bandwidth_hz: float = 18e6
    digital_loopback: bool = False
    repeats: bool = False
    tx_fir: tuple[float, ...] = ()
    rx_fir: tuple[float, ...] = ()
    dds: tuple[DdsTone, ...] = ()
    tdd: Tdd = field(default_factory=Tdd)

    def __post_init__(self) -> None:
        for name, (lowest, highest) in LIMITS.items():
            value = getattr(self, name)
            for part in value if isinstance(value, tuple) else (value,):
                if not lowest <= part <= highest:
                    raise ValueError(f"{name} must be in [{lowest:g}, {highest:g}], got {part:g}")
        for mode in self.gain_mode:
            if mode not in GAIN_MODES:
                raise ValueError(f"gain_mode must be one of {', '.join(GAIN_MODES)}; got {mode!r}")
        for name in ("rx_decimation", "tx_interpolation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.repeats and self.rx_decimation * self.tx_interpolation > 1:
            raise ValueError(
                f"received samples are sent at the rate they came at, got decimation {self.rx_decimation} and "
                f"interpolation {self.tx_interpolation}; set both to 1"
            )
        for name in ("tx_fir", "rx_fir"):
            if getattr(self, name) and len(getattr(self, name)) % 2 == 0:
                raise ValueError(f"{name} must have an odd number of taps, got {len(getattr(self, name))}")

    def changed(self, **settings: object) -> "StationSettings":
        """These with some replaced, checked anew."""
        known = {own.name: getattr(self, own.name) for own in fields(self)}
        if unknown := settings.keys() - known.keys():
            raise ValueError(f"unknown setting {sorted(unknown)[0]!r}; known: {', '.join(known)}")
        return StationSettings(**(known | settings))


def of_channel(values: tuple[T, ...], channel: int) -> T:
    """A channel's own value, or the last."""
    return values[min(channel, len(values) - 1)]
