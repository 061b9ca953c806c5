"""The context of a virtual Pluto against those of real radios, as pytest-libiio ships them."""

import errno
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

import pytest

from sim_backend.iiod_target import Place, read_catalog
from sim_backend.pluto_context import PlutoModel, build_xml, devices
from sim_backend.pluto_engine import MemoryEngine
from sim_backend.virtual_pluto import VirtualPluto

REAL_XO_HZ = {"pluto.xml": 40_000_159, "adrv9361-z7035.xml": 39_999_879}
MOVING = {"raw", "input", "rssi", "hardwaregain", "gaininfo_rx1", "gaininfo_rx2"}  # readings of the day
OTHER_BOARD = {  # an AD9361 on another board: device tree and FPGA differ from a Pluto's
    "adi,external-rx-lo-enable", "adi,external-tx-lo-enable", "adi,xo-disable-use-ext-refclk-enable",
    "adi,digital-interface-tune-fir-disable", "adi,rx-rf-port-input-select-lock-enable",
    "adi,tx-rf-port-input-select-lock-enable", "sampling_frequency_available", "pseudorandom_err_check",
    "direct_reg_access", "fastlock_save", "scale", "frequency_available",
}  # fmt: skip


@pytest.fixture(scope="module")
def real():
    """A real radio's context by file name. The package is a pytest plugin, which is why it is not imported."""
    package = find_spec("pytest_libiio")
    if package is None or package.origin is None:
        pytest.skip("needs real contexts from the PyPI package pytest-libiio (extra dev)")
    folder = Path(package.origin).parent / "resources" / "devices"
    return lambda name: ElementTree.parse(folder / name).getroot()


def of(model):
    return ElementTree.fromstring(build_xml(model.context_attributes, devices(model)))


def values(root):
    """(device, kind, channel, attribute, value) of each attribute."""
    tags = (("device", "attribute"), ("debug", "debug-attribute"), ("buffer", "buffer-attribute"))
    for device in root.findall("device"):
        for kind, tag in tags:
            for found in device.findall(tag):
                yield device.get("name"), kind, "", found.get("name"), found.get("value")
        for channel in device.findall("channel"):
            for found in channel.findall("attribute"):
                yield (
                    device.get("name"),
                    channel.get("type"),
                    channel.get("id"),
                    found.get("name"),
                    found.get("value"),
                )


def shape(root):
    """Everything that a client sees of a context, without values."""
    rows = set()
    for device in root.findall("device"):
        name = device.get("name")
        for channel in device.findall("channel"):
            scan = channel.find("scan-element")
            row = (name, channel.get("id"), channel.get("type"), channel.get("name"))
            rows.add(
                (*row, None if scan is None else (scan.get("index"), scan.get("format"), scan.get("scale")))
            )
            rows |= {(*row, a.get("name"), a.get("filename")) for a in channel.findall("attribute")}
        for tag in ("attribute", "debug-attribute", "buffer-attribute"):
            rows |= {(name, tag, a.get("name")) for a in device.findall(tag)}
    return rows


def test_a_pluto_has_what_a_real_one_has(real):
    virtual, root = of(PlutoModel()), real("pluto.xml")
    assert [(d.get("id"), d.get("name")) for d in virtual] == [
        *[(None, name) for name in PlutoModel().context_attributes],
        *[(d.get("id"), d.get("name")) for d in root.findall("device")],
    ]
    assert shape(virtual) == shape(root)
    assert len(shape(virtual)) > 360
    added_by_the_client = {"uri", "ip,ip-addr"}
    theirs = {a.get("name") for a in root.findall("context-attribute")} - added_by_the_client
    assert set(PlutoModel().context_attributes) == theirs


def test_two_channels_have_what_a_real_ad9361_has(real):
    names = {"ad9361-phy", "cf-ad9361-lpc", "cf-ad9361-dds-core-lpc"}
    ours = {row for row in shape(of(PlutoModel(chip="ad9361"))) if row[0] in names}
    theirs = {row for row in shape(real("adrv9361-z7035.xml")) if row[0] in names}
    differing = {row[-1] if len(row) == 3 else row[4] for row in ours ^ theirs}
    assert differing <= OTHER_BOARD
    assert len(ours & theirs) > 400


@pytest.mark.parametrize(("name", "chip"), [("pluto.xml", "ad9363a"), ("adrv9361-z7035.xml", "ad9361")])
def test_values_at_power_up_are_those_of_the_real_radio(real, name, chip):
    """The crystal's correction is the only thing told: carriers, rates and ranges follow from it to the last digit."""
    pluto = VirtualPluto(MemoryEngine(), PlutoModel(chip=chip, xo_correction_hz=REAL_XO_HZ[name]))
    catalog, compared = read_catalog(pluto.xml()), 0
    for device, kind, channel, attribute, value in values(real(name)):
        if device not in catalog or attribute in MOVING | (
            OTHER_BOARD if chip == "ad9361" else {"fastlock_save"}
        ):
            continue
        try:
            shown = pluto.read(Place(catalog[device].id, kind, channel), attribute)
        except OSError:
            shown = "ERROR"
        assert shown.split() == value.split(), (device, kind, channel, attribute)
        compared += 1
    assert compared > 240


def test_every_attribute_reads_or_says_why_not():
    for chip in ("ad9363a", "ad9364", "ad9361"):
        pluto = VirtualPluto(MemoryEngine(), PlutoModel(chip=chip, tdd=True))
        silent = {}
        for device in {device.id: device for device in read_catalog(pluto.xml()).values()}.values():
            for (kind, channel), names in device.attributes.items():
                for name in names:
                    try:
                        assert 0 < len(pluto.read(Place(device.id, kind, channel), name)) < 1024
                    except OSError as error:
                        silent[name] = error.errno
        assert silent.pop("gaininfo_rx2", None) == (None if chip == "ad9361" else errno.EAGAIN)
        assert silent == {
            "fastlock_recall": errno.EINVAL, "dcxo_tune_coarse": errno.ENODEV, "dcxo_tune_fine": errno.ENODEV,
            "gain_table_config": errno.ENODATA, "multichip_sync": errno.ENODATA, "samples_pps": errno.ENODEV,
        }  # fmt: skip


def test_serials_are_unique_and_stay():
    serials = [PlutoModel(number=number).serial for number in range(40)]
    assert len(set(serials)) == 40
    assert all(len(serial) == 34 and int(serial, 16) for serial in serials)
    assert PlutoModel(number=3).serial == serials[3]


def test_the_frame_engine_comes_with_its_firmware():
    assert [d.get("name") for d in of(PlutoModel(tdd=True)).findall("device")][-1] == "iio-axi-tdd-0"
    assert PlutoModel(tdd=True).firmware == "v0.39"
    channels = of(PlutoModel(tdd=True)).findall("device")[-1].findall("channel")
    assert [c.get("id") for c in channels] == ["channel0", "channel1", "channel2"]
    assert channels[1].find("attribute").get("filename") == "out_channel1_enable"


def test_models_are_valid_from_birth():
    with pytest.raises(ValueError, match="chip must be one of ad9363a, ad9364, ad9361, got 'ad9371'"):
        PlutoModel(chip="ad9371")
    with pytest.raises(ValueError, match="within 250 ppm of 40 MHz, got 39000000"):
        PlutoModel(xo_correction_hz=39_000_000)
