"""Unmodified pyadi-iio over virtual Plutos that share an air."""

import gc
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from radio.impairments import Impairments
from radio.interface import RadioError
from sim_backend.crystal import draw_crystal
from sim_backend.pluto_context import PlutoModel
from sim_backend.stream_air import StreamAirConfig
from sim_backend.virtual_bench import VirtualBench
from tests.reference.benches import first_host, plutos
from tests.reference.waves import RX_FULL, TX_FULL, frequency, level_db

QUIET = StreamAirConfig(noise_variance=0.0)
SETTLED = 3  # blocks after which a change is in what is read


def bench(num_radios, air=QUIET, **options):
    return VirtualBench(num_radios, air, **{"patience_s": 0.1, "first_host": first_host()} | options)


def wave(cycles_per_sample, num_samples=1000, amplitude=0.5):
    """For adi's tx(), whose full scale is 2^15."""
    return TX_FULL * amplitude * np.exp(2j * np.pi * cycles_per_sample * np.arange(num_samples))


def repeat(radio, samples):
    radio.tx_destroy_buffer()
    radio.tx_cyclic_buffer = True
    radio.tx(samples)


def heard(radio, skip=SETTLED):
    for _ in range(skip):
        radio.rx()
    return np.asarray(radio.rx()) / RX_FULL


def test_a_tone_arrives_at_its_frequency_and_level():
    # +7 dBm at full scale, -6.02 dB, 20 dB of attenuation, 13 dB of path, 30 dB of gain, against 0 dBm.
    air = StreamAirConfig(impairments=Impairments(path_loss_db=13.0))
    with bench(2, air) as served, plutos(served.uris, rx_hardwaregain_chan0=30) as (sender, receiver):
        repeat(sender, wave(0.1))
        got = heard(receiver)
        rssi_db = float(receiver._ctrl.find_channel("voltage0").attrs["rssi"].value.split()[0])
    assert level_db(got) == pytest.approx(-2.02, abs=0.2)
    assert frequency(got) == pytest.approx(0.1, abs=1e-6)
    assert rssi_db == pytest.approx(32.0, abs=0.5)


def test_digital_loopback_returns_a_ramp_bit_by_bit():
    ramp = np.arange(2048)
    with bench(1) as served, plutos(served.uris, rx_buffer_size=2048, loopback=1) as (radio,):
        repeat(radio, (ramp << 4) + 1j * ((2047 - ramp) << 4))
        for _ in range(SETTLED):
            radio.rx()
        got = radio.rx()
    start = int(got[0].real)
    np.testing.assert_array_equal(got.real, np.roll(ramp, -start))
    np.testing.assert_array_equal(got.imag, 2047 - np.roll(ramp, -start))


def test_a_cyclic_buffer_repeats_until_it_is_closed_and_then_there_is_silence():
    with bench(2) as served, plutos(served.uris) as (sender, receiver):
        repeat(sender, wave(0.1))
        assert all(level_db(heard(receiver, 0)) > -20.0 for _ in range(10))
        sender.tx_destroy_buffer()
        for _ in range(8):  # kernel blocks, and one at the edge
            receiver.rx()
        assert not any(heard(receiver, 0).any() for _ in range(5))


def test_a_client_that_vanishes_falls_silent():
    with bench(2) as served, plutos(served.uris) as (sender, receiver):
        sender.tx(np.zeros(1000))  # pyadi-iio's first one turns the generators off
        sender.tx_destroy_buffer()
        block = np.full(2000, 1 << 14, np.int16).tobytes()
        with socket.create_connection((served.uris[0].removeprefix("ip:"), 30431), 5.0) as client:
            client.sendall(b"OPEN iio:device2 1000 00000003 CYCLIC\r\nWRITEBUF iio:device2 4000\r\n" + block)
            assert client.makefile("rb").read(9) == b"0\n0\n4000\n"
            assert level_db(heard(receiver)) > -20.0
        limit_s = time.monotonic() + 5.0
        while heard(receiver, 0).any() and time.monotonic() < limit_s:
            pass
        assert not heard(receiver, 0).any()


