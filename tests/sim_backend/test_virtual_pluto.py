"""A virtual Pluto's attributes: formats, limits and quantisation as the chip and its Linux driver have them."""

import errno
import threading

import numpy as np
import pytest

from sim_backend.iiod_target import Place, read_catalog
from sim_backend.pluto_context import PHY_ID, RX_ID, TDD_ID, TX_ID, XADC_ID, PlutoModel
from sim_backend.pluto_engine import Flags, MemoryEngine
from sim_backend.virtual_pluto import VirtualPluto

PHY, PHY_DEBUG, OUT = Place(PHY_ID, "device"), Place(PHY_ID, "debug"), Place(PHY_ID, "input", "out")
RX0, TX0 = Place(PHY_ID, "input", "voltage0"), Place(PHY_ID, "output", "voltage0")
RX_LO, TX_LO = Place(PHY_ID, "output", "altvoltage0"), Place(PHY_ID, "output", "altvoltage1")
RX_DATA, TX_DATA = Place(RX_ID, "input", "voltage0"), Place(TX_ID, "output", "voltage0")
TONE = Place(TX_ID, "output", "altvoltage0")


class Watching(MemoryEngine):
    """Remembers what it was told, can refuse it, and has flags and readings to set."""

    def __init__(self):
        super().__init__()
        self.told, self.refuses, self.raised = [], False, Flags()
        self.gain, self.warmth = 200.0, 40.0

    def configure(self, settings):
        if self.refuses:
            raise OSError(errno.EBUSY, "")
        super().configure(settings)
        self.told.append(settings)

    def flags(self):
        return self.raised

    def clear(self, flags):
        self.raised = Flags(*(mine and not gone for mine, gone in zip(self.raised, flags, strict=True)))

    def rx_gain_db(self, channel):
        return self.gain

    def temperature_c(self):
        return self.warmth


@pytest.fixture
def engine():
    return Watching()


@pytest.fixture
def pluto(engine):
    return VirtualPluto(engine, PlutoModel(chip="ad9364", tdd=True))


def refused(pluto, place, attribute, text):
    """The errno of a write, and that it changed nothing."""
    before = pluto.settings
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        pluto.write(place, attribute, text)
    assert pluto.settings == before
    return caught.value.errno


def fir(taps=128, factor=4, rx_gain=-6):
    return f"# comment\nRX 3 GAIN {rx_gain} DEC {factor}\nTX 3 GAIN 0 INT {factor}\n" + "".join(
        f"{tap},{-tap}\n" for tap in range(taps)
    )


@pytest.mark.parametrize(
    "asked_hz", [70_000_000, 325_000_001, 868_300_000, 920_000_123, 2_412_345_678, 5_999_999_999]
)
@pytest.mark.parametrize("crystal_hz", [39_999_879, 40_000_000, 40_000_159])
def test_carriers_are_quantised_within_the_tolerance_of_real_hardware(asked_hz, crystal_hz):
    pluto = VirtualPluto(MemoryEngine(), PlutoModel(chip="ad9364", xo_correction_hz=crystal_hz))
    pluto.write(RX_LO, "frequency", str(asked_hz))
    shown_hz = int(pluto.read(RX_LO, "frequency"))
    assert abs(shown_hz - asked_hz) <= 8  # pyadi-iio's test of real Plutos
    assert (
        abs(pluto.settings.rx_lo_hz - asked_hz) <= 2 + 2 * crystal_hz / 8_388_593
    )  # half a VCO step, and odd to even
    assert abs(shown_hz - pluto.settings.rx_lo_hz) <= 2 ** np.ceil(np.log2(12e9 / asked_hz))


