"""`PlutoRadio` on virtual Plutos: what goes wrong on a bench, and how it is told."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from radio.interface import EPOCH_LEN, EpochError, FullScaleError, LateError, RadioConfig, RadioError
from radio.safety import SafetyError, SafetyLimits
from tests.reference.benches import first_host

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
pytest.importorskip("adi", reason="needs pyadi-iio and pylibiio (extra radio)")

from radio.pluto import open_ad9361, open_pluto
from radio.pluto_link import LinkError, connect
from radio.pluto_timeline import StreamShape
from radio.silence import main as silence_main
from sim_backend.pluto_context import PlutoModel
from sim_backend.stream_air import StreamAirConfig
from sim_backend.virtual_bench import VirtualBench

CONFIG = RadioConfig(sample_rate_hz=1e6, center_hz=915e6, tx_gain_db=-10.0)
LIMITS = SafetyLimits(allowed_bands_hz=((902e6, 928e6),), max_duty=1.0)
QUIET = StreamAirConfig(noise_variance=0.0)
SURELY_S = 30.0
TURN = 400_000  # samples from the transmitter's now() until a short burst has surely arrived


def bench(num_radios, air=QUIET, **options):
    return VirtualBench(num_radios, air, **{"first_host": first_host()} | options)


def burst(rng, count=2000, level=0.1):
    return (level * (rng.normal(size=count) + 1j * rng.normal(size=count))).astype(np.complex64)


def place_of(sent, heard):
    return int(np.abs(np.correlate(heard, sent, "valid")).argmax())


def is_silent(served, radio):
    settings = served.engine.settings(radio)
    return settings.tx_attenuation_db[0] == 89.75 and not settings.tx_on[0]


def patiently(use):
    """Real time on a busy machine: what an under- or overflow, or the clock, voided is tried again."""
    for _ in range(20):
        try:
            return use()
        except (EpochError, LateError):
            pass
    raise AssertionError("the machine is too busy for virtual radios in real time")


# Limits


def test_without_limits_a_transmitter_is_not_even_connected_to():
    with pytest.raises(SafetyError, match=r"safety\.allowed_bands_hz lists nothing"):
        open_pluto("ip:127.0.0.1:9", CONFIG)


def test_a_forbidden_carrier_or_gain_is_refused_and_what_was_holds(rng):
    with bench(2) as served, open_pluto(served.uris[0], CONFIG, LIMITS) as radio:
        before = radio.config
        for settings in ({"center_hz": 868e6}, {"tx_gain_db": -9.75}, {"sample_rate_hz": 30e6}):
            with pytest.raises(SafetyError):
                radio.configure(**settings)
        assert radio.config == before
        assert radio.status().epoch == 0
        assert served.engine.settings(0).tx_attenuation_db == (10.0,)
        radio.transmit(burst(rng), radio.now())


def test_the_duty_limit_refuses_a_burst_and_cancelled_bursts_do_not_count(rng):
    limits = SafetyLimits(allowed_bands_hz=((902e6, 928e6),), max_duty=1e-4, duty_window_s=100.0)
    with bench(1) as served, open_pluto(served.uris[0], CONFIG, limits, receives=False) as radio:
        at = radio.now() + 20_000_000  # so late that even a busy machine configures before it leaves
        radio.transmit(burst(rng, 6000), at)
        with pytest.raises(SafetyError, match=r"duty would be 0\.00012 over 100 s"):
            radio.transmit(burst(rng, 6000), at + 500_000)
        radio.configure(center_hz=916e6)  # what had not left is void
        radio.transmit(burst(rng, 6000), radio.now())


# Settings


def test_a_refused_setting_leaves_a_radio_that_works_with_the_settings_from_before(rng):
    with bench(2) as served, open_pluto(served.uris[0], CONFIG, LIMITS, transmits=False) as radio:
        with pytest.raises(RadioError, match="refuses rx_lo = 200000000"):
            radio.configure(center_hz=200e6)
        assert radio.config.center_hz == pytest.approx(915e6, abs=8)
        with pytest.raises(RadioError, match="refuses rx_hardwaregain_chan0"):
            radio.configure(rx_gain_db=500)
        assert radio.config.rx_gain_db == 0.0
        assert radio.configure(rx_gain_db=17).rx_gain_db == 17.0
        assert len(radio.receive(radio.now(), 100, SURELY_S)) == 100


def test_gains_change_without_an_epoch_and_the_crystal_with_one():
    with bench(1) as served, open_pluto(served.uris[0], CONFIG, LIMITS) as radio:
        radio.configure(tx_gain_db=-30.25, rx_gain_db=20)
        assert (radio.config.tx_gain_db, radio.config.rx_gain_db, radio.status().epoch) == (-30.25, 20.0, 0)
        assert served.engine.settings(0).tx_attenuation_db == (30.25,)
        assert radio.configure(xo_correction_hz=40_000_400).xo_correction_hz == 40_000_400
        assert radio.status().epoch == 1


def test_a_receiver_never_has_its_transmitter_on(rng):
    with bench(1) as served:
        with open_pluto(served.uris[0], CONFIG, transmits=False) as radio:
            assert is_silent(served, 0)
            with pytest.raises(RadioError, match="opened with transmits=False"):
                radio.transmit(burst(rng), radio.now())
            radio.configure(center_hz=868e6)
            assert is_silent(served, 0)
        with open_pluto(served.uris[0], CONFIG, LIMITS, receives=False) as radio:
            assert not is_silent(served, 0)
            with pytest.raises(RadioError, match="opened with receives=False"):
                radio.receive(0, 10, 1.0)
        assert is_silent(served, 0)


def test_amplitudes_are_of_full_scale_on_both_sides():
    """+7 dBm at full scale, 40 dB of attenuation and 30 of the cable, 60 dB of gain, against 0 dBm: -3 dB."""
    cable = StreamAirConfig(noise_variance=0.0, cable=True)
    config = RadioConfig(sample_rate_hz=1e6, center_hz=915e6, tx_gain_db=-40.0, rx_gain_db=60.0)
    with (
        bench(1, cable) as served,
        open_pluto(served.uris[0], config, SafetyLimits(conducted=True, max_duty=1)) as radio,
    ):
        since = radio.latest()
        radio.transmit(np.full(50_000, 1.0, np.complex64), radio.now())
        heard = np.abs(radio.receive(since, TURN, SURELY_S))
        assert 20 * np.log10(np.median(heard[heard > 0.1])) == pytest.approx(-3.0, abs=0.2)
        radio.configure(rx_gain_db=71)
        at = radio.latest()
        radio.transmit(np.full(50_000, 1.0, np.complex64), radio.now())
        with pytest.raises(
            FullScaleError, match="reach the converter's full scale; lower rx_gain_db from 71"
        ):
            radio.receive(at, TURN, SURELY_S)


# Streams


def keep_busy(radio, other):
    """No thread of a radio gets on while another hears half a second: longer than virtual time has patience for."""
    with radio._board.timeline.changed:
        other.receive(other.now(), 500_000, SURELY_S)


def test_an_underflow_voids_its_bursts_and_begins_an_epoch(rng):
    with (
        bench(2, patience_s=0.5) as served,
        open_pluto(served.uris[1], CONFIG, transmits=False) as other,
        open_pluto(served.uris[0], CONFIG, LIMITS, receives=False) as radio,
    ):
        at = radio.now()
        radio.transmit(burst(rng), at + 400_000)
        keep_busy(radio, other)
        with pytest.raises(EpochError, match=r"ran dry \(underflow\) between samples"):
            radio.flush(at + 402_000, SURELY_S)
        with pytest.raises(EpochError):
            radio.transmit(burst(rng), at + 10**6)
        status = radio.status()
        assert status.underflows >= 1
        assert status.epoch >= 1
        sent = burst(rng)
        since, at = other.now(), radio.now()
        radio.transmit(sent, at)
        radio.flush(at + len(sent), SURELY_S)
        heard = other.receive(since, TURN, SURELY_S)
        assert np.count_nonzero(np.abs(heard) > 0.02) < 2 * len(sent)  # and of the void one nothing
        assert np.abs(heard).max() > 0.1


def test_an_overflow_begins_an_epoch_and_what_is_received_then_has_no_hole():
    ramp = (0.5 * np.exp(2j * np.pi * 0.01 * np.arange(2_000_000))).astype(np.complex64)
    with (
        bench(3, patience_s=0.5) as served,
        open_pluto(served.uris[2], CONFIG, transmits=False) as other,
        open_pluto(served.uris[1], CONFIG, LIMITS, receives=False) as sender,
        open_pluto(served.uris[0], CONFIG, transmits=False) as radio,
    ):
        old = radio.now()
        keep_busy(radio, other)
        with pytest.raises(EpochError, match=r"lost samples \(overflow\) after sample"):
            radio.receive(old + 10**6, 10, SURELY_S)
        assert radio.status().overflows >= 1
        sender.transmit(ramp, sender.now() + 500_000)
        heard = radio.receive(radio.now() + 1_200_000, 100_000, SURELY_S)
        turns = np.angle(heard[1:] * heard[:-1].conj()) / (2 * np.pi)
        np.testing.assert_allclose(turns, 0.01, atol=1e-3)


def test_flush_returns_when_the_burst_has_left(rng):
    with bench(1) as served, open_pluto(served.uris[0], CONFIG, LIMITS, receives=False) as radio:
        at = radio.now()
        radio.transmit(burst(rng), at + 1_000_000)
        with pytest.raises(TimeoutError, match=rf"before {at + 1_002_000} have not left within 0\.001 s"):
            radio.flush(at + 1_002_000, 0.001)
        radio.flush(at + 1_002_000, SURELY_S)
        assert served.engine.now_s > 1.0


def test_idle_radios_keep_to_the_wall_clock_and_waiting_ones_do_not():
    with (
        bench(2) as served,
        open_pluto(served.uris[0], CONFIG, transmits=False) as rx,
        open_pluto(served.uris[1], CONFIG, LIMITS, receives=False),
    ):
        rx.receive(rx.now(), 1000, SURELY_S)
        time.sleep(0.2)  # the kernel's blocks fill
        began_s, wall_s = served.engine.now_s, time.monotonic()
        time.sleep(1.0)
        wall_s, air_s = time.monotonic() - wall_s, served.engine.now_s - began_s
        assert air_s < 1.02 * wall_s + 0.15  # what a busy machine had to catch up with: the kernel's blocks
        began_s = served.engine.now_s
        rx.receive(rx.now(), 1_000_000, SURELY_S)
        assert served.engine.now_s - began_s >= 0.9


def test_two_channels_are_two_radios_on_one_clock(rng):
    model = PlutoModel(chip="ad9361")
    with bench(2, model=model) as served:
        receivers = open_ad9361(served.uris[1], (CONFIG, CONFIG), transmits=False)
        senders = open_ad9361(served.uris[0], (CONFIG, CONFIG), LIMITS, receives=False)
        with receivers[0], receivers[1], senders[0], senders[1]:
            sent = burst(rng), burst(rng)
            since, at = receivers[0].now(), senders[0].now()
            senders[0].transmit(sent[0], at)
            senders[1].transmit(sent[1], at + 100)
            heard = [radio.receive(since, TURN, SURELY_S) for radio in receivers]
            for own in heard:
                assert place_of(sent[1], own) - place_of(sent[0], own) == 100
            senders[0].configure(tx_gain_db=-20.0)
            assert [radio.config.tx_gain_db for radio in senders] == [-20.0, -10.0]
            senders[1].configure(center_hz=916e6)
            assert [radio.config.center_hz for radio in senders] == [pytest.approx(916e6, abs=8)] * 2
            senders[0].close()
            assert served.engine.settings(0).tx_attenuation_db == (89.75, 10.0)
            senders[1].transmit(sent[1], senders[1].now())
        assert served.engine.settings(0).tx_attenuation_db == (89.75, 89.75)


def test_an_edge_releases_the_bursts_of_all_radios_at_once(rng):
    with (
        bench(3, model=PlutoModel(tdd=True)) as served,
        open_pluto(served.uris[0], CONFIG, transmits=False) as rx,
        open_pluto(served.uris[1], CONFIG, LIMITS, receives=False, trigger="external") as one,
        open_pluto(served.uris[2], CONFIG, LIMITS, receives=False, trigger="external") as two,
    ):
        for epoch in range(2):
            sent = burst(rng), burst(rng)
            one.transmit(sent[0], one.now() + 50)
            two.transmit(sent[1], two.now() + 80)
            with pytest.raises(RadioError, match="is armed; configure\\(\\) begins the next"):
                one.transmit(sent[0], one.now() + 5000)
            since = rx.now()
            assert not rx.receive(since, 100_000, SURELY_S).any()  # they wait for the edge
            since = rx.now()
            served.pulse_trigger()
            heard = rx.receive(since, TURN, SURELY_S)
            assert place_of(sent[1], heard) - place_of(sent[0], heard) == 30
            for radio in (one, two):
                radio.configure()
                assert (radio.status().epoch, radio.now() // EPOCH_LEN) == (epoch + 1, epoch + 1)


def test_firmware_without_a_frame_engine_is_named():
    with (
        bench(1) as served,
        pytest.raises(RadioError, match=r"firmware \(v0\.32\) has no iio-axi-tdd-0.*0\.39"),
    ):
        open_pluto(served.uris[0], CONFIG, LIMITS, receives=False, trigger="external")


# Links


def test_nobody_there_and_nothing_installed_are_told_apart(monkeypatch):
    with pytest.raises(
        LinkError, match=r"no Pluto answers at ip:127\.0\.0\.1:9 .*iio_info -u ip:127\.0\.0\.1:9"
    ):
        open_pluto("ip:127.0.0.1:9", CONFIG, LIMITS)
    monkeypatch.setitem(sys.modules, "adi", None)
    with pytest.raises(
        RadioError, match=r"a Pluto needs pyadi-iio and libiio .*pip install 'airmeta\[radio\]'"
    ):
        connect("ip:127.0.0.1:9", 1, 1.0)


def test_a_second_program_at_a_radio_is_told_that_it_is_taken():
    with bench(1) as served, open_pluto(served.uris[0], CONFIG, transmits=False) as first:
        with pytest.raises(RadioError, match="refuses opening the receive buffer"):
            open_pluto(served.uris[0], CONFIG, transmits=False)
        assert len(first.receive(first.now(), 10, SURELY_S)) == 10


SERVER = """
import sys, time
from sim_backend.stream_air import StreamAirConfig
from sim_backend.virtual_bench import VirtualBench
with VirtualBench(1, StreamAirConfig(), first_host=sys.argv[1]) as bench:
    print(bench.uris[0], flush=True)
    time.sleep(600)