def test_tx_then_rx_with_the_buffer_left_open_never_blocks():
    with bench(1) as served, plutos(served.uris, loopback=1) as (radio,):
        began_s = time.monotonic()
        for turn in range(5):
            radio.tx(wave(0.1 + 0.01 * turn, 4096))
            radio.rx()
        assert time.monotonic() - began_s < 5.0
        assert radio._txdac.reg_read(0x80000088) == 1  # it ran dry
        radio._txdac.reg_write(0x80000088, 1)
        assert radio._txdac.reg_read(0x80000088) == 0


def test_gain_control_brings_a_tone_to_its_target():
    with (
        bench(2, StreamAirConfig()) as served,
        plutos(served.uris, gain_control_mode_chan0="slow_attack", rx_buffer_size=1 << 16) as (
            sender,
            receiver,
        ),
    ):
        for attenuation_db in (30, 50):
            sender.tx_hardwaregain_chan0 = -attenuation_db
            repeat(sender, wave(0.1, amplitude=1.0))
            heard(receiver, 8)
            got = heard(receiver)
            assert level_db(got) == pytest.approx(-12.0, abs=2.0)
            # 7 dBm less the attenuation plus the gain, against 0 dBm
            assert receiver.rx_hardwaregain_chan0 == pytest.approx(
                level_db(got[-1000:]) - (7 - attenuation_db), abs=0.6
            )


def test_too_strong_a_signal_saturates():
    with bench(2) as served, plutos(served.uris, rx_hardwaregain_chan0=60) as (sender, receiver):
        repeat(sender, wave(0.1))
        assert np.abs(heard(receiver).real).max() == 1.0
        assert served.engine.saturated(1) > 1000


def test_carriers_apart_are_heard_apart():
    with bench(2) as served, plutos(served.uris) as (sender, receiver):
        sender.tx_lo = 915_100_000
        repeat(sender, np.full(1000, 0.5 * TX_FULL))
        got = heard(receiver)
        apart_hz = sender.tx_lo - receiver.rx_lo
    assert frequency(got) == pytest.approx(apart_hz / 1e6, abs=5e-6)  # both read back as even numbers


def test_crystals_move_the_carriers_and_corrections_take_hold_at_the_next_retune():
    free = Impairments(clock="free", max_clock_offset_ppm=10.0)
    air = StreamAirConfig(impairments=free, noise_variance=0.0, seed=5)
    offsets = [draw_crystal(free, 5, radio, 915e6).offset for radio in (0, 1)]
    with bench(2, air) as served, plutos(served.uris, rx_buffer_size=50_000) as radios:
        sender, receiver = radios
        repeat(sender, np.full(1000, 0.5 * TX_FULL))
        expected = 915e6 * (offsets[0] - offsets[1]) / 1e6
        assert frequency(heard(receiver)) == pytest.approx(expected, abs=2e-5)
        for radio, offset in zip(radios, offsets, strict=True):
            radio._ctrl.attrs["xo_correction"].value = str(round(40e6 * (1 + offset)))
        assert frequency(heard(receiver)) == pytest.approx(expected, abs=2e-5)
        for radio in radios:
            radio.tx_lo = radio.rx_lo = 915_000_000
        assert frequency(heard(receiver, 5)) == pytest.approx(0.0, abs=3e-5)  # 1 Hz in 40 MHz is 23 Hz here


def test_the_first_blocks_are_stale():
    with bench(2) as served, plutos(served.uris) as (sender, receiver):
        receiver.rx()
        for _ in range(6):  # the first four blocks wait, the others let time pass
            sender.tx(np.zeros(20_000))
        sender.tx_destroy_buffer()
        assert served.engine.flags(1).overflow
        repeat(sender, wave(0.1))
        assert [heard(receiver, 0).any() for _ in range(4)] == [False] * 4
        heard(receiver, 1)
        assert level_db(heard(receiver, 0)) > -20.0