@pytest.mark.parametrize(
    ("chip", "place", "text"),
    [
        ("ad9363a", RX_LO, "324999999"), ("ad9363a", TX_LO, "3800000001"), ("ad9364", RX_LO, "69999999"),
        ("ad9364", TX_LO, "46875000"), ("ad9364", TX_LO, "6000000001"), ("ad9364", RX_LO, "9.2e8"),
        ("ad9364", RX_LO, "920000000.0"), ("ad9364", RX_LO, ""), ("ad9364", RX_LO, "-1"),
    ],
)  # fmt: skip
def test_carriers_out_of_range_are_einval(chip, place, text):
    assert (
        refused(VirtualPluto(MemoryEngine(), PlutoModel(chip=chip)), place, "frequency", text) == errno.EINVAL
    )


def test_every_retune_is_a_new_epoch_also_to_the_same_carrier(pluto, engine):
    for count in (1, 2, 3):
        pluto.write(RX_LO, "frequency", "920000000")
        assert (pluto.settings.rx_lo_epoch, pluto.settings.tx_lo_epoch) == (count, 0)
        assert engine.told[-1] == pluto.settings
    pluto.write(TX_LO, "frequency", "920000000")
    pluto.write(TX_LO, "powerdown", "1")
    assert (pluto.settings.tx_lo_epoch, pluto.settings.tx_lo_powerdown) == (1, True)
    assert (pluto.read(TX_LO, "powerdown"), pluto.read(RX_LO, "powerdown")) == ("1", "0")


def test_profiles_store_and_recall_carriers(pluto):
    pluto.write(RX_LO, "frequency", "920000000")
    pluto.write(RX_LO, "fastlock_store", "3")
    pluto.write(RX_LO, "frequency", "2400000000")
    pluto.write(RX_LO, "fastlock_recall", "3")
    assert int(pluto.read(RX_LO, "frequency")) == pytest.approx(920e6, abs=8)
    assert (pluto.read(RX_LO, "fastlock_recall"), pluto.settings.rx_lo_epoch) == ("3", 3)
    assert refused(pluto, RX_LO, "fastlock_recall", "4") == errno.EINVAL
    assert refused(pluto, RX_LO, "fastlock_load", "1 2,3") == errno.EOPNOTSUPP
    pluto.write(RX_LO, "fastlock_save", "3")
    number, words = pluto.read(RX_LO, "fastlock_save").split()
    integer = 920_000_000 * 8 // 80_000_000
    assert (number, int(words.split(",")[0]), len(words.split(","))) == ("3", integer, 16)


@pytest.mark.parametrize(
    "asked_hz", [2_083_334, 2_500_001, 4_000_000, 10_000_003, 30_720_000, 55_555_555, 61_440_000]
)
def test_rates_are_quantised_within_the_tolerance_of_real_hardware(pluto, asked_hz):
    pluto.write(RX0, "sampling_frequency", str(asked_hz))
    assert abs(int(pluto.read(TX0, "sampling_frequency")) - asked_hz) <= 4
    assert abs(pluto.settings.sample_rate_hz - asked_hz) <= 4
    for attribute, first in (("rx_path_rates", "ADC"), ("tx_path_rates", "DAC")):
        rates = dict(token.split(":") for token in pluto.read(PHY, attribute).split(" "))
        assert len(rates) == 6
        assert list(rates)[:2] == ["BBPLL", first]
        assert 714e6 < int(rates["BBPLL"]) < 1431e6
        assert int(rates["RXSAMP" if first == "ADC" else "TXSAMP"]) == int(
            pluto.read(RX0, "sampling_frequency")
        )


def test_rates_below_the_converter_need_the_filter(pluto):
    pluto.write(RX0, "sampling_frequency", "2083333")
    assert refused(pluto, RX0, "sampling_frequency", "2083332") == errno.EINVAL
    assert refused(pluto, RX0, "sampling_frequency", "61440001") == errno.EINVAL
    assert refused(pluto, OUT, "voltage_filter_fir_en", "1") == errno.EINVAL  # none is loaded
    pluto.write(PHY, "filter_fir_config", fir())
    pluto.write(RX0, "sampling_frequency", "3000000")
    pluto.write(OUT, "voltage_filter_fir_en", "1")
    pluto.write(RX0, "sampling_frequency", "520833")
    assert abs(pluto.settings.sample_rate_hz - 520_833) <= 4
    assert refused(pluto, RX0, "sampling_frequency", "520832") == errno.EINVAL
    assert refused(pluto, OUT, "voltage_filter_fir_en", "0") == errno.EINVAL  # the rate needs it
    assert (pluto.read(RX0, "filter_fir_en"), pluto.read(TX0, "filter_fir_en")) == ("1", "1")
    assert (pluto.read(OUT, "voltage_filter_fir_en"), pluto.settings.fir.rx_enabled) == ("1", True)