"""


@contextmanager
def bench_process(host):
    process = subprocess.Popen([sys.executable, "-c", SERVER, host], stdout=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_link_that_is_lost_is_an_error_in_time_and_configure_connects_anew(rng, capfd):
    host, timeout_s = first_host(), 2.0
    with bench_process(host) as (process, uri):
        radio = open_pluto(uri, CONFIG, LIMITS, timeout_s=timeout_s)
        at = radio.latest()
        process.kill()
        began_s = time.monotonic()
        with pytest.raises(LinkError, match="within 2 s"):
            radio.receive(at + 10**8, 10, SURELY_S)
        assert time.monotonic() - began_s < timeout_s
        for use in (radio.now, radio.status, lambda: radio.transmit(burst(rng), at)):
            with pytest.raises(LinkError, match="configure\\(\\) connects anew"):
                use()
        process.wait()
        with pytest.raises(RadioError, match="no Pluto answers"):
            radio.configure()
    with bench_process(host):
        assert radio.configure().center_hz == pytest.approx(915e6, abs=8)
        assert radio.now() // EPOCH_LEN == radio.status().epoch >= 1
        with pytest.raises(EpochError):
            radio.receive(at, 10, SURELY_S)
        assert len(radio.receive(radio.latest(), 10, SURELY_S)) == 10
        radio.close()


def test_a_radio_that_stops_answering_is_an_error_within_the_timeout():
    with bench_process(first_host()) as (process, uri):
        radio = open_pluto(uri, CONFIG, LIMITS, timeout_s=1.0)
        process.send_signal(signal.SIGSTOP)
        began_s = time.monotonic()
        with pytest.raises(LinkError, match="within 1 s"):
            radio.receive(radio.latest() + 10**8, 10, SURELY_S)
        assert time.monotonic() - began_s < 1.5
        process.send_signal(signal.SIGCONT)
        radio.close()


def test_nothing_is_left_of_radios_that_were_closed(rng):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    with bench(1) as served:

        def use():
            with open_pluto(served.uris[0], CONFIG, LIMITS) as radio:
                radio.transmit(burst(rng), radio.now())
                radio.receive(radio.latest(), 1000, SURELY_S)
                radio.configure(sample_rate_hz=2e6)

        use()
        time.sleep(0.2)  # the server's side
        before = descriptors(), threading.active_count()
        for _ in range(3):
            use()
        with (
            pytest.raises(RadioError),
            open_pluto(served.uris[0], CONFIG, LIMITS, trigger="external", receives=False),
        ):
            pass
        time.sleep(0.2)
        assert (descriptors(), threading.active_count()) == before


# Silence


def test_an_exception_leaves_a_silent_radio(rng):
    with bench(1) as served:

        def use():
            with open_pluto(served.uris[0], CONFIG, LIMITS) as radio:
                radio.transmit(burst(rng, 50_000), radio.now())
                assert not is_silent(served, 0)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            use()
        assert is_silent(served, 0)


def test_the_command_silences_radios_and_says_which_it_could_not(capsys):
    with bench(1) as served:
        link = connect(served.uris[0], 1, 5.0)
        link.set("tx_hardwaregain_chan0", -10.0)
        link.close()
        assert not is_silent(served, 0)
        assert silence_main([served.uris[0]]) == 0
        assert is_silent(served, 0)
        assert all(tone.scale == 0.0 for tone in served.engine.settings(0).dds)
        assert silence_main(["ip:127.0.0.1:9", served.uris[0]]) == 1
    said = capsys.readouterr()
    assert said.out == 2 * f"{served.uris[0]}: silent\n"
    assert "no Pluto answers at ip:127.0.0.1:9" in said.err


SENDER = """
import faulthandler, signal, sys, time
import numpy as np
from radio.interface import EpochError, LateError, RadioConfig
from radio.pluto import open_pluto
from radio.pluto_timeline import StreamShape
from radio.safety import SafetyLimits

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
faulthandler.dump_traceback_later(25.0)
config = RadioConfig(sample_rate_hz=1e6, center_hz=915e6, tx_gain_db=-10.0)
limits = SafetyLimits(allowed_bands_hz=((902e6, 928e6),), max_duty=1.0)
radio = open_pluto(sys.argv[1], config, limits, receives=False, shape=StreamShape(tx_blocks=40, lead_s=0.5))
tone = np.full(100_000, 0.5, np.complex64)

