"""Unmodified clients over virtual Plutos that share an air: libiio's tools, pyadi-iio, GNU Radio; the status bits."""

import re
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

from radio.impairments import Impairments
from sim_backend.iiod import PORT
from sim_backend.pluto_context import PlutoModel
from sim_backend.stream_air import StreamAirConfig
from sim_backend.virtual_bench import VirtualBench
from tests.reference.benches import first_host
from tests.reference.waves import RX_FULL, TX_FULL, frequency, level_db
from tests.sim_backend.iio_tools import PROPERTIES, script, tool
from tests.sim_backend.iiod_fuzz import fuzz, fuzzing

RX, TX, STATUS = "cf-ad9361-lpc", "cf-ad9361-dds-core-lpc", "0x80000088"
LOSS = StreamAirConfig(impairments=Impairments(path_loss_db=13.0))


@pytest.fixture
def uris():
    with VirtualBench(2, LOSS, first_host=first_host()) as served:
        yield served.uris


def attr(uri, *words):
    """What iio_attr reads, or that it writes."""
    return tool("iio_attr", "-u", uri, *words).decode().strip()


def test_iio_info_reads_everything(uris):
    for number, uri in enumerate(uris):
        text = tool("iio_info", "-u", uri).decode()
        assert f"hw_serial: {PlutoModel(number=number).serial}" in text
        assert "IIO context has 4 devices:" in text
        assert len(re.findall(r"attr +\d+: ", text)) > 300
        assert set(re.findall(r"attr +\d+: (\w+) ERROR", text)) == {  # as on a real one
            "fastlock_recall", "dcxo_tune_coarse", "dcxo_tune_fine", "gain_table_config", "multichip_sync",
            "gaininfo_rx2", "samples_pps",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "value", "shown"),
    [
        (("-c", "ad9361-phy", "altvoltage0", "frequency"), "868000000", r"86(8000000|7999999|7999998)"),
        (("-c", "ad9361-phy", "TX_LO", "frequency"), "920000000", r"9(20000000|19999999|19999998)"),
        (("-o", "-c", "ad9361-phy", "voltage0", "hardwaregain"), "-30.25", r"-30\.250000 dB"),
        (("-i", "-c", "ad9361-phy", "voltage0", "gain_control_mode"), "manual", "manual"),
        (("-c", TX, "altvoltage2", "scale"), "0.25", r"0\.250000"),
        (("-d", "ad9361-phy", "ensm_mode"), "alert", "alert"),
        (("-d", "ad9361-phy", "xo_correction"), "40000100", "40000100"),
        (("-D", "ad9361-phy", "loopback"), "1", "1"),
        (("-B", RX, "watermark"), "1024", "1024"),
    ],
)
def test_iio_attr_writes_and_reads_back(uris, words, value, shown):
    attr(uris[0], *words, value)
    assert re.fullmatch(shown, attr(uris[0], *words))
    assert not re.fullmatch(shown, attr(uris[1], *words))  # the other radio is another radio


def test_iio_attr_is_told_what_is_not_modelled(uris):
    tool("iio_attr", "-u", uris[0], "-D", "ad9361-phy", "bist_tone", "1 0 0 0", code=1)
    assert attr(uris[0], "-D", "ad9361-phy", "bist_tone") == "0"


def test_iio_reg_reads_and_writes(uris):
    assert int(tool("iio_reg", "-u", uris[0], "ad9361-phy", "0x37"), 16) & 0xF8 == 0x08  # UG-671: an AD936x
    tool("iio_reg", "-u", uris[0], "ad9361-phy", "0x3A0", "0x5A")
    assert int(tool("iio_reg", "-u", uris[0], "ad9361-phy", "0x3A0"), 16) == 0x5A
    assert int(tool("iio_reg", "-u", uris[0], RX, STATUS), 16) == 0