def test_the_filter_is_parsed_and_reads_back_short(pluto):
    pluto.write(PHY, "filter_fir_config", fir(64, 2))
    assert pluto.read(PHY, "filter_fir_config") == "FIR Rx: 64,2 Tx: 64,2"
    held = pluto.settings.fir
    assert (held.tx_taps, held.rx_taps) == (tuple(range(64)), tuple(-tap for tap in range(64)))
    assert (held.rx_gain_db, held.tx_gain_db, held.decimation, held.rx_enabled) == (-6, 0, 2, False)


@pytest.mark.parametrize(
    "text",
    [
        "", "RX 3 GAIN 0 DEC 4\n1,1\n", fir(17), fir(144), fir(rx_gain=5), fir().replace("5,-5", "5,-40000"),
        "RX 9 GAIN 0 DEC 1",
    ],
)  # fmt: skip
def test_filters_that_the_chip_cannot_load_are_einval(pluto, text):
    assert refused(pluto, PHY, "filter_fir_config", text) == errno.EINVAL


def test_filters_with_more_taps_than_time_are_einval(pluto):
    pluto.write(PHY, "filter_fir_config", fir(128, 2))
    pluto.write(RX0, "sampling_frequency", "61440000")
    assert refused(pluto, OUT, "voltage_filter_fir_en", "1") == errno.EINVAL  # 4 DAC cycles a sample: 64 taps
    pluto.write(PHY, "filter_fir_config", fir(64, 2))
    pluto.write(OUT, "voltage_filter_fir_en", "1")
    pluto.write(OUT, "voltage_filter_fir_en", "0")
    pluto.write(PHY, "filter_fir_config", fir(16, 3))
    assert refused(pluto, OUT, "voltage_filter_fir_en", "1") == errno.EINVAL


def test_gains_have_the_chips_formats_and_steps(pluto):
    pluto.write(TX0, "hardwaregain", "-10.6")
    assert (pluto.read(TX0, "hardwaregain"), pluto.settings.tx_attenuation_db) == ("-10.500000 dB", (10.5,))
    pluto.write(TX0, "hardwaregain", "-89.75 dB")
    pluto.write(TX0, "hardwaregain", "0")
    assert pluto.read(TX0, "hardwaregain") == "0.000000 dB"
    for text in ("0.25", "-90", "loud", "-1e1", "nan"):
        assert refused(pluto, TX0, "hardwaregain", text) == errno.EINVAL
    pluto.write(RX0, "gain_control_mode", "manual")
    pluto.write(RX0, "hardwaregain", "40.7")
    assert (pluto.read(RX0, "hardwaregain"), pluto.settings.rx_gain_db) == ("40.000000 dB", (40,))


@pytest.mark.parametrize(("lo_hz", "low", "high"), [(900e6, -1, 73), (2.4e9, -3, 71), (5.8e9, -10, 62)])
def test_gain_ranges_depend_on_the_carrier(pluto, lo_hz, low, high):
    pluto.write(RX_LO, "frequency", str(int(lo_hz)))
    assert pluto.read(RX0, "hardwaregain_available") == f"[{low} 1 {high}]"
    pluto.write(RX0, "gain_control_mode", "manual")
    pluto.write(RX0, "hardwaregain", str(high))
    assert refused(pluto, RX0, "hardwaregain", str(high + 1)) == errno.EINVAL
    pluto.write(RX0, "hardwaregain", "-50")  # the driver's table search gives the lowest
    assert pluto.read(RX0, "hardwaregain") == f"{low}.000000 dB"
    index = int(pluto.read(PHY_DEBUG, "gaininfo_rx1").split()[1])
    assert index == low + {73: 3, 71: 5, 62: 14}[high]