def send_for_ever():
    at = radio.now()
    print("ready", flush=True)
    while True:
        try:
            radio.transmit(tone, at)
            at += len(tone)
            while at > radio.now() + 500_000:
                time.sleep(0.01)
        except (EpochError, LateError):  # the machine is busy
            at = radio.now()

if sys.argv[2] == "with":
    with radio:
        send_for_ever()
send_for_ever()
"""


@pytest.mark.parametrize(
    ("how", "blow", "code"),
    [
        ("with", "SIGINT", -2),
        ("with", "SIGTERM", 143),
        ("with", "SIGINT SIGINT SIGINT", -2),
        ("bare", "SIGINT", -2),
        ("bare", "SIGTERM", 143),
        ("with", "SIGKILL", -9),
    ],
)
def test_a_signal_ends_the_transmission(how, blow, code):
    """In real time, listened to: silent one second after the signal, `with` or without."""
    shape = StreamShape(rx_blocks=64)
    with (
        bench(2, pace="real") as served,
        open_pluto(served.uris[1], CONFIG, transmits=False, shape=shape) as listener,
    ):
        words = [sys.executable, "-c", SENDER, served.uris[0], how]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sender:
            try:
                assert sender.stdout.readline() == "ready\n", sender.communicate()[1]
                until_s = time.monotonic() + SURELY_S
                while (
                    np.abs(patiently(lambda: listener.receive(listener.now(), 1000, SURELY_S))).mean() < 0.1
                ):
                    assert time.monotonic() < until_s
                for name in blow.split():  # somebody hits Ctrl-C again and again
                    sender.send_signal(getattr(signal, name))
                    time.sleep(0.02)
                time.sleep(1.0)
                assert not patiently(lambda: listener.receive(listener.now(), 10_000, SURELY_S)).any()
                complaint = sender.communicate(timeout=SURELY_S)[1]
            finally:
                sender.kill()
        assert sender.returncode == code
        assert "Segmentation" not in complaint
        if blow == "SIGKILL":
            assert not is_silent(served, 0)  # the carrier: no process is there to switch it off
            assert silence_main([served.uris[0]]) == 0
        assert is_silent(served, 0)
