"""A virtual ADALM-PLUTO: what an IIOD server serves, with an engine behind it for the samples."""

import errno
import threading
from dataclasses import replace

from sim_backend.ad936x_clocks import power_up_chain
from sim_backend.iiod_target import Buffer, Place
from sim_backend.pluto_attributes import XADC, XADC_TEMPERATURE_OFFSET
from sim_backend.pluto_carriers import gain_table, power_up_carriers
from sim_backend.pluto_context import PHY_ID, RX_ID, TDD_ID, TX_ID, XADC_ID, PlutoModel, build_xml, devices
from sim_backend.pluto_data import DataDevice, power_up_tones
from sim_backend.pluto_engine import Engine
from sim_backend.pluto_phy import Phy
from sim_backend.pluto_registers import CORE, OVERFLOW, UNDERFLOW, Chip, Core, Window
from sim_backend.pluto_settings import PlutoSettings
from sim_backend.pluto_tdd import TddDevice
from sim_backend.pluto_values import parse_bool, refuse

DIE_ABOVE_CHIP_C = 22.3  # how much warmer the FPGA is
MAX_BLOCKS = 64
KEPT = frozenset({  # written and read back; without effect on samples that this radio models
    "bb_dc_offset_tracking_en", "quadrature_tracking_en", "rf_dc_offset_tracking_en", "raw", "gpo_set",
    "calibration_switch_control", "watermark", "digital_tune",
})  # fmt: skip