def test_the_gain_in_db_outlives_a_change_of_band(pluto):
    pluto.write(RX0, "gain_control_mode", "manual")
    pluto.write(RX_LO, "frequency", "900000000")
    pluto.write(RX0, "hardwaregain", "73")
    pluto.write(RX_LO, "frequency", "5800000000")
    assert pluto.read(RX0, "hardwaregain") == "62.000000 dB"
    pluto.write(RX0, "hardwaregain", "30")
    pluto.write(RX_LO, "frequency", "900000000")
    assert pluto.read(RX0, "hardwaregain") == "30.000000 dB"


def test_gain_control_chooses_unless_it_is_manual(pluto, engine):
    for mode in ("slow_attack", "fast_attack", "hybrid"):
        pluto.write(RX0, "gain_control_mode", mode)
        assert refused(pluto, RX0, "hardwaregain", "30") == errno.EOPNOTSUPP
        assert pluto.read(RX0, "hardwaregain") == "71.000000 dB"  # what the table ends with
        engine.gain = 33.4
        assert pluto.read(RX0, "hardwaregain") == "33.000000 dB"
        engine.gain = 200.0
    assert refused(pluto, RX0, "gain_control_mode", "automatic") == errno.EINVAL


@pytest.mark.parametrize(("chip", "held_hz"), [("ad9363a", 20_000_000), ("ad9364", 56_000_000)])
def test_bandwidths(chip, held_hz):
    pluto = VirtualPluto(MemoryEngine(), PlutoModel(chip=chip))
    pluto.write(RX0, "rf_bandwidth", "56000000")
    assert (pluto.read(RX0, "rf_bandwidth"), pluto.settings.rx_bandwidth_hz) == (str(held_hz), held_hz)
    pluto.write(TX0, "rf_bandwidth", "4000000")
    assert (pluto.settings.tx_bandwidth_hz, pluto.settings.rx_bandwidth_hz) == (4_000_000, held_hz)
    for place, text in ((RX0, "56000001"), (TX0, "40000001"), (RX0, "199999"), (RX0, "1e6")):
        assert refused(pluto, place, "rf_bandwidth", text) == errno.EINVAL


def test_the_crystals_correction_moves_what_is_shown_and_not_the_truth(pluto):
    pluto.write(RX_LO, "frequency", "920000000")
    before = pluto.settings
    pluto.write(PHY, "xo_correction", "40000400")  # 10 ppm
    after = pluto.settings
    assert int(pluto.read(RX_LO, "frequency")) == pytest.approx(920e6 * (1 + 1e-5), abs=8)
    assert int(pluto.read(RX0, "sampling_frequency")) == pytest.approx(30.72e6 * (1 + 1e-5), abs=2)
    for name in ("rx_lo_hz", "tx_lo_hz", "sample_rate_hz"):
        truth = [getattr(settings, name) / settings.xo_correction_hz for settings in (before, after)]
        assert truth[1] == pytest.approx(truth[0], rel=1e-12)
    assert after.rx_lo_epoch == before.rx_lo_epoch
    pluto.write(RX_LO, "frequency", "920000000")
    assert pluto.settings.rx_lo_hz / 40_000_400 == pytest.approx(920e6 / 40_000_400, rel=1e-8)
    assert pluto.read(PHY, "xo_correction_available") == "[39992000 1 40008000]"
    for text in ("39991999", "40008001", "4e7"):
        assert refused(pluto, PHY, "xo_correction", text) == errno.EINVAL


