"""Everything that a Pluto's attributes say about the samples it sends and receives, as one frozen value."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tone:
    """One DDS generator: scale * sin(2 pi f t + phase), 1 is full scale. In order of altvoltage0, 1, ..."""

    frequency_hz: float = 0.0
    phase_deg: float = 0.0
    scale: float = 0.0
    enabled: bool = False


@dataclass(frozen=True, kw_only=True)
class Fir:
    """The programmable filters; `rx_enabled` and `tx_enabled` say whether samples pass through them."""

    rx_taps: tuple[int, ...] = ()
    tx_taps: tuple[int, ...] = ()
    rx_gain_db: int = 0
    tx_gain_db: int = 0
    decimation: int = 0
    interpolation: int = 0
    rx_enabled: bool = False
    tx_enabled: bool = False


@dataclass(frozen=True, kw_only=True)
class TddChannel:
    """0 is a pulse for others, 1 gates the receive DMA, 2 the transmit DMA. on, off: clock cycles of a frame."""

    enabled: bool = False
    inverted: bool = False
    on_cycles: int = 0
    off_cycles: int = 0


@dataclass(frozen=True, kw_only=True)
class Tdd:
    """The frame engine, whose clock is that of the samples. burst_count: frames after a trigger, 0 for ever."""

    enabled: bool = False
    frame_cycles: int = 0
    delay_cycles: int = 0
    period_cycles: int = 0
    burst_count: int = 0
    sync_external: bool = False
    sync_internal: bool = False
    sync_reset: bool = False
    channels: tuple[TddChannel, ...] = (TddChannel(), TddChannel(), TddChannel())


@dataclass(frozen=True, kw_only=True)
class PlutoSettings:
    """Frequencies and rates are what the driver believes: multiply by (true crystal) / xo_correction_hz for the truth.

    Writing xo_correction alone leaves that product as it was; the next retune uses the new value. An epoch counts
    retunes: each brings a new carrier phase. Gains and modes: one a channel.
    """

    xo_correction_hz: int
    rx_lo_hz: float
    tx_lo_hz: float
    rx_lo_epoch: int = 0
    tx_lo_epoch: int = 0
    rx_lo_powerdown: bool = False
    tx_lo_powerdown: bool = False
    sample_rate_hz: float
    rx_decimation: int = 1  # by the FPGA, behind the chip: 1 or 8
    tx_interpolation: int = 1
    rx_bandwidth_hz: int = 18_000_000
    tx_bandwidth_hz: int = 18_000_000
    rx_gain_db: tuple[int, ...]  # in manual mode
    gain_mode: tuple[str, ...]
    tx_attenuation_db: tuple[float, ...]
    rx_port: tuple[str, ...]
    tx_port: tuple[str, ...]
    ensm_mode: str = "fdd"
    loopback: int = 0  # 1: digital, transmit to receive; 2: through the FPGA, receive to transmit
    fir: Fir = Fir()
    dds: tuple[Tone, ...]
    tdd: Tdd = Tdd()
