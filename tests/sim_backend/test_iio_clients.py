"""Unmodified clients against a virtual Pluto: libiio's tools, pyadi-iio and gr-iio, each in a process of its own."""

import re
import subprocess
import sys
import textwrap
import time
from contextlib import ExitStack
from importlib.util import find_spec

import pytest

from sim_backend.iiod import IiodServer
from sim_backend.pluto_context import PlutoModel
from sim_backend.pluto_engine import Flags, MemoryEngine
from sim_backend.virtual_pluto import VirtualPluto
from tests.sim_backend.iio_tools import PROPERTIES, address, script, tool


@pytest.fixture
def engine():
    return MemoryEngine(ramp=True)


@pytest.fixture
def pluto(engine):
    return VirtualPluto(engine, PlutoModel(tdd=True))


@pytest.fixture
def uri(pluto):
    with IiodServer(pluto, address()) as server:
        yield server.uri


def test_iio_info_reads_everything(uri, pluto):
    text = tool("iio_info", "-u", uri).decode()
    assert "IIO context has 5 devices:" in text
    assert f"hw_serial: {pluto.model.serial}" in text
    assert "altvoltage0: RX_LO (output)" in text
    assert "voltage0:  (input, index: 0, format: le:S12/16>>0)" in text
    assert "No trigger on this device" in text
    assert len(re.findall(r"attr +\d+: ", text)) > 350
    failing = set(re.findall(r"attr +\d+: (\w+) ERROR", text))
    assert failing == {  # as on a real one
        "fastlock_recall", "dcxo_tune_coarse", "dcxo_tune_fine", "gain_table_config", "multichip_sync", "gaininfo_rx2",
        "samples_pps",
    }  # fmt: skip


def test_iio_attr_reads_and_writes_each_kind(uri, pluto):
    assert b"2400000000" in tool("iio_attr", "-u", uri, "-c", "ad9361-phy", "RX_LO", "frequency")
    tool("iio_attr", "-u", uri, "-c", "ad9361-phy", "altvoltage0", "frequency", "920000000")
    assert pluto.settings.rx_lo_hz == pytest.approx(920e6, abs=8)
    tool("iio_attr", "-u", uri, "-o", "-c", "ad9361-phy", "voltage0", "hardwaregain", "-30.25")
    assert pluto.settings.tx_attenuation_db == (30.25,)
    tool("iio_attr", "-u", uri, "-d", "ad9361-phy", "ensm_mode", "alert")
    assert b"alert" in tool("iio_attr", "-u", uri, "-d", "ad9361-phy", "ensm_mode")
    tool("iio_attr", "-u", uri, "-D", "ad9361-phy", "loopback", "1")
    assert pluto.settings.loopback == 1
    assert b"1" in tool("iio_attr", "-u", uri, "-D", "ad9361-phy", "loopback")
    assert b"2048" in tool("iio_attr", "-u", uri, "-B", "cf-ad9361-lpc", "watermark")
    assert b"v0.39" in tool("iio_attr", "-u", uri, "-C", "fw_version")


def test_iio_reg_reads_and_writes(uri, engine):
    assert int(tool("iio_reg", "-u", uri, "ad9361-phy", "0x37"), 16) == 0x0A
    tool("iio_reg", "-u", uri, "ad9361-phy", "0x3A0", "0x5A")
    assert int(tool("iio_reg", "-u", uri, "ad9361-phy", "0x3A0"), 16) == 0x5A
    engine._flags = Flags(underflow=True)
    assert int(tool("iio_reg", "-u", uri, "cf-ad9361-dds-core-lpc", "0x80000088"), 16) == 1
    tool("iio_reg", "-u", uri, "cf-ad9361-dds-core-lpc", "0x80000088", "1")
    assert engine.flags() == Flags()