def test_what_iio_writedev_repeats_iio_readdev_hears(uris):
    """+7 dBm at full scale, -6.02 dB, 20 dB of attenuation, 13 dB of path, 30 dB of gain, against 0 dBm."""
    sender, receiver = uris
    for uri in uris:
        for lo in ("altvoltage0", "altvoltage1"):
            attr(uri, "-c", "ad9361-phy", lo, "frequency", "915000000")
        attr(uri, "-i", "-c", "ad9361-phy", "voltage0", "sampling_frequency", "2500000")
    attr(sender, "-o", "-c", "ad9361-phy", "voltage0", "hardwaregain", "-20")
    attr(receiver, "-i", "-c", "ad9361-phy", "voltage0", "gain_control_mode", "manual")
    attr(receiver, "-i", "-c", "ad9361-phy", "voltage0", "hardwaregain", "30")
    wave = 0.5 * TX_FULL * np.exp(0.2j * np.pi * np.arange(1000))
    words = np.stack([wave.real, wave.imag], axis=1).round().astype("<i2").tobytes()
    command = ["iio_writedev", "-u", sender, "-c", "-b", "1000", TX]
    tool("iio_readdev", "-u", receiver, "-b", "16", "-s", "16", RX)  # whether it is installed
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as writing:
        try:
            writing.stdin.write(words)
            writing.stdin.close()
            until = time.monotonic() + 20.0
            while True:  # until the other process has come that far
                data = tool("iio_readdev", "-u", receiver, "-b", "4096", "-s", "16384", RX)
                got = np.frombuffer(data, "<i2").astype(float).view(complex)[-4096:] / RX_FULL
                if level_db(got) > -20.0 or time.monotonic() > until:
                    break
        finally:
            writing.kill()
    assert level_db(got) == pytest.approx(-2.02, abs=0.2)
    assert frequency(got) == pytest.approx(0.1, abs=1e-5)


def test_pluto_properties_round_trip(uris):
    assert re.match(r"1044734c9605[0-9a-f]{22} 127\.", script(PROPERTIES, uris[1]))


def test_the_first_buffer_silences_the_generators(uris):
    """pyadi-iio writes `raw` 0 to each of the four before it opens a buffer."""
    script(
        """
        one, two = (adi.Pluto(uri) for uri in sys.argv[1:])
        try:
            for radio in (one, two):
                radio.tx_lo = radio.rx_lo = 915000000
                radio.gain_control_mode_chan0 = "manual"
                radio.rx_buffer_size = 1 << 16
            two.rx_hardwaregain_chan0 = 10
            one.dds_single_tone(1000000, 0.9)
            assert one.dds_enabled == ["1"] * 4
            for _ in range(8):
                tone = two.rx()
            assert np.abs(tone).max() > 300
            one.tx(np.zeros(1024))
            assert one.dds_enabled == ["0"] * 4
            for _ in range(8):
                silence = two.rx()
            assert np.abs(silence).max() < 4
        finally:
            for radio in (one, two):
                radio.tx_destroy_buffer()
                radio.rx_destroy_buffer()
        """,
        *uris,
    )


def test_sixteen_contexts_receive_at_once():
    """On sixteen radios one sends to fifteen, all in one process, each with its own gain."""
    with VirtualBench(16, LOSS, first_host=first_host()) as served:
        script(
            """
            from concurrent.futures import ThreadPoolExecutor
            radios = [adi.Pluto(uri) for uri in sys.argv[1:]]
            try:
                for number, radio in enumerate(radios):
                    radio.sample_rate = 1000000
                    radio.rx_lo = radio.tx_lo = 915000000
                    radio.gain_control_mode_chan0 = "manual"
                    radio.rx_hardwaregain_chan0 = number
                radios[0].tx_hardwaregain_chan0 = -10
                radios[0].tx_cyclic_buffer = True
                radios[0].tx(0.5 * 2**15 * np.exp(0.2j * np.pi * np.arange(1000)))
                with ThreadPoolExecutor(15) as pool:
                    heard = list(pool.map(lambda radio: [radio.rx() for _ in range(8)][-1], radios[1:]))
                for gain_db, samples in enumerate(heard, 1):
                    level_db = 10 * np.log10(np.mean(np.abs(samples / 2047) ** 2))
                    assert abs(level_db - (7 - 6.02 - 10 - 13 + gain_db)) < 0.5, (gain_db, level_db)
            finally:
                for radio in radios:
                    radio.tx_destroy_buffer()
                    radio.rx_destroy_buffer()
            """,
            *served.uris,
        )