def test_modes_and_ports(pluto):
    for place, attribute, good, bad in (
        (PHY, "ensm_mode", "alert", "off"),
        (PHY, "trx_rate_governor", "highest_osr", "low"),
        (PHY, "calib_mode", "manual", "never"),
        (RX0, "rf_port_select", "B_BALANCED", "D"),
        (TX0, "rf_port_select", "B", "C"),
        (PHY_DEBUG, "loopback", "2", "3"),
        (RX0, "quadrature_tracking_en", "0", None),
        (Place(PHY_ID, "output", "voltage2"), "raw", "512", None),
        (PHY_DEBUG, "adi,tx-attenuation-mdB", "20000", None),
    ):
        pluto.write(place, attribute, good)
        assert pluto.read(place, attribute) == good
        if bad is not None:
            assert refused(pluto, place, attribute, bad) == errno.EINVAL
    assert (pluto.settings.rx_port, pluto.settings.tx_port) == (("B_BALANCED",), ("B",))
    assert (pluto.settings.ensm_mode, pluto.settings.loopback) == ("alert", 2)
    pluto.write(PHY, "calib_mode", "tx_quad")  # runs once, and the mode stays
    assert pluto.read(PHY, "calib_mode") == "manual"


def test_the_governor_chooses_the_converters_clock(pluto):
    pluto.write(RX0, "sampling_frequency", "4000000")
    clocks = [int(pluto.read(PHY, "rx_path_rates").split()[1][4:])]
    pluto.write(PHY, "trx_rate_governor", "highest_osr")
    clocks.append(int(pluto.read(PHY, "rx_path_rates").split()[1][4:]))
    assert clocks == [8 * 4_000_000, 12 * 4_000_000]


def test_what_is_not_modelled_is_refused_and_what_is_read_only_too(pluto):
    for place, attribute, text in (
        (RX_DATA, "calibscale", "0.5"), (TX_DATA, "calibphase", "0.1"), (PHY_DEBUG, "bist_tone", "1 0 0 0"),
        (RX_LO, "external", "1"), (PHY, "gain_table_config", "x"),
    ):  # fmt: skip
        assert refused(pluto, place, attribute, text) == errno.EOPNOTSUPP
    pluto.write(RX_DATA, "calibscale", "1.000000")  # what it is anyway
    assert refused(pluto, RX0, "rf_bandwidth_available", "1") == errno.EACCES
    assert refused(pluto, Place(XADC_ID, "input", "voltage0"), "raw", "1") == errno.EACCES


def test_initialize_is_a_power_up_with_new_phases(pluto):
    first = pluto.settings
    pluto.write(RX_LO, "frequency", "920000000")
    pluto.write(RX0, "sampling_frequency", "4000000")
    pluto.write(PHY_DEBUG, "initialize", "1")
    assert (pluto.settings.rx_lo_hz, pluto.settings.sample_rate_hz) == (first.rx_lo_hz, first.sample_rate_hz)
    assert (pluto.settings.rx_lo_epoch, pluto.settings.tx_lo_epoch) == (2, 1)
    assert pluto.read(RX0, "sampling_frequency") == "30720000"


def test_what_the_engine_refuses_has_not_happened(pluto, engine):
    pluto.write(RX0, "sampling_frequency", "4000000")
    engine.refuses = True
    assert refused(pluto, RX_LO, "frequency", "920000000") == errno.EBUSY
    assert refused(pluto, RX0, "sampling_frequency", "5000000") == errno.EBUSY
    assert pluto.read(RX_LO, "frequency") == "2400000000"
    assert pluto.read(RX0, "sampling_frequency") == "4000000"


def test_the_fpga_changes_the_rate_by_eight(pluto):
    pluto.write(RX0, "sampling_frequency", "8000000")
    assert pluto.read(RX_DATA, "sampling_frequency_available") == "8000000 1000000 "
    pluto.write(RX_DATA, "sampling_frequency", "1000000")
    assert (pluto.read(RX_DATA, "sampling_frequency"), pluto.settings.rx_decimation) == ("1000000", 8)
    assert (pluto.read(TX_DATA, "sampling_frequency"), pluto.settings.tx_interpolation) == ("8000000", 1)
    pluto.write(TX_DATA, "sampling_frequency", "1000000")
    pluto.write(RX_DATA, "sampling_frequency", "8000000")
    assert (pluto.settings.rx_decimation, pluto.settings.tx_interpolation) == (1, 8)
    assert refused(pluto, RX_DATA, "sampling_frequency", "2000000") == errno.EINVAL


