"""Settings of an AD936x: written in an order in which it never sounds by accident, read back, and compared."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from radio.interface import RadioConfig, RadioError

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
    """No signal, no carrier. Every step is tried whatever became of those before; RadioError joins what failed.

    The tones' scales matter although their switches are off: when a transmit buffer closes, the kernel's driver turns
    the converters back to the tones.
    """
    wishes = [Wish(f"tx_hardwaregain_chan{channel}", MUTED_DB) for channel in range(link.num_channels)]
    wishes += [Wish("tx_lo_powerdown", 1), Wish("dds_scales", 0.0), Wish("dds_enabled", 0)]
    failures = []
    for wish in wishes:
        try:
            fulfil(link, wish)
        except RadioError as error:
            failures.append(str(error))
    if failures:
        raise RadioError("not surely silent: " + "; ".join(failures))


def tune(
    link: Settable, config: RadioConfig, rx_gains_db: Sequence[float], transmits: bool, receives: bool
) -> RadioConfig:
    """Rates, carriers, filters and receive gains of a silent board; returns what it holds. It stays muted.

    The transmitter's oscillator runs meanwhile, at the highest attenuation: the chip calibrates its transmit mixer
    when rates and carriers change, and needs it for that.
    """
    rate, center = round(config.sample_rate_hz), round(config.center_hz)
    width = min(max(rate, BANDWIDTHS_HZ[0]), BANDWIDTHS_HZ[1])
    fulfil(link, Wish("tx_lo_powerdown", 0))
    fulfil(link, Wish("loopback", 0))
    fulfil(link, Wish("ensm_mode", "fdd"))
    if config.xo_correction_hz:
        fulfil(link, Wish("xo_correction", round(config.xo_correction_hz)))
    held_rate = fulfil(link, Wish("sample_rate", rate, RATE_TOLERANCE_HZ))
    held_center: float | str = 0.0
    for side, used in (("tx", transmits), ("rx", receives)):
        if used:
            fulfil(
                link, Wish(f"{side}_stream_rate", held_rate, RATE_TOLERANCE_HZ)
            )  # not decimated in the FPGA
            held_center = fulfil(link, Wish(f"{side}_lo", center, LO_TOLERANCE_HZ))
            fulfil(link, Wish(f"{side}_rf_bandwidth", int(width), 0.01 * width))
    held_gain = write_rx_gains(link, rx_gains_db)[0] if receives else config.rx_gain_db
    return replace(
        config,
        sample_rate_hz=float(held_rate),
        center_hz=float(held_center),
        rx_gain_db=held_gain,
        xo_correction_hz=float(str(link.get("xo_correction"))),
    )


def write_rx_gains(link: Settable, gains_db: Sequence[float]) -> list[float]:
    """By hand: a gain that changes by itself would change the amplitudes that carry the sum."""
    held = []
    for channel, gain_db in enumerate(gains_db):
        fulfil(link, Wish(f"gain_control_mode_chan{channel}", "manual"))
        gain = fulfil(link, Wish(f"rx_hardwaregain_chan{channel}", float(gain_db), RX_GAIN_STEP_DB - 1e-9))
        held.append(float(gain))
    return held


def unmute(link: Settable, tx_gains_db: Sequence[float]) -> list[float]:
    """The last step: from here on the transmitter is heard."""
    fulfil(link, Wish("tx_lo_powerdown", 0))
    return [write_tx_gain(link, channel, gain_db) for channel, gain_db in enumerate(tx_gains_db)]


def write_tx_gain(link: Settable, channel: int, gain_db: float) -> float:
    """0 is the highest output, -89.75 the lowest."""
    return float(fulfil(link, Wish(f"tx_hardwaregain_chan{channel}", float(gain_db), TX_GAIN_STEP_DB - 1e-9)))
