"""The numbers in docs/virtual_radios.md are the code's."""

import re
from pathlib import Path

import pytest

from sim_backend.agc import TARGET_DBFS
from sim_backend.iiod import PORT
from sim_backend.iiod_buffers import BUSY_S
from sim_backend.levels import DAC_BITS, RX_FULL_SCALE_DBM, THERMAL_DBM_HZ, TX_FULL_SCALE_DBM
from sim_backend.pluto_carriers import GAIN_TABLES
from sim_backend.pluto_context import CHIPS
from sim_backend.stream_air import StreamAirConfig
from sim_backend.stream_medium import CABLE_DB
from sim_backend.stream_state import LAG_S
from sim_backend.virtual_pluto import MAX_BLOCKS

TEXT = (Path(__file__).parents[2] / "docs" / "virtual_radios.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE))
AIR = StreamAirConfig()
(LOW, LOWEST, HIGHEST, _), (MIDDLE, *_), _ = GAIN_TABLES


@pytest.mark.parametrize(
    ("row", "stated"),
    [
        ("output at digital full scale, 0 dB attenuation", f"{TX_FULL_SCALE_DBM:g} dBm"),
        ("input that drives the converter to full scale at 0 dB of gain", f"{RX_FULL_SCALE_DBM:g} dBm"),
        ("receive gain, by hand", f"{LOWEST} to {HIGHEST} dB up to {LOW / 1e9:g} GHz, "),
        ("receive gain, by hand", f"{GAIN_TABLES[1][1]} to {GAIN_TABLES[1][2]} up to {MIDDLE / 1e9:g} GHz, "),
        ("gain control", f"to {TARGET_DBFS:g} dBFS"),
        ("converters", f"{DAC_BITS} bits"),
        ("noise figure", f"{AIR.noise_figure_db:g} dB above 290 K, {THERMAL_DBM_HZ:g} dBm/Hz"),
        (
            "from a radio's output to its own input",
            f"{AIR.isolation_db:g} dB, or `--isolation DB`; {CABLE_DB:g} dB",
        ),
        ("carriers", f"{CHIPS['ad9363a'][0] / 1e6:g} MHz to {CHIPS['ad9363a'][1] / 1e9:g} GHz"),
        ("carriers", f"AD9364: {CHIPS['ad9364'][0] / 1e6:g} MHz to {CHIPS['ad9364'][1] / 1e9:g} GHz"),
        ("DMA", f"1 to {MAX_BLOCKS}"),
        ("latency", f"left {1e3 * LAG_S:g} ms ago"),
    ],
)
def test_a_number_of_the_table_is_the_codes(row, stated):
    assert stated in ROWS[row]


def test_numbers_of_the_text_are_the_codes():
    assert f"EBUSY after {1e3 * BUSY_S:g} ms" in TEXT
    assert f"TCP port {PORT}" in TEXT