def test_tones_are_quantised_and_wrap(pluto):
    pluto.write(RX0, "sampling_frequency", "4000000")
    pluto.write(TONE, "frequency", "1000000")
    step_hz = 4e6 / 65536
    assert abs(int(pluto.read(TONE, "frequency")) - 1e6) <= 2 * step_hz
    tone = pluto.settings.dds[0]
    assert tone.frequency_hz / step_hz == pytest.approx(round(tone.frequency_hz / step_hz))
    pluto.write(TONE, "phase", "360000")  # a whole turn is none
    assert pluto.read(TONE, "phase") == "0"
    pluto.write(TONE, "phase", "45000")
    assert (pluto.read(TONE, "phase"), pluto.settings.dds[0].phase_deg) == ("45000", 45.0)
    pluto.write(TONE, "scale", "0.3")
    assert float(pluto.read(TONE, "scale")) == pytest.approx(0.3, abs=0.5 / 2**14 + 1e-6)
    pluto.write(TONE, "raw", "0")
    assert (pluto.read(TONE, "raw"), pluto.settings.dds[0].enabled) == ("0", False)
    for attribute, text in (
        ("frequency", "2000001"),
        ("frequency", "-1"),
        ("scale", "2"),
        ("phase", "360001"),
    ):
        assert refused(pluto, TONE, attribute, text) == errno.EINVAL
    fraction = pluto.settings.dds[0].frequency_hz / pluto.settings.sample_rate_hz
    pluto.write(RX0, "sampling_frequency", "8000000")  # the phase step stays
    assert pluto.settings.dds[0].frequency_hz / pluto.settings.sample_rate_hz == pytest.approx(fraction)


def test_status_registers_show_under_and_overflow_until_cleared(pluto, engine):
    tx, rx = Place(TX_ID, "debug"), Place(RX_ID, "debug")
    engine.raised = Flags(True, True)
    for place in (tx, rx):
        pluto.write(place, "direct_reg_access", str(0x80000088))
    assert (pluto.read(tx, "direct_reg_access"), pluto.read(rx, "direct_reg_access")) == ("0x1", "0x4")
    pluto.write(tx, "direct_reg_access", "0x80000088 0x4")  # not its bit
    assert engine.raised == (True, True)
    pluto.write(tx, "direct_reg_access", "0x80000088 0x1")
    assert (pluto.read(tx, "direct_reg_access"), pluto.read(rx, "direct_reg_access")) == ("0x0", "0x4")
    pluto.write(rx, "direct_reg_access", "0x80000088 0x6")
    assert engine.raised == (False, False)


def test_chip_registers_mirror_settings(pluto):
    def register(address):
        pluto.write(PHY_DEBUG, "direct_reg_access", str(address))
        return int(pluto.read(PHY_DEBUG, "direct_reg_access"), 16)

    assert register(0x037) & 0xF8 == 0x08  # UG-671: product id of the AD936x
    pluto.write(TX0, "hardwaregain", "-89.75")
    assert register(0x073) | register(0x074) << 8 == 359  # steps of a quarter dB
    pluto.write(RX_LO, "frequency", "920000000")
    assert register(0x231) | register(0x232) << 8 == 8 * 920_000_000 // 80_000_000
    assert register(0x005) & 0xF == 2  # VCO / 8
    pluto.write(PHY_DEBUG, "direct_reg_access", "0x3A0 0x5A")
    assert register(0x3A0) == 0x5A
    for text in ("0x400", "1 2 3", "x", "", "0x73 0x10", "0x3A0 0x100", "-1"):
        assert refused(pluto, PHY_DEBUG, "direct_reg_access", text) == errno.EINVAL