FLOWGRAPH = """
import sys, time
import numpy as np
from gnuradio import analog, blocks, gr, iio
sender, receiver, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
rate_hz = 2500000
top = gr.top_block()
source = iio.fmcomms2_source_fc32(receiver, [True, True], 1 << 14)
source.set_frequency(920000000)
source.set_samplerate(rate_hz)
source.set_gain_mode(0, "manual")
source.set_gain(0, 20.0)
sink = iio.fmcomms2_sink_fc32(sender, [True, True], 1 << 14, False)
sink.set_frequency(920000000)
sink.set_samplerate(rate_hz)
sink.set_attenuation(0, 10.0)
tone = analog.sig_source_c(rate_hz, analog.GR_COS_WAVE, 200000, 0.5)
window_len = 1 << 14
windows = blocks.stream_to_vector(gr.sizeof_gr_complex, window_len)
few = blocks.keep_one_in_n(window_len * gr.sizeof_gr_complex, 32)
heard = blocks.vector_sink_c(window_len)
top.connect(tone, sink)
top.connect(source, windows, few, heard)
top.start()
time.sleep(seconds)
top.stop()
top.wait()
found = np.array(heard.data()).reshape(-1, window_len)
assert len(found) > 3, len(found)
steps = np.angle(np.sum(found[1:, :-1].conj() * found[1:, 1:])) / (2 * np.pi)
levels = np.abs(found[1:])
print(steps * rate_hz, 10 * np.log10(np.mean(levels**2)), np.std(levels) / np.mean(levels))
"""


def test_gnu_radio_sends_a_tone_to_gnu_radio(uris):
    """For three seconds: gr-iio of Debian 12 hangs in its own threads when it is stopped within one."""
    if find_spec("gnuradio") is None:
        pytest.skip("needs GNU Radio from the system's packages")
    done = subprocess.run(
        [sys.executable, "-c", FLOWGRAPH, *uris, "3"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    frequency_hz, found_db, ripple = map(float, done.stdout.split()[-3:])
    assert frequency_hz == pytest.approx(200e3, abs=1.0)
    # 7 dBm at full scale, half of it, 10 dB of attenuation, 13 dB of path, 20 dB of gain, against 0 dBm
    assert found_db == pytest.approx(7.0 - 6.02 - 10.0 - 13.0 + 20.0, abs=1.0)
    assert ripple < 0.02  # without a hole


SLOW_AND_STEADY = """
BUFFER, BITS = 1 << 20, 0x80000088
sdr = adi.Pluto(sys.argv[1])
sdr._ctx.set_timeout(30000)  # on a busy machine
sdr.sample_rate = 600000
sdr.rx_buffer_size = BUFFER
block = np.full(BUFFER, 1000.0)
bits = lambda: (sdr._txdac.reg_read(BITS) & 1, sdr._rxadc.reg_read(BITS) & 4)
try:
    if sys.argv[2] == "steady":
        for _ in range(3):  # the first is written ahead: while one leaves the next is there
            sdr.tx(block)
        for _ in range(2):
            sdr.rx()
        sdr.tx(block)
        sdr.rx()
        assert bits() == (0, 0), bits()
    else:
        sdr._rxadc.set_kernel_buffers_count(1)
        sdr.tx(block)
        sdr.rx()
        import time
        time.sleep(4.5)  # 1.75 s a buffer
        assert bits() == (1, 4), bits()
        sdr.tx_destroy_buffer()
        sdr.rx_destroy_buffer()
        sdr._txdac.reg_write(BITS, 1)
        sdr._rxadc.reg_write(BITS, 4)
        assert bits() == (0, 0), bits()
finally:
    sdr.tx_destroy_buffer()
    sdr.rx_destroy_buffer()
"""


def test_at_the_pace_of_the_clock_the_slow_raise_bits_and_the_steady_do_not():
    """600 ksamples/s in buffers of 2^20, two radios at once."""
    with (
        VirtualBench(2, StreamAirConfig(), first_host=first_host(), pace="real") as served,
        ExitStack() as ending,
    ):
        if find_spec("adi") is None or find_spec("iio") is None:
            pytest.skip("needs pyadi-iio and pylibiio (extra radio)")
        lines = "import sys, adi, numpy as np\n" + SLOW_AND_STEADY
        running = [
            ending.enter_context(
                subprocess.Popen([sys.executable, "-c", lines, uri, how], stderr=subprocess.PIPE, text=True)
            )
            for uri, how in zip(served.uris, ("slow", "steady"), strict=True)
        ]
        for process in running:
            _, complaint = process.communicate(timeout=60)
            assert (process.returncode, complaint) == (0, "")


@fuzzing
def test_random_bytes_do_not_stop_the_air(caplog, nothing_left):
    host = first_host()
    with VirtualBench(1, LOSS, first_host=host, patience_s=0.05) as served:
        fuzz(SimpleNamespace(host=host, port=PORT))
        assert served.engine.now_s > 0.0  # it has moved, and has not failed
    assert "failed" not in caplog.text