def test_flags_in_real_time_are_bits_of_a_register():
    with (
        bench(1, pace="real") as served,
        plutos(served.uris, sample_rate=600_000, rx_rf_bandwidth=600_000, tx_rf_bandwidth=600_000) as (
            radio,
        ),
    ):
        radio.rx()
        radio._rxadc.reg_write(0x80000088, 4)
        radio.tx(wave(0.1, 6000))
        limit_s = time.monotonic() + 5.0
        while radio._rxadc.reg_read(0x80000088) != 4 and time.monotonic() < limit_s:
            time.sleep(0.01)
        assert radio._rxadc.reg_read(0x80000088) == 4
        assert radio._txdac.reg_read(0x80000088) == 1
        radio.tx_destroy_buffer()
        radio.rx_destroy_buffer()
        radio._rxadc.reg_write(0x80000088, 4)
        radio._txdac.reg_write(0x80000088, 1)
        assert radio._rxadc.reg_read(0x80000088) == radio._txdac.reg_read(0x80000088) == 0


def test_an_ad9361_has_two_channels():
    adi = pytest.importorskip("adi", reason="needs pyadi-iio and pylibiio (extra radio)")
    model = PlutoModel(chip="ad9361")
    with (
        bench(1, model=model) as served,
        plutos(served.uris, of=adi.ad9361, loopback=1, rx_buffer_size=1000) as (radio,),
    ):
        radio.rx_enabled_channels = radio.tx_enabled_channels = [0, 1]
        radio.tx_cyclic_buffer = True
        radio.tx([wave(0.1), wave(0.03)])
        for _ in range(SETTLED):
            radio.rx()
        got = radio.rx()
    assert frequency(got[0]) == pytest.approx(0.1, abs=1e-5)
    assert frequency(got[1]) == pytest.approx(0.03, abs=1e-5)


def test_an_address_that_is_taken_is_named():
    host = first_host()
    with (
        bench(1, first_host=host),
        pytest.raises(RadioError, match=f"^{host} port 30431 is taken, .* choose"),
    ):
        bench(1, first_host=host)
    bench(1, first_host=host).close()


def test_closing_leaves_nothing_behind():
    def state():
        gc.collect()
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    before = state()
    served = bench(3)
    with plutos(served.uris) as radios:
        repeat(radios[0], wave(0.1))
        radios[1].rx()
        served.close()
    served.close()
    del radios
    assert state() == before


# The trigger


def arm(uris, frame_cycles, span=None, **switches):
    """Frame engines whose gates of both DMAs are open for the first `span` cycles, as pyadi-iio sets them."""
    adi = pytest.importorskip("adi", reason="needs pyadi-iio and pylibiio (extra radio)")
    engines = []
    for uri in uris:
        engine = adi.tddn(uri)
        engine.channel = list(engine.channel)  # the class has one list for all of them
        adi.tddn.channel.clear()
        engines.append(engine)
        engine.enable = False
        engine.frame_length_raw = frame_cycles
        engine.burst_count = 0
        engine.sync_external = True
        for name, value in switches.items():
            setattr(engine, name, value)
        for channel in (1, 2):
            engine.channel[channel].on_raw = 0
            engine.channel[channel].off_raw = frame_cycles if span is None else span
            engine.channel[channel].polarity = False
            engine.channel[channel].enable = True
        engine.enable = True
    return engines


def once(radio, samples):
    radio.tx_destroy_buffer()
    radio.tx_cyclic_buffer = False
    radio.tx(samples)


def steps(low, num_samples=1000):
    """Samples that tell where they are: complex numbers of which no two are alike."""
    index = np.arange(num_samples)
    return ((index + low) << 4) + 1j * ((index - low) << 4)


