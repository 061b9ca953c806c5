"""The IIO context of a Pluto: its devices, for one or two channels, and the XML that libiio reads them from."""

import hashlib
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from sim_backend.pluto_attributes import (
    AUX_ADC,
    AUX_DAC,
    BUFFER,
    DDS,
    DEVICE_TREE,
    LO,
    PHY,
    PHY_DEBUG,
    RX_DATA,
    RX_PATH,
    SHARED,
    TDD,
    TDD_CHANNEL,
    TX_DATA,
    TX_PATH,
    XADC,
    XADC_TEMPERATURE_OFFSET,
    ChannelSpec,
    DeviceSpec,
    Values,
)

PHY_ID, XADC_ID, TX_ID, RX_ID, TDD_ID = (f"iio:device{number}" for number in range(5))
CHIPS = {  # carriers, Hz
    "ad9363a": (325_000_000, 3_800_000_000),
    "ad9364": (70_000_000, 6_000_000_000),
    "ad9361": (70_000_000, 6_000_000_000),
}
KERNEL = "5.15.0-airmeta"
_DTD = (
    "<!DOCTYPE context [<!ELEMENT context (device | context-attribute)*><!ELEMENT context-attribute EMPTY>"
    "<!ELEMENT device (channel | attribute | debug-attribute | buffer-attribute)*>"
    "<!ELEMENT channel (scan-element?, attribute*)><!ELEMENT attribute EMPTY><!ELEMENT scan-element EMPTY>"
    "<!ELEMENT debug-attribute EMPTY><!ELEMENT buffer-attribute EMPTY>"
    "<!ATTLIST context name CDATA #REQUIRED description CDATA #IMPLIED>"
    "<!ATTLIST context-attribute name CDATA #REQUIRED value CDATA #REQUIRED>"
    "<!ATTLIST device id CDATA #REQUIRED name CDATA #IMPLIED>"
    "<!ATTLIST channel id CDATA #REQUIRED type (input|output) #REQUIRED name CDATA #IMPLIED>"
    "<!ATTLIST scan-element index CDATA #REQUIRED format CDATA #REQUIRED scale CDATA #IMPLIED>"
    "<!ATTLIST attribute name CDATA #REQUIRED filename CDATA #IMPLIED>"
    "<!ATTLIST debug-attribute name CDATA #REQUIRED><!ATTLIST buffer-attribute name CDATA #REQUIRED>]>"
)


@dataclass(frozen=True, kw_only=True)
class PlutoModel:
    """Which radio this is. seed: that its hardware is drawn from. chip "ad9361" has two channels; tdd: the frame engine
    of firmware 0.39 and later."""

    number: int = 0
    seed: int = 0
    chip: str = "ad9363a"
    tdd: bool = False
    xo_correction_hz: int = 40_000_000

    def __post_init__(self) -> None:
        if self.chip not in CHIPS:
            raise ValueError(f"Pluto chip must be one of {', '.join(CHIPS)}, got {self.chip!r}")
        if not 39_990_000 <= self.xo_correction_hz <= 40_004_000:
            raise ValueError(
                f"xo_correction_hz must be within 250 ppm of 40 MHz, got {self.xo_correction_hz}"
            )

    @property
    def num_channels(self) -> int:
        """Receive, and as many transmit, channels."""
        return 2 if self.chip == "ad9361" else 1

    @property
    def serial(self) -> str:
        """34 hexadecimal digits, the same for the same number and seed."""
        named = f"virtual pluto {self.number}" + (f" of {self.seed}" if self.seed else "")
        return "1044734c9605" + hashlib.sha256(named.encode()).hexdigest()[:22]

    @property
    def firmware(self) -> str:
        """Version of the firmware that this behaves like."""
        return "v0.39" if self.tdd else "v0.32"

    @property
    def context_attributes(self) -> Values:
        """As the radio itself gives them; clients add uri and ip,ip-addr."""
        return {
            "hw_model": f"Analog Devices PlutoSDR Rev.C (Z7010-{self.chip.upper()})",
            "hw_model_variant": str(self.num_channels - 1),
            "hw_serial": self.serial,
            "fw_version": self.firmware,
            "ad9361-phy,xo_correction": str(self.xo_correction_hz),
            "ad9361-phy,model": self.chip,
            "local,kernel": KERNEL,
        }


def devices(model: PlutoModel) -> tuple[DeviceSpec, ...]:
    """In the order of a real context; channels, too."""
    found = (_phy(model), _xadc(), _tx_data(model), _rx_data(model))
    return (*found, _tdd()) if model.tdd else found