def test_temperatures_follow_the_engine(pluto, engine):
    xadc = Place(XADC_ID, "input", "temp0")
    scale = float(pluto.read(xadc, "scale"))
    assert pluto.read(Place(PHY_ID, "input", "temp0"), "input") == "40000"
    dies = []
    for engine.warmth in (40.0, 50.0):
        dies.append((int(pluto.read(xadc, "raw")) + int(pluto.read(xadc, "offset"))) * scale / 1e3)
    assert dies[1] - dies[0] == pytest.approx(10.0, abs=0.13)
    assert pluto.read(RX0, "rssi") == "115.00 dB"


def test_the_frame_engine_counts_sample_clocks(pluto, engine):
    tdd, gate = Place(TDD_ID, "device"), Place(TDD_ID, "output", "channel1")
    pluto.write(RX0, "sampling_frequency", "4000000")
    pluto.write(tdd, "frame_length_ms", "10")
    assert pluto.read(tdd, "frame_length_raw") == "40000"
    pluto.write(gate, "on_raw", "100")
    assert pluto.read(gate, "on_ms") == "0.025000"
    for attribute, text in (("burst_count", "3"), ("sync_external", "1")):
        pluto.write(tdd, attribute, text)
        assert pluto.read(tdd, attribute) == text
    pluto.write(gate, "enable", "1")
    pluto.write(gate, "polarity", "1")
    assert refused(pluto, tdd, "sync_soft", "1") == errno.EINVAL
    pluto.write(tdd, "enable", "1")
    assert pluto.read(tdd, "state") == "1"
    pluto.write(tdd, "sync_soft", "1")
    assert (engine.triggers, pluto.read(tdd, "sync_soft"), pluto.read(tdd, "state")) == (1, "0", "3")
    held = pluto.settings.tdd
    assert (held.enabled, held.frame_cycles, held.burst_count, held.sync_external) == (True, 40_000, 3, True)
    assert (held.channels[1].enabled, held.channels[1].inverted, held.channels[1].on_cycles) == (
        True,
        True,
        100,
    )
    assert refused(pluto, tdd, "frame_length_raw", "4294967296") == errno.EINVAL
    assert refused(pluto, tdd, "frame_length_ms", "100000000") == errno.EINVAL


TEXTS = (
    "", " ", "0", "1", "-1", "0.5", "1e9", "nan", "inf", "999999999999999999999", "-0", "on", "manual", "0x10", "08",
    "1 2", "x" * 2000, "10 dB", "\n", "3 1,2,3", "RX 3 GAIN 0 DEC 4", "4294967295", "2147483648",
)  # fmt: skip


def test_no_text_at_any_attribute_does_worse_than_an_errno():
    pluto = VirtualPluto(MemoryEngine(), PlutoModel(chip="ad9361", tdd=True))
    taken, codes = 0, set()
    for device in {device.id: device for device in read_catalog(pluto.xml()).values()}.values():
        for (kind, channel), names in device.attributes.items():
            for name in names:
                for text in TEXTS:
                    place = Place(device.id, kind, channel)
                    try:
                        pluto.write(place, name, text)
                        taken += 1
                    except OSError as error:
                        codes.add(error.errno)
    assert codes == {errno.EINVAL, errno.EACCES, errno.ENODEV, errno.EOPNOTSUPP}
    assert taken > 1000
    assert pluto.read(PHY, "filter_fir_config") == "FIR Rx: 0,0 Tx: 0,0"