def after_edge(served, receiver):
    """A block that begins with an edge on the trigger line, and not before."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(receiver.rx)
        limit_s = time.monotonic() + 5.0
        while not receiver._rxbuf and time.monotonic() < limit_s:
            time.sleep(0.001)
        with pytest.raises(TimeoutError):
            waiting.result(0.05)
        served.pulse_trigger()
        return np.asarray(waiting.result(5.0))


def turn_generators_off(radios):
    for radio in radios:
        radio.tx(np.zeros(1000))  # pyadi-iio's first one does
        radio.tx_destroy_buffer()


def test_an_edge_on_the_shared_line_releases_all_radios_at_once():
    with (
        bench(3, model=PlutoModel(tdd=True)) as served,
        plutos(served.uris, tx_hardwaregain_chan0=-7, rx_hardwaregain_chan0=0) as radios,
    ):
        one, two, receiver = radios
        turn_generators_off(radios)
        arm(served.uris, 5000)
        receiver.rx_buffer_size = 1500
        sweep = np.cumsum(np.linspace(-0.3, 0.3, 1000))  # cycles; within the programmable filters' pass band
        sent = np.stack([0.5 * np.hanning(1000) * np.exp(2j * np.pi * sign * sweep) for sign in (1, -1)])
        once(one, TX_FULL * sent[0])
        once(two, TX_FULL * sent[1])
        got = after_edge(served, receiver)
    # Both arrive at sample 0, each through a carrier phase of its own; a sample's shift would leave most of the energy.
    found, residual, _, _ = np.linalg.lstsq(sent.T, got[:1000] / RX_FULL, rcond=None)
    np.testing.assert_allclose(np.abs(found), 1.0, atol=0.01)
    assert residual[0] < 1e-3 * np.sum(np.abs(sent) ** 2)
    assert np.abs(got[1040:]).max() < 4  # but for the filters' ringing nothing follows


def test_free_clocks_are_released_at_one_instant_however_far_apart_they_have_run():
    free = Impairments(clock="free", max_clock_offset_ppm=20.0)
    offsets = [draw_crystal(free, 5, radio, 915e6).offset for radio in range(3)]
    assert min(abs(offset - offsets[2]) for offset in offsets[:2]) > 3e-6
    with (
        bench(
            3,
            StreamAirConfig(impairments=free, noise_variance=0.0, seed=5),
            model=PlutoModel(tdd=True),
        ) as served,
        plutos(served.uris, tx_hardwaregain_chan0=-7, rx_hardwaregain_chan0=0) as radios,
    ):
        receiver = radios[2]
        turn_generators_off(radios)
        receiver.rx_buffer_size = 50_000
        for _ in range(20):  # a second, in which clocks come apart by more than three samples
            receiver.rx()
        receiver.rx_destroy_buffer()
        receiver.rx_buffer_size = 1500
        for sender in radios[:2]:
            arm(served.uris, 5000)
            once(sender, np.full(1000, 0.5 * TX_FULL))
            got = np.abs(after_edge(served, receiver))
            loud = np.flatnonzero(got > 0.5 * np.median(got[100:900]))
            assert loud[0] <= 1
            assert loud[-1] - loud[0] == pytest.approx(999, abs=1)
            receiver.rx_destroy_buffer()
            sender.tx_destroy_buffer()


def test_a_software_pulse_releases_one_radio():
    with (
        bench(2, model=PlutoModel(tdd=True)) as served,
        plutos(served.uris, loopback=1, rx_buffer_size=1000) as (radio, _),
    ):
        (engine, _) = arm(served.uris, 2000, span=1)
        once(radio, steps(7))
        engine.sync_soft = 1
        np.testing.assert_array_equal(radio.rx(), steps(7) / 16)
        once(radio, steps(9))  # frames go on: the next one takes it
        for _ in range(6):
            got = radio.rx()
            if got.any():
                break
        np.testing.assert_array_equal(got, steps(9) / 16)
        engine.enable = False
        assert served.engine.flags(0) == (False, False)


def test_the_line_is_ignored_by_who_does_not_listen():
    with (
        bench(1, model=PlutoModel(tdd=True)) as served,
        plutos(served.uris, loopback=1, rx_buffer_size=1000) as (radio,),
    ):
        (engine,) = arm(served.uris, 2000, sync_external=False)
        radio._ctx.set_timeout(400)
        served.pulse_trigger()
        with pytest.raises(OSError, match="timed out"):
            radio.rx()
        engine.sync_soft = 1
        assert len(radio.rx()) == 1000


def test_a_burst_of_frames_ends_and_is_armed_again():
    with (
        bench(1, model=PlutoModel(tdd=True)) as served,
        plutos(served.uris, loopback=1, rx_buffer_size=6000) as (radio,),
    ):
        (engine,) = arm(served.uris, 2000, burst_count=2)
        radio.tx_cyclic_buffer = True
        radio.tx(steps(7))
        for _ in range(2):
            assert engine.state == 1  # armed
            served.pulse_trigger()
            assert engine.state == 3  # running
            got = radio.rx()
            np.testing.assert_array_equal(got[:4000], np.tile(steps(7) / 16, 4))
            assert not got[4000:].any()
        engine.enable = False