def _phy(model: PlutoModel) -> DeviceSpec:
    second = model.num_channels == 2
    channels = [ChannelSpec(id="altvoltage1", kind="output", name="TX_LO", values=LO)]
    if second:
        channels.append(ChannelSpec(id="voltage1", kind="output", values=TX_PATH))
    channels.append(ChannelSpec(id="voltage0", kind="input", values=RX_PATH))
    if second:
        channels.append(ChannelSpec(id="voltage1", kind="input", values=RX_PATH))
    channels += [
        ChannelSpec(id="voltage3", kind="output", values=AUX_DAC),
        ChannelSpec(id="altvoltage0", kind="output", name="RX_LO", values=LO),
        ChannelSpec(id="voltage2", kind="output", values=AUX_DAC),
        ChannelSpec(id="temp0", kind="input", values={"input": ""}),
        ChannelSpec(id="voltage0", kind="output", values=TX_PATH),
        ChannelSpec(id="voltage2", kind="input", values=AUX_ADC),
        ChannelSpec(id="out", kind="input", values={"voltage_filter_fir_en": ""}),
    ]
    tree = {f"adi,{name}": value for name, _, value in (word.partition("=") for word in DEVICE_TREE.split())}
    tree["adi,2rx-2tx-mode-enable"] = str(int(second))
    debug = PHY_DEBUG | tree | {"direct_reg_access": ""}
    return DeviceSpec(id=PHY_ID, name="ad9361-phy", channels=tuple(channels), values=PHY, debug=debug)


def _xadc() -> DeviceSpec:
    channels = []
    for number, (name, raw, scale) in XADC.items():
        values = {"raw": raw, "scale": scale}
        if number == "temp0":
            values = {"offset": str(XADC_TEMPERATURE_OFFSET)} | values
        channels.append(ChannelSpec(id=number, kind="input", name=name, values=values))
    return DeviceSpec(
        id=XADC_ID, name="xadc", channels=tuple(channels), values={"sampling_frequency": "961538"}
    )


def _tx_data(model: PlutoModel) -> DeviceSpec:
    channels = [
        ChannelSpec(id=f"voltage{place}", kind="output", scan=(place, "le:S16/16>>0"), values=TX_DATA)
        for place in range(2 * model.num_channels)
    ]
    for number in range(4 * model.num_channels):
        name = f"TX{number // 4 + 1}_{'IQ'[number // 2 % 2]}_F{number % 2 + 1}"
        channels.append(ChannelSpec(id=f"altvoltage{number}", kind="output", name=name, values=DDS))
    return DeviceSpec(
        id=TX_ID, name="cf-ad9361-dds-core-lpc", channels=tuple(channels), buffer=BUFFER,
        debug={"direct_reg_access": ""},
    )  # fmt: skip


def _rx_data(model: PlutoModel) -> DeviceSpec:
    channels = tuple(
        ChannelSpec(id=f"voltage{place}", kind="input", scan=(place, "le:S12/16>>0"), values=RX_DATA)
        for place in range(2 * model.num_channels)
    )
    errors = "\n".join(f"CH{place} : PN9 : Out of Sync : PN Error" for place in range(2 * model.num_channels))
    return DeviceSpec(
        id=RX_ID, name="cf-ad9361-lpc", channels=channels, buffer=BUFFER,
        debug={"pseudorandom_err_check": errors, "direct_reg_access": ""},
    )  # fmt: skip


def _tdd() -> DeviceSpec:
    channels = tuple(
        ChannelSpec(id=f"channel{place}", kind="output", values=TDD_CHANNEL) for place in range(3)
    )
    return DeviceSpec(id=TDD_ID, name="iio-axi-tdd-0", channels=channels, values=TDD)


def file_name(channel: ChannelSpec, attribute: str) -> str:
    """What sysfs calls a channel's attribute: in_voltage0_hardwaregain, out_altvoltage1_TX_LO_frequency."""
    direction = "in" if channel.kind == "input" else "out"
    if attribute in SHARED:
        return f"{direction}_{channel.id.rstrip('0123456789')}_{attribute}"
    return "_".join(part for part in (direction, channel.id, channel.name, attribute) if part)


def build_xml(context_attributes: Values, specs: tuple[DeviceSpec, ...]) -> bytes:
    """With its document type, without which clients complain on stderr."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>' + _DTD]
    lines.append(f'<context name="local" description="Linux (none) {KERNEL} armv7l">')
    lines += [
        f"<context-attribute name={quoteattr(name)} value={quoteattr(value)}/>"
        for name, value in context_attributes.items()
    ]
    for spec in specs:
        lines.append(f"<device id={quoteattr(spec.id)} name={quoteattr(spec.name)}>")
        for channel in spec.channels:
            lines += _channel_lines(channel)
        tagged = {"attribute": spec.values, "debug-attribute": spec.debug, "buffer-attribute": spec.buffer}
        for tag, values in tagged.items():
            lines += [f"<{tag} name={quoteattr(name)}/>" for name in values]
        lines.append("</device>")
    return "".join([*lines, "</context>"]).encode()


def _channel_lines(channel: ChannelSpec) -> list[str]:
    name = f" name={quoteattr(channel.name)}" if channel.name else ""
    lines = [f"<channel id={quoteattr(channel.id)}{name} type={quoteattr(channel.kind)}>"]
    if channel.scan:
        index, scan_format = channel.scan
        lines.append(f'<scan-element index="{index}" format={quoteattr(scan_format)}/>')
    lines += [
        f"<attribute name={quoteattr(name)} filename={quoteattr(file_name(channel, name))}/>"
        for name in sorted(channel.values)
    ]
    return [*lines, "</channel>"]