def test_iio_readdev_and_writedev_move_samples(uri, pluto):
    data = tool("iio_readdev", "-u", uri, "-b", "256", "-s", "1024", "cf-ad9361-lpc")
    expected = b"".join(number.to_bytes(2, "little", signed=True) * 2 for number in range(-2048, -1024))
    assert data == expected
    tool("iio_writedev", "-u", uri, "-b", "256", "-s", "256", "cf-ad9361-dds-core-lpc", text=data)


def test_pluto_properties_round_trip(uri):
    assert re.match(r"1044734c9605[0-9a-f]{22} 127\.", script(PROPERTIES, uri))


def test_digital_loopback_is_sample_exact(uri):
    script(
        """
        sdr = adi.Pluto(sys.argv[1])
        sdr.sample_rate = 4000000
        sdr.loopback = 1
        length = 2**14 * 2 - 1  # as in pyadi-iio's own test of hardware
        ramp = np.arange(length) % 4096 - 2048
        sdr.tx_cyclic_buffer = True
        sdr.rx_buffer_size = length
        try:
            sdr.tx((ramp + 1j * ramp[::-1]) * 16)
            for _ in range(5):  # one period each: nothing lost, nothing twice
                heard = sdr.rx()
                assert np.array_equal(heard, ramp + 1j * ramp[::-1])
            try:
                sdr.tx(ramp + 0j)
            except Exception as error:
                assert "cyclic mode" in str(error)
            else:
                raise AssertionError("a second cyclic buffer")
            sdr.tx_destroy_buffer()
            assert not sdr.rx().any()
            sdr.tx_cyclic_buffer = False
            for part in (1, 2, 3):
                sdr.tx(np.full(length, part * 16.0 + 0j))
            for part in (1, 2, 3):
                assert (sdr.rx() == part).all()
        finally:
            sdr.tx_destroy_buffer()
            sdr.rx_destroy_buffer()
        """,
        uri,
    )


def test_a_second_client_of_a_buffer_is_told_busy(uri):
    script(
        """
        first, second = adi.Pluto(sys.argv[1]), adi.Pluto(sys.argv[1])
        first.rx_buffer_size = second.rx_buffer_size = 1024
        try:
            first.rx()
            try:
                second.rx()
            except OSError as error:
                assert error.errno == 16, error
            else:
                raise AssertionError("both have it")
            first.rx_destroy_buffer()
            assert second.rx()[0] == -2048 + 1024 * (1 + 1j) - 2048j
        finally:
            first.rx_destroy_buffer()
            second.rx_destroy_buffer()
        """,
        uri,
        complaint="ERROR: Open unlocked: -16\n",
    )


def test_two_channels_over_pyadi():
    with IiodServer(VirtualPluto(MemoryEngine(), PlutoModel(chip="ad9361")), address()) as server:
        script(
            """
            sdr = adi.ad9361(sys.argv[1])
            sdr.loopback = 1
            sdr.gain_control_mode_chan1 = "manual"
            sdr.rx_hardwaregain_chan1 = 12
            assert sdr.rx_hardwaregain_chan1 == 12
            sdr.tx_hardwaregain_chan1 = -7.75
            assert (sdr.tx_hardwaregain_chan1, sdr.tx_hardwaregain_chan0) == (-7.75, -10)
            sdr.tx_cyclic_buffer = True
            sdr.rx_buffer_size = 256
            ramp = np.arange(256)
            sent = [ramp + 1j * ramp[::-1], -ramp + 5j]
            try:
                sdr.tx([16 * channel for channel in sent])
                heard = sdr.rx()
                assert all(np.array_equal(h, s) for h, s in zip(heard, sent))
                sdr.rx_destroy_buffer()
                sdr.rx_enabled_channels = [1]
                assert np.array_equal(sdr.rx(), sent[1])
            finally:
                sdr.tx_destroy_buffer()
                sdr.rx_destroy_buffer()
            """,
            server.uri,
        )