class VirtualPluto:
    """Thread-safe. `settings` is what the attributes amount to; the engine has been told before a write returns."""

    def __init__(self, engine: Engine, model: PlutoModel | None = None) -> None:
        self.model = model = model or PlutoModel()
        self._engine = engine
        self._lock = threading.RLock()
        self._specs = devices(model)
        self._xml = build_xml(model.context_attributes, self._specs)
        self._values = {
            (Place(spec.id, kind), name): value
            for spec in self._specs
            for kind, values in (("device", spec.values), ("debug", spec.debug), ("buffer", spec.buffer))
            for name, value in values.items()
        } | {
            (Place(spec.id, channel.kind, channel.id), name): value
            for spec in self._specs
            for channel in spec.channels
            for name, value in channel.values.items()
        }
        self._open: dict[str, _Owned] = {}
        self._num_blocks = {RX_ID: 4, TX_ID: 4}
        self._power_up()

    @property
    def settings(self) -> PlutoSettings:
        """What the attributes amount to now."""
        with self._lock:
            return self._settings

    def xml(self) -> bytes:
        """The context."""
        return self._xml

    def read(self, place: Place, attribute: str) -> str:
        """The value, computed or from the table."""
        if attribute == "rssi":  # a measurement, which takes its time: others go on meanwhile
            return self._shown(place, attribute)
        with self._lock:
            if attribute == "direct_reg_access":
                return self._windows[place.device].read()
            return self._shown(place, attribute)

    def write(self, place: Place, attribute: str, value: str) -> None:
        """EOPNOTSUPP for what this radio does not model, unless the value is what it is anyway."""
        with self._lock:
            if attribute == "direct_reg_access":
                self._windows[place.device].write(value)
            elif attribute == "initialize":
                if parse_bool(value):
                    self._initialize()
            elif attribute.endswith("_available") or place.device == XADC_ID:
                raise refuse(f"{attribute} cannot be written", errno.EACCES)
            elif not self._devices[place.device].write(place, attribute, value):
                self._keep(place, attribute, value)

    def open_buffer(self, device: str, num_samples: int, mask: int, cyclic: bool) -> Buffer:
        """One client a direction at a time."""
        if device not in self._num_blocks:
            raise refuse(f"{device} has no buffer", errno.ENODEV)
        if cyclic and device == RX_ID:
            raise refuse("a receiver is not cyclic")
        elements = tuple(place for place in range(2 * self.model.num_channels) if mask >> place & 1)
        with self._lock:
            if device in self._open:
                raise refuse(f"{device} is open", errno.EBUSY)
            blocks = self._num_blocks[device]
            if device == RX_ID:
                buffer = self._engine.open_rx(num_samples, elements, blocks)
            else:
                buffer = self._engine.open_tx(num_samples, elements, blocks, cyclic)
            self._open[device] = owned = _Owned(buffer, self, device)
            return owned

    def release(self, device: str, owned: "_Owned") -> None:
        """A buffer of its own was closed."""
        with self._lock:
            if self._open.get(device) is owned:
                del self._open[device]

    def set_buffers_count(self, device: str, count: int) -> None:
        """EBUSY while the device is open."""
        if device not in self._num_blocks:
            raise refuse(f"{device} has no buffer", errno.ENOSYS)
        if not 1 <= count <= MAX_BLOCKS:
            raise refuse(f"{count} kernel buffers, 1 to {MAX_BLOCKS}")
        with self._lock:
            if device in self._open:
                raise refuse(f"{device} is open", errno.EBUSY)
            self._num_blocks[device] = count

    def get_trigger(self, device: str) -> str:
        """A Pluto has none."""
        raise refuse("no trigger", errno.ENOENT)

    def set_trigger(self, device: str, name: str) -> None:
        """A Pluto has none."""
        raise refuse("no trigger", errno.ENOENT)

    def _power_up(self, rx_lo_epoch: int = 0, tx_lo_epoch: int = 0) -> None:
        model = self.model
        crystal_hz, count = model.xo_correction_hz, model.num_channels
        chain, carriers = power_up_chain(crystal_hz), power_up_carriers(crystal_hz)
        rate_hz = chain.exact_rate_hz(crystal_hz)
        self._settings = PlutoSettings(
            xo_correction_hz=crystal_hz,
            rx_lo_hz=carriers["altvoltage0"].exact_hz(crystal_hz),
            tx_lo_hz=carriers["altvoltage1"].exact_hz(crystal_hz),
            rx_lo_epoch=rx_lo_epoch,
            tx_lo_epoch=tx_lo_epoch,
            sample_rate_hz=rate_hz,
            rx_gain_db=(71,) * count,
            gain_mode=("slow_attack",) * count,
            tx_attenuation_db=(10.0,) * count,
            rx_port=("A_BALANCED",) * count,
            tx_port=("A",) * count,
            dds=power_up_tones(count, rate_hz),
        )
        self._build()
        self._engine.configure(self._settings)

    def _build(self) -> None:
        """The devices in their first state."""
        self._phy = phy = Phy(self.model, self._engine, self._now, self._change)
        self._tx = DataDevice(False, self._now, self._change, self._rate_hz)
        self._devices: dict[str, Phy | DataDevice | TddDevice] = {
            PHY_ID: phy,
            TX_ID: self._tx,
            RX_ID: DataDevice(True, self._now, self._change, self._rate_hz),
            TDD_ID: TddDevice(self._engine, self._now, self._change, self._rate_hz),
        }
        chip = Chip(self._now, lambda: phy.carriers.held, self._gain_indices)
        rx_core, tx_core = Core(self._engine, OVERFLOW), Core(self._engine, UNDERFLOW)
        self._windows = {
            PHY_ID: Window(chip.peek, chip.poke),
            TX_ID: Window(tx_core.peek, tx_core.poke),
            RX_ID: Window(  # its plain addresses are the chip's
                lambda address: (rx_core if address & CORE else chip).peek(address),
                lambda address, value: (rx_core if address & CORE else chip).poke(address, value),
            ),
        }

    def _initialize(self) -> None:
        """The chip as at power-up, at new carrier phases."""
        self._power_up(self._settings.rx_lo_epoch + 1, self._settings.tx_lo_epoch + 1)

    def _shown(self, place: Place, attribute: str) -> str:
        found = self._computed(place, attribute)
        return self._values[place, attribute] if found is None else found

    def _computed(self, place: Place, attribute: str) -> str | None:
        if place.device == XADC_ID:
            if (place.channel, attribute) != ("temp0", "raw"):
                return None
            scale = float(XADC["temp0"][2])
            warmth = 1e3 * (self._engine.temperature_c() + DIE_ABOVE_CHIP_C)
            return str(round(warmth / scale) - XADC_TEMPERATURE_OFFSET)
        return self._devices[place.device].read(place, attribute)

    def _keep(self, place: Place, attribute: str, value: str) -> None:
        if attribute in KEPT or attribute.startswith("adi,"):
            self._values[place, attribute] = value.strip()
        elif value.strip() != self._values[place, attribute]:
            raise refuse(f"{attribute} is not modelled", errno.EOPNOTSUPP)

    def _now(self) -> PlutoSettings:
        return self._settings

    def _rate_hz(self) -> int:
        return self._phy.chain.rx_rates_hz(self._settings.xo_correction_hz)[-1]

    def _gain_indices(self) -> tuple[int, ...]:
        offset = gain_table(self._settings.rx_lo_hz)[2]
        return tuple(self._phy.gain_db(channel) + offset for channel in range(self.model.num_channels))

    def _change(self, **fields: object) -> None:
        """All or nothing: what the engine refuses has not happened."""
        before = self._settings
        self._settings = replace(before, **fields)  # type: ignore[arg-type]
        if self._settings.sample_rate_hz != before.sample_rate_hz:
            self._settings = replace(self._settings, dds=self._tx.retune())
        try:
            self._engine.configure(self._settings)
        except BaseException:
            self._settings = before
            raise


class _Owned:
    """An engine's buffer; closing it lets the next client have the device."""

    def __init__(self, buffer: Buffer, pluto: VirtualPluto, device: str) -> None:
        self._buffer, self._pluto, self._device = buffer, pluto, device
        self._lock = threading.Lock()
        self._closed = False

    def read(self, num_bytes: int, timeout_s: float) -> bytes | bytearray | memoryview:
        return self._buffer.read(num_bytes, timeout_s)

    def write(self, block: bytearray, timeout_s: float) -> None:
        self._buffer.write(block, timeout_s)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._buffer.close()
        self._pluto.release(self._device, self)
