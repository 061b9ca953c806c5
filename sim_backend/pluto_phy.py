"""The ad9361-phy device of a virtual Pluto: carriers, rates, gains, filters and modes, with the chip's limits."""

import errno
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from sim_backend.ad936x_clocks import plan_chain, power_up_chain
from sim_backend.iiod_target import Place
from sim_backend.pluto_attributes import ENSM_MODES, GAIN_MODES, GOVERNORS, RX_PORTS, TX_PORTS
from sim_backend.pluto_carriers import Carriers, gain_table
from sim_backend.pluto_context import PlutoModel
from sim_backend.pluto_engine import Engine
from sim_backend.pluto_fir import check_factors, check_taps, parse_fir
from sim_backend.pluto_settings import Fir, PlutoSettings
from sim_backend.pluto_values import (
    parse_bool,
    parse_choice,
    parse_fixed,
    parse_whole,
    refuse,
    show_bool,
    show_db,
)

MAX_BANDWIDTHS_HZ = {"input": 56_000_000, "output": 40_000_000}
CHIP_BANDWIDTH_HZ = {"ad9363a": 20_000_000}  # more is asked in vain
V = TypeVar("V")


class Phy:
    """settings: what the attributes amount to now; change: takes new values of some fields, and may refuse them."""

    def __init__(
        self,
        model: PlutoModel,
        engine: Engine,
        settings: Callable[[], PlutoSettings],
        change: Callable[..., None],
    ) -> None:
        self._model, self._engine, self._settings, self._change = model, engine, settings, change
        self.carriers = Carriers(model, settings, change)
        self.chain = power_up_chain(model.xo_correction_hz)
        self._rate_hz = 30_720_000  # as last asked for
        self._nominal = True
        self._calibration = "auto"

    def read(self, place: Place, attribute: str) -> str | None:
        """None: the value is in the table."""
        if place.channel.startswith("altvoltage"):
            return self.carriers.read(place.channel, attribute)
        if place.kind == "debug":
            return self._read_debug(attribute)
        if place.kind == "device":
            return self._read_device(attribute)
        return self._read_path(place, attribute)

    def write(self, place: Place, attribute: str, text: str) -> bool:
        """False: this is for the table to decide."""
        if place.channel.startswith("altvoltage"):
            return self.carriers.write(place.channel, attribute, text)
        if place.kind == "debug":
            return self._write_debug(attribute, text)
        if place.kind == "device":
            return self._write_device(attribute, text)
        return self._write_path(place, attribute, text)

    def gain_db(self, channel: int) -> int:
        """What the receiver has, whoever chose it."""
        low, high, _ = gain_table(self._settings().rx_lo_hz)
        if self._settings().gain_mode[channel] == "manual":
            return self._settings().rx_gain_db[channel]
        return min(max(round(self._engine.rx_gain_db(channel)), low), high)

    def _read_path(self, place: Place, attribute: str) -> str | None:
        settings, receiving = self._settings(), place.kind == "input"
        channel = int(place.channel[-1]) if place.channel[-1] in "01" else 0
        match attribute:
            case "sampling_frequency":
                return str(self.chain.rx_rates_hz(settings.xo_correction_hz)[-1])
            case "rf_bandwidth":
                return str(settings.rx_bandwidth_hz if receiving else settings.tx_bandwidth_hz)
            case "filter_fir_en":
                return show_bool(settings.fir.rx_enabled if receiving else settings.fir.tx_enabled)
            case "voltage_filter_fir_en":
                return show_bool(settings.fir.rx_enabled and settings.fir.tx_enabled)
            case "hardwaregain" if receiving:
                return show_db(self.gain_db(channel))
            case "hardwaregain":
                return show_db(-settings.tx_attenuation_db[channel] or 0.0)
            case "hardwaregain_available" if receiving:
                low, high, _ = gain_table(self._settings().rx_lo_hz)
                return f"[{low} 1 {high}]"
            case "gain_control_mode":
                return settings.gain_mode[channel]
            case "rf_port_select":
                return (settings.rx_port if receiving else settings.tx_port)[channel]
            case "rssi" if receiving:
                return f"{round(4 * self._engine.rssi_db(channel)) / 4:.2f} dB"
            case "input":
                return str(round(1e3 * self._engine.temperature_c()))
        return None

    def _write_path(self, place: Place, attribute: str, text: str) -> bool:
        settings, receiving = self._settings(), place.kind == "input"
        channel = int(place.channel[-1]) if place.channel[-1] in "01" else 0
        match attribute:
            case "sampling_frequency":
                self._set_clocks(int(parse_fixed(text, 1, 1 << 31)), settings.fir)
            case "rf_bandwidth":
                width = parse_whole(text, 200_000, MAX_BANDWIDTHS_HZ[place.kind])
                width = min(width, CHIP_BANDWIDTH_HZ.get(self._model.chip, width))
                self._change(**{"rx_bandwidth_hz" if receiving else "tx_bandwidth_hz": width})
            case "filter_fir_en" if receiving:
                self._set_clocks(self._rate_hz, replace(settings.fir, rx_enabled=parse_bool(text)))
            case "filter_fir_en":
                self._set_clocks(self._rate_hz, replace(settings.fir, tx_enabled=parse_bool(text)))
            case "voltage_filter_fir_en":
                on = parse_bool(text)
                self._set_clocks(self._rate_hz, replace(settings.fir, rx_enabled=on, tx_enabled=on))
            case "hardwaregain" if receiving:
                low, high, _ = gain_table(self._settings().rx_lo_hz)
                gain = max(int(parse_fixed(text, -1000, high)), low)  # the driver takes the lowest for less
                if settings.gain_mode[channel] != "manual":
                    raise refuse(f"gain is {settings.gain_mode[channel]}, not manual", errno.EOPNOTSUPP)
                self._change(rx_gain_db=_put(settings.rx_gain_db, channel, gain))
            case "hardwaregain":
                steps = int(-4 * parse_fixed(text, Decimal("-89.75"), 0))
                self._change(tx_attenuation_db=_put(settings.tx_attenuation_db, channel, steps / 4))
            case "gain_control_mode":
                self._change(gain_mode=_put(settings.gain_mode, channel, parse_choice(text, GAIN_MODES)))
            case "rf_port_select" if receiving:
                self._change(rx_port=_put(settings.rx_port, channel, parse_choice(text, RX_PORTS)))
            case "rf_port_select":
                self._change(tx_port=_put(settings.tx_port, channel, parse_choice(text, TX_PORTS)))
            case _:
                return False
        return True

    def _set_clocks(self, rate_hz: int, fir: Fir) -> None:
        """EINVAL where the driver finds no dividers, or the filter no time."""
        crystal_hz = self._settings().xo_correction_hz
        try:
            check_factors(fir)
            rx, tx = fir.decimation if fir.rx_enabled else 1, fir.interpolation if fir.tx_enabled else 1
            chain = plan_chain(rate_hz, rx, tx, self._nominal, crystal_hz)
            check_taps(fir, chain, crystal_hz)
        except ValueError as error:
            raise refuse(str(error)) from error
        self._change(sample_rate_hz=chain.exact_rate_hz(crystal_hz), fir=fir)
        self.chain, self._rate_hz = chain, rate_hz

    def _read_device(self, attribute: str) -> str | None:
        settings = self._settings()
        crystal_hz, first_hz = settings.xo_correction_hz, self._model.xo_correction_hz
        match attribute:
            case "ensm_mode":
                return settings.ensm_mode
            case "calib_mode":
                return self._calibration
            case "trx_rate_governor":
                return "nominal" if self._nominal else "highest_osr"
            case "filter_fir_config":
                fir = settings.fir
                return (
                    f"FIR Rx: {len(fir.rx_taps)},{fir.decimation} Tx: {len(fir.tx_taps)},{fir.interpolation}"
                )
            case "rx_path_rates":
                return _name_rates("BBPLL ADC R2 R1 RF RXSAMP", self.chain.rx_rates_hz(crystal_hz))
            case "tx_path_rates":
                return _name_rates("BBPLL DAC T2 T1 TF TXSAMP", self.chain.tx_rates_hz(crystal_hz))
            case "xo_correction":
                return str(crystal_hz)
            case "xo_correction_available":
                return f"[{first_hz - _span(first_hz)} 1 {first_hz + _span(first_hz)}]"
            case "dcxo_tune_coarse" | "dcxo_tune_fine":
                raise refuse("the clock is external", errno.ENODEV)
            case "multichip_sync" | "gain_table_config":
                raise refuse("cannot be read", errno.ENODATA)
        return None

    def _write_device(self, attribute: str, text: str) -> bool:
        match attribute:
            case "ensm_mode":
                self._change(ensm_mode=parse_choice(text, ENSM_MODES))
            case "calib_mode":
                words = text.split()
                if words and words[0] in ("auto", "manual"):
                    self._calibration = words[0]
                elif not words or words[0] not in (
                    "manual_tx_quad",
                    "tx_quad",
                    "rf_dc_offs",
                    "rssi_gain_step",
                ):
                    raise refuse(f"no calibration {text[:32]!r}")
            case "trx_rate_governor":
                self._nominal = parse_choice(text, GOVERNORS) == "nominal"
                self._set_clocks(self._rate_hz, self._settings().fir)
            case "filter_fir_config":
                try:
                    fir = parse_fir(text, self._settings().fir)
                except ValueError as error:
                    raise refuse(str(error)) from error
                if fir.rx_enabled or fir.tx_enabled:
                    self._set_clocks(self._rate_hz, fir)
                else:
                    self._change(fir=fir)
            case "xo_correction":
                first_hz = self._model.xo_correction_hz
                self._set_crystal(parse_whole(text, first_hz - _span(first_hz), first_hz + _span(first_hz)))
            case "dcxo_tune_coarse" | "dcxo_tune_fine":
                raise refuse("the clock is external", errno.ENODEV)
            case _:
                return False
        return True

    def _set_crystal(self, crystal_hz: int) -> None:
        """The words in the synthesizers stay: what they are thought to give moves with the crystal."""
        self._change(
            xo_correction_hz=crystal_hz,
            rx_lo_hz=self.carriers.held["altvoltage0"].exact_hz(crystal_hz),
            tx_lo_hz=self.carriers.held["altvoltage1"].exact_hz(crystal_hz),
            sample_rate_hz=self.chain.exact_rate_hz(crystal_hz),
        )

    def _read_debug(self, attribute: str) -> str | None:
        match attribute:
            case "loopback":
                return str(self._settings().loopback)
            case "gaininfo_rx1" | "gaininfo_rx2":
                channel = int(attribute[-1]) - 1
                if channel >= self._model.num_channels:
                    raise refuse("not enabled", errno.EAGAIN)
                gain = self.gain_db(channel)
                return f"{gain} {gain + gain_table(self._settings().rx_lo_hz)[2]} 0 0 0 0 0 0"
        return None

    def _write_debug(self, attribute: str, text: str) -> bool:
        if attribute == "loopback":
            self._change(loopback=parse_whole(text, 0, 2))
            return True
        return False


def _put(values: tuple[V, ...], place: int, value: V) -> tuple[V, ...]:
    return (*values[:place], value, *values[place + 1 :])


def _span(crystal_hz: int) -> int:
    """200 ppm."""
    return crystal_hz * 200 // 1_000_000


def _name_rates(names: str, rates: tuple[int, ...]) -> str:
    return " ".join(f"{name}:{rate}" for name, rate in zip(names.split(), rates, strict=True))
