"""Settings of an AD936x: written in an order in which it never sounds by accident, read back, and compared."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from radio.interface import RadioConfig, RadioError
from radio.pluto_link import LinkError

MUTED_DB = -89.75  # of `tx_hardwaregain`: the highest attenuation
LO_TOLERANCE_HZ = 8.0
RATE_TOLERANCE_HZ = 4.0
TX_GAIN_STEP_DB, RX_GAIN_STEP_DB = 0.25, 1.0
BANDWIDTHS_HZ = (200e3, 20e6)  # of the analog filters; an AD9363 has no more
RATES_HZ = (521e3, 61.44e6)


class Settable(Protocol):
    """A link, or what stands in for one."""

    uri: str
    num_channels: int

    def get(self, name: str) -> object: ...

    def set(self, name: str, value: object) -> None: ...


class Wish(NamedTuple):
    """A setting, its value, and how far the board may be from it; 0 for words and switches."""

    name: str
    value: float | str
    tolerance: float = 0.0


def fulfil(link: Settable, wish: Wish) -> float | str:
    """Write, read back, compare; returns what the board holds. RadioError names setting, asked and got."""
    link.set(wish.name, wish.value)
    held = link.get(wish.name)
    if isinstance(wish.value, str):
        fits = held == wish.value
    else:
        fits = isinstance(held, int | float) and abs(held - wish.value) <= wish.tolerance
    if not fits:
        raise RadioError(
            f"{link.uri}: {wish.name}: asked for {wish.value}, the board holds {held}; "
            "another program may be using it, or its firmware cannot do this"
        )
    assert isinstance(held, int | float | str)
    return held


def silence(link: Settable) -> None:
    """No signal, no carrier. Every step is tried whatever became of those before, until the link is lost; RadioError
    joins what failed.

    The tones' scales matter although their switches are off: when a transmit buffer closes, the kernel's driver turns
    the converters back to the tones.
    """
    wishes = [Wish(f"tx_hardwaregain_chan{channel}", MUTED_DB) for channel in range(link.num_channels)]
    wishes += [Wish("tx_lo_powerdown", 1), Wish("dds_scales", 0.0), Wish("dds_enabled", 0)]
    failures = []
    for wish in wishes:
        try:
            fulfil(link, wish)
        except LinkError as error:
            failures.append(str(error))
            break
        except RadioError as error:
            failures.append(str(error))
    if failures:
        raise RadioError("not surely silent: " + "; ".join(failures))


def tune(link: Settable, config: RadioConfig, transmits: bool, receives: bool) -> RadioConfig:
    """Rates, carriers and filters of a silent board; returns what it holds. It stays muted. No buffer may be open.

    The transmitter's oscillator runs meanwhile, at the highest attenuation: the chip calibrates its transmit mixer
    when rates and carriers change, and needs it for that.
    """
    rate = round(config.sample_rate_hz)
    width = min(max(rate, BANDWIDTHS_HZ[0]), BANDWIDTHS_HZ[1])
    fulfil(link, Wish("tx_lo_powerdown", 0))
    fulfil(link, Wish("loopback", 0))
    fulfil(link, Wish("ensm_mode", "fdd"))
    if config.xo_correction_hz:
        fulfil(link, Wish("xo_correction", round(config.xo_correction_hz)))
    held_rate = float(fulfil(link, Wish("sample_rate", rate, RATE_TOLERANCE_HZ)))
    sides = _sides(transmits, receives)
    for side in sides:
        fulfil(link, Wish(f"{side}_stream_rate", held_rate, RATE_TOLERANCE_HZ))  # not decimated in the FPGA
    held_center = [_write_carrier(link, side, config.center_hz) for side in sides][-1]
    for side in sides:
        fulfil(link, Wish(f"{side}_rf_bandwidth", int(width), 0.01 * width))
    held_xo = float(str(link.get("xo_correction")))
    return replace(config, sample_rate_hz=held_rate, center_hz=held_center, xo_correction_hz=held_xo)


def retune(link: Settable, center_hz: float, transmits: bool, receives: bool) -> float:
    """Carriers alone, of a silent board whose streams may go on; returns what it holds. It stays muted."""
    fulfil(link, Wish("tx_lo_powerdown", 0))
    return [_write_carrier(link, side, center_hz) for side in _sides(transmits, receives)][-1]


def _sides(transmits: bool, receives: bool) -> list[str]:
    return ["tx"] * transmits + ["rx"] * receives


def _write_carrier(link: Settable, side: str, center_hz: float) -> float:
    return float(fulfil(link, Wish(f"{side}_lo", round(center_hz), LO_TOLERANCE_HZ)))


def write_rx_gain(link: Settable, channel: int, gain_db: float) -> float:
    """By hand: a gain that changes by itself would change the amplitudes that carry the sum."""
    fulfil(link, Wish(f"gain_control_mode_chan{channel}", "manual"))
    return float(fulfil(link, Wish(f"rx_hardwaregain_chan{channel}", float(gain_db), RX_GAIN_STEP_DB - 1e-9)))


def unmute(link: Settable, tx_gains_db: Sequence[float]) -> list[float]:
    """The last step: from here on the transmitter is heard."""
    fulfil(link, Wish("tx_lo_powerdown", 0))
    return [write_tx_gain(link, channel, gain_db) for channel, gain_db in enumerate(tx_gains_db)]


def write_tx_gain(link: Settable, channel: int, gain_db: float) -> float:
    """0 is the highest output, -89.75 the lowest."""
    return float(fulfil(link, Wish(f"tx_hardwaregain_chan{channel}", float(gain_db), TX_GAIN_STEP_DB - 1e-9)))