def test_two_channels_are_set_apart():
    pluto = VirtualPluto(MemoryEngine(), PlutoModel(chip="ad9361"))
    pluto.write(Place(PHY_ID, "input", "voltage1"), "gain_control_mode", "manual")
    pluto.write(Place(PHY_ID, "input", "voltage1"), "hardwaregain", "20")
    pluto.write(Place(PHY_ID, "output", "voltage1"), "hardwaregain", "-3.25")
    settings = pluto.settings
    assert (settings.gain_mode, settings.rx_gain_db) == (("slow_attack", "manual"), (71, 20))
    assert (settings.tx_attenuation_db, len(settings.dds)) == ((10.0, 3.25), 8)


def test_digital_loopback_of_two_channels_bit_by_bit(rng):
    pluto = VirtualPluto(MemoryEngine(), PlutoModel(chip="ad9361"))
    pluto.write(PHY_DEBUG, "loopback", "1")
    sent = rng.integers(-(2**15), 2**15, (64, 2), dtype=np.int16)
    tx = pluto.open_buffer(TX_ID, 64, 0b1010, cyclic=True)  # the Q of both channels
    tx.write(bytearray(sent.tobytes()), 1.0)
    rx = pluto.open_buffer(RX_ID, 64, 0b1111, cyclic=False)
    got = np.frombuffer(b"".join(bytes(rx.read(4 * 8 * 40, 1.0)) for _ in range(1)), "<i2").reshape(-1, 4)
    expected = np.zeros((160, 4), dtype=np.int16)
    expected[:, [1, 3]] = sent[np.arange(160) % 64] >> 4
    np.testing.assert_array_equal(got, expected)
    tx.close()
    assert not np.frombuffer(rx.read(80, 1.0), "<i2").any()


def test_buffers_are_for_one_client_and_counted_before(pluto):
    assert pluto.open_buffer(RX_ID, 16, 3, False).close() is None
    pluto.set_buffers_count(RX_ID, 2)
    held = pluto.open_buffer(RX_ID, 16, 3, False)
    for call, code in (
        (lambda: pluto.open_buffer(RX_ID, 16, 3, False), errno.EBUSY),
        (lambda: pluto.set_buffers_count(RX_ID, 4), errno.EBUSY),
        (lambda: pluto.open_buffer(PHY_ID, 16, 3, False), errno.ENODEV),
        (lambda: pluto.open_buffer(RX_ID, 16, 3, True), errno.EINVAL),
        (lambda: pluto.set_buffers_count(TX_ID, 0), errno.EINVAL),
        (lambda: pluto.set_buffers_count(PHY_ID, 4), errno.ENOSYS),
        (lambda: pluto.get_trigger(RX_ID), errno.ENOENT),
        (lambda: pluto.set_trigger(RX_ID, "x"), errno.ENOENT),
    ):
        with pytest.raises(OSError, match=r"\[Errno") as caught:
            call()
        assert caught.value.errno == code
    held.close()
    again = pluto.open_buffer(RX_ID, 16, 3, False)
    held.close()  # a second time, and not the other's
    with pytest.raises(OSError, match="is open"):
        pluto.open_buffer(RX_ID, 16, 3, False)
    again.close()


def test_a_measurement_keeps_nobody_waiting(pluto, engine):
    begun, ended, shown = threading.Event(), threading.Event(), []

    def measure(channel):
        begun.set()
        assert ended.wait(5.0)
        return 50.0

    engine.rssi_db = measure
    measuring = threading.Thread(target=lambda: shown.append(pluto.read(RX0, "rssi")))
    measuring.start()
    assert begun.wait(5.0)
    other = threading.Thread(target=pluto.write, args=(RX0, "sampling_frequency", "4000000"))
    other.start()
    other.join(5.0)
    assert not other.is_alive()
    ended.set()
    measuring.join()
    assert shown == ["50.00 dB"]


def test_many_threads_lose_no_setting(pluto, engine):
    def retune():
        for _ in range(50):
            pluto.write(RX_LO, "frequency", "920000000")
            pluto.write(TX_LO, "frequency", "920000000")

    threads = [threading.Thread(target=retune) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (pluto.settings.rx_lo_epoch, pluto.settings.tx_lo_epoch) == (400, 400)
    assert engine.told[-1] == pluto.settings