def test_sixteen_contexts_and_a_clone():
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                IiodServer(VirtualPluto(MemoryEngine(), PlutoModel(number=number)), address())
            )
            for number in range(16)
        ]
        done = script(
            """
            contexts = [iio.Context(uri) for uri in sys.argv[1:]]
            for number, context in enumerate(contexts):
                lo = context.find_device("ad9361-phy").find_channel("altvoltage0", True)
                lo.attrs["frequency"].value = str(900000000 + number * 1000000)
            for context in [*contexts, contexts[7].clone()]:
                lo = context.find_device("ad9361-phy").find_channel("altvoltage0", True)
                print(context.attrs["hw_serial"], round(int(lo.attrs["frequency"].value) / 1e6))
            """,
            *[server.uri for server in servers],
        )
        lines = [line.split() for line in done.splitlines()]
        expected = [[PlutoModel(number=number).serial, str(900 + number)] for number in range(16)]
        assert lines == [*expected, expected[7]]


def test_the_frame_engine_over_pyadi(uri, engine, pluto):
    script(
        """
        tdd = adi.tddn(sys.argv[1])
        tdd.frame_length_ms = 2.0
        tdd.burst_count = 1
        tdd.sync_external = True
        tdd.channel[1].on_raw, tdd.channel[1].off_raw = 0, 10
        tdd.channel[1].enable = True
        tdd.enable = True
        tdd.sync_soft = 1
        assert (tdd.enable, tdd.frame_length_raw, tdd.channel[1].off_raw, tdd.state) == (True, 61440, 10, 3)
        """,
        uri,
    )
    assert engine.triggers == 1
    assert pluto.settings.tdd.frame_cycles == 61440


class Silent(MemoryEngine):
    """A receiver that never hears a sample."""

    def open_rx(self, num_samples, elements, num_blocks):
        return self

    def read(self, num_bytes, timeout_s):
        time.sleep(timeout_s)
        raise TimeoutError

    def close(self):
        return


def test_a_silent_receiver_times_out_and_the_context_goes_on():
    with IiodServer(VirtualPluto(Silent()), address()) as server:
        script(
            """
            sdr = adi.Pluto(sys.argv[1])
            sdr.ctx.set_timeout(400)
            try:
                sdr.rx()
            except TimeoutError as error:
                assert error.errno == 110
            else:
                raise AssertionError("heard something")
            finally:
                sdr.rx_destroy_buffer()
            assert sdr.rx_lo == 2400000000
            """,
            server.uri,
        )


def test_a_client_that_is_killed_lets_go_of_the_device(uri):
    if find_spec("adi") is None:
        pytest.skip("needs pyadi-iio and pylibiio (extra radio)")
    body = (
        "import sys, os, adi; sdr = adi.Pluto(sys.argv[1]); sdr.rx(); print('has it', flush=True); os.abort()"
    )
    killed = subprocess.run([sys.executable, "-c", body, uri], capture_output=True, text=True, timeout=30)
    assert "has it" in killed.stdout
    assert tool("iio_readdev", "-u", uri, "-b", "16", "-s", "16", "cf-ad9361-lpc")


def test_gnu_radio_receives_and_stops(uri, pluto):
    """For longer than a second: gr-iio of Debian 12 hangs in its own threads otherwise."""
    if find_spec("gnuradio") is None:
        pytest.skip("needs GNU Radio from the system's packages")
    body = """
    import sys, time
    from gnuradio import blocks, gr, iio
    top = gr.top_block()
    source = iio.fmcomms2_source_fc32(sys.argv[1], [True, True], 4096)
    source.set_frequency(920000000)
    source.set_samplerate(2100000)
    source.set_gain_mode(0, "manual")
    source.set_gain(0, 30.0)
    top.connect(source, blocks.null_sink(gr.sizeof_gr_complex))
    top.start()
    time.sleep(1.5)
    top.stop()
    top.wait()
    print(source.nitems_written(0))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body), uri], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 100_000
    assert (pluto.settings.rx_gain_db, pluto.settings.gain_mode) == ((30,), ("manual",))
    assert pluto.settings.sample_rate_hz == pytest.approx(2.1e6, abs=4)
    assert pluto.settings.rx_lo_hz == pytest.approx(920e6, abs=8)
