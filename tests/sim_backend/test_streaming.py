import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from radio.impairments import Impairments
from radio.interface import RadioError
from radio.scenarios import SCENARIOS
from sim_backend import streaming
from sim_backend.station_settings import StationSettings
from sim_backend.stream_air import StreamAirConfig
from sim_backend.streaming import Engine, Flags
from sim_backend.timeline import Timeline
from tests.reference.waves import complex_of, frequency, level_db, tone, words

RATE_HZ = 1e6
BASE = StationSettings(
    sample_rate_hz=RATE_HZ,
    tx_lo_hz=915e6,
    rx_lo_hz=915e6,
    tx_attenuation_db=(7.0,),
    rx_gain_db=(0.0,),
    gain_mode=("manual",),
    tx_bandwidth_hz=RATE_HZ,
    rx_bandwidth_hz=RATE_HZ,
)
LOOPED = BASE.changed(digital_loopback=True)
QUIET = StreamAirConfig(noise_variance=0.0)
SURELY_S = 20.0


class FakeClock:
    """Wall time that a test moves."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def numbered(first, count):
    """Samples that tell their own index in 12 bits, wrapped."""
    index = (np.arange(first, first + count) % 2000 + 1).astype(np.int16)
    return np.stack([index << 4, -(index << 4)], axis=1)


@pytest.fixture
def engine():
    with Engine(QUIET, 2, LOOPED, patience_s=0.1) as engine:
        yield engine


# Kernel blocks


def test_blocks_written_come_back_in_order_without_a_gap():
    with (
        Engine(QUIET, 1, LOOPED, patience_s=SURELY_S) as engine,
        engine.open_tx(0, 500) as tx,
        engine.open_rx(0, 1000) as rx,
        ThreadPoolExecutor(1) as pool,
    ):
        tx.write(numbered(0, 500))  # from here on time waits for it
        fed = pool.submit(lambda: [tx.write(numbered(500 * i, 500), SURELY_S) for i in range(1, 40)])
        got = np.concatenate([rx.read(SURELY_S) for _ in range(15)])
        tx.close()
        rx.close()
        with pytest.raises(RadioError, match="closed"):
            fed.result()
    np.testing.assert_array_equal(got[:, 0], numbered(0, 15_000)[:, 0] >> 4)


def test_unread_blocks_are_stale_and_come_first(engine):
    """A receiver that nobody reads fills its blocks with what was on the air then."""
    with (
        engine.open_rx(0, 1000) as rx,
        engine.open_tx(0, 1000, cyclic=True) as tx,
        engine.open_rx(1, 4000) as other,
    ):
        other.read(SURELY_S)  # 4 blocks of silence for radio 0
        tx.write(np.full((1000, 2), 160, np.int16))
        blocks = [rx.read(SURELY_S) for _ in range(6)]
    assert not any(block.any() for block in blocks[:4])
    assert (blocks[5] == 10).all()


def test_a_partial_block_is_a_block(engine):
    with engine.open_tx(0, 1000, num_blocks=2) as tx:
        assert tx.write(numbered(0, 1500), SURELY_S) == 1500
        with pytest.raises(TimeoutError, match="no room"):
            tx.write(numbered(0, 1), 0.0)


def test_a_writer_waits_for_room_and_time_passes_for_it(engine):
    with engine.open_tx(0, 1000, num_blocks=4) as tx:
        assert tx.write(numbered(0, 4000), 0.0) == 4000
        assert engine.now_s == 0.0
        assert tx.write(numbered(0, 1000), SURELY_S) == 1000
        assert engine.now_s == pytest.approx(1000 / RATE_HZ, abs=1e-8)
        assert engine.flags(0) == Flags(False, False)


def test_a_cyclic_buffer_repeats_until_closed(engine):
    with engine.open_rx(0, 2500) as rx:
        with engine.open_tx(0, 1000, cyclic=True) as tx:
            tx.write(numbered(0, 1000))
            with pytest.raises(RadioError, match="cyclic buffer is on the air"):
                tx.write(numbered(0, 1000))
            first, second = rx.read(SURELY_S), rx.read(SURELY_S)
        np.testing.assert_array_equal(
            np.concatenate([first, second])[:, 0], np.tile(numbered(0, 1000)[:, 0] >> 4, 5)
        )
        rx.read(SURELY_S)
        assert not rx.read(SURELY_S).any()
    assert not engine.flags(0).underflow


def test_one_transmit_and_one_receive_stream_a_radio(engine):
    with engine.open_tx(0, 10), engine.open_rx(0, 10):
        with pytest.raises(RadioError, match="transmit stream is open"):
            engine.open_tx(0, 10)
        with pytest.raises(RadioError, match="receive stream is open"):
            engine.open_rx(0, 10)
        engine.open_rx(1, 10).close()
    engine.open_tx(0, 10).close()


# Pace "virtual"


def test_time_stands_still_while_nobody_waits(engine):
    with engine.open_rx(0, 1000), engine.open_tx(0, 1000) as tx:
        tx.write(numbered(0, 1000))
        engine.tick()
        assert engine.now_s == 0.0


def test_time_waits_for_a_transmitter_that_has_run_dry(engine):
    """A slow feeder, whose pauses are shorter than the patience: not a sample is missing."""
    with Engine(QUIET, 1, LOOPED, patience_s=SURELY_S) as patient:
        with patient.open_tx(0, 1000) as tx, patient.open_rx(0, 4000) as rx, ThreadPoolExecutor(1) as pool:
            tx.write(numbered(0, 1000))
            got = pool.submit(rx.read, SURELY_S)
            for part in range(1, 5):
                limit_s = time.monotonic() + SURELY_S
                while patient.now_s < part * 1000 / RATE_HZ - 1e-6 and time.monotonic() < limit_s:
                    patient.tick()
                assert patient.now_s == pytest.approx(part * 1000 / RATE_HZ, abs=1e-8)
                tx.write(numbered(1000 * part, 1000))
            np.testing.assert_array_equal(got.result(SURELY_S)[:, 0], numbered(0, 4000)[:, 0] >> 4)
        assert not patient.flags(0).underflow


def test_one_transmission_and_then_receptions_do_not_deadlock(engine):
    with engine.open_tx(0, 1000) as tx, engine.open_rx(0, 4000) as rx:
        tx.write(numbered(0, 1000))
        began_s = time.monotonic()
        got = rx.read(SURELY_S)
        assert time.monotonic() - began_s >= 0.1  # the patience
        np.testing.assert_array_equal(got[:1000, 0], numbered(0, 1000)[:, 0] >> 4)
        assert not got[1000:].any()
        assert engine.flags(0).underflow
        rx.read(SURELY_S)
        # Fed again, it is waited for again.
        engine.clear_flags(0)
        tx.write(numbered(0, 1000))
        assert not engine.flags(0).underflow


def test_a_transmitter_that_gave_up_costs_no_more_patience():
    with (
        Engine(QUIET, 1, LOOPED, patience_s=1.0) as engine,
        engine.open_tx(0, 1000) as tx,
        engine.open_rx(0, 1000) as rx,
    ):
        tx.write(numbered(0, 1000))
        for _ in range(3):
            rx.read(SURELY_S)
        began_s = time.monotonic()
        for _ in range(10):
            rx.read(SURELY_S)
        assert time.monotonic() - began_s < 1.0


def test_clients_that_only_transmit_are_never_stuck(engine):
    def feed(radio):
        with engine.open_tx(radio, 1000, num_blocks=2) as tx:
            return sum(tx.write(numbered(0, 1000), SURELY_S) for _ in range(50))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(feed, [0, 1])) == [50_000, 50_000]


def test_a_reader_that_does_not_read_holds_time_and_then_loses_samples(engine):
    with engine.open_rx(0, 1000, num_blocks=2) as lazy, engine.open_rx(1, 1000) as rx:
        rx.read(SURELY_S)
        began_s = time.monotonic()
        for _ in range(4):
            rx.read(SURELY_S)
        assert time.monotonic() - began_s >= 0.1
        assert engine.flags(0) == Flags(False, True)
        assert engine.flags(1) == Flags(False, False)
        lazy.read(SURELY_S)
        lazy.read(SURELY_S)


def test_a_reader_that_keeps_up_loses_nothing_at_any_rate(engine):
    """Two readers at different rates, one of them slow by wall time."""
    engine.configure(0, LOOPED.changed(sample_rate_hz=3e6))
    index = 0
    with engine.open_rx(0, 700) as fast, engine.open_rx(1, 1000) as slow, ThreadPoolExecutor(1) as pool:
        done = pool.submit(lambda: [slow.read(SURELY_S).shape for _ in range(20)])
        while not done.done():
            assert fast.read(SURELY_S).shape == (700, 2)
            index += 700
            assert index < 200_000
        assert done.result() == [(1000, 2)] * 20
    assert abs(index - 60_000) < 10 * 1000 * 3
    assert engine.flags(0) == engine.flags(1) == Flags(False, False)


def test_flags_stay_until_they_are_cleared_one_by_one(engine):
    with engine.open_tx(0, 100) as tx, engine.open_rx(0, 1000, num_blocks=1), engine.open_rx(1, 20_000) as rx:
        tx.write(numbered(0, 100))
        rx.read(SURELY_S)
        assert engine.flags(0) == Flags(True, True)
    assert engine.flags(0) == Flags(True, True)
    engine.clear_flags(0, Flags(True, False))
    assert engine.flags(0) == Flags(False, True)
    engine.clear_flags(0)
    assert engine.flags(0) == Flags(False, False)


def test_the_same_operations_give_the_same_samples():
    def received():
        config = StreamAirConfig(seed=4, impairments=SCENARIOS["harsh"], noise_variance=1e-4)
        got = []
        with (
            Engine(config, 3, BASE.changed(rx_gain_db=(-3.0,)), patience_s=0.05) as engine,
            engine.open_tx(0, 1000, cyclic=True) as one,
            engine.open_tx(1, 3000) as two,
            engine.open_rx(2, 2048) as rx,
        ):
            one.write(tone(0.01, 1000, 0.5))
            two.write(tone(0.02, 3000, 0.5))
            got += [rx.read(SURELY_S), rx.read(SURELY_S)]
            engine.configure(0, BASE.changed(tx_lo_epoch=1, tx_attenuation_db=(10.0,)))
            engine.configure(2, BASE.changed(gain_mode=("fast_attack",)))
            two.write(tone(0.03, 3000, 0.5))
            got += [rx.read(SURELY_S), rx.read(SURELY_S)]
        return np.concatenate(got)

    first = received()
    assert np.abs(first).max() > 100
    np.testing.assert_array_equal(first, received())


# Pace "real"


def real(clock, settings=LOOPED, num_radios=1):
    return Engine(QUIET, num_radios, settings, pace="real", clock=clock)


def test_the_wall_clock_drives():
    clock = FakeClock()
    with real(clock) as engine, engine.open_rx(0, 1000) as rx:
        with pytest.raises(TimeoutError, match="a block of virtual radio 0"):
            rx.read(0.05)
        clock.now_s += 2.0e-3 + 1e-5  # a block and the lag
        engine.tick()
        assert rx.read(SURELY_S).shape == (1000, 2)
        assert engine.now_s == pytest.approx(2.01e-3)
        assert engine.flags(0) == Flags(False, False)


def test_late_feeding_underflows():
    clock = FakeClock()
    with real(clock) as engine, engine.open_tx(0, 1000) as tx, engine.open_rx(0, 1000, num_blocks=8) as rx:
        tx.write(numbered(0, 1000))
        clock.now_s += 0.9e-3
        tx.write(numbered(1000, 1000))
        assert not engine.flags(0).underflow
        clock.now_s += 2.1e-3
        engine.tick()
        assert engine.flags(0) == Flags(True, False)
        tx.write(numbered(2000, 1000))  # leaves from 3 ms on
        clock.now_s += 3e-3
        engine.tick()
        got = np.concatenate([rx.read(SURELY_S) for _ in range(4)])
    np.testing.assert_array_equal(got[:2000, 0], numbered(0, 2000)[:, 0] >> 4)
    assert not got[2000:2999].any()
    np.testing.assert_array_equal(got[3001:4000, 0], (numbered(2000, 1000)[:, 0] >> 4)[:999])


def test_slow_reading_overflows_and_keeps_the_oldest():
    clock = FakeClock()
    with real(clock) as engine, engine.open_tx(0, 2000, cyclic=True) as tx, engine.open_rx(0, 1000) as rx:
        tx.write(numbered(0, 2000))
        clock.now_s += 4.5e-3
        engine.tick()
        assert not engine.flags(0).overflow
        clock.now_s += 10e-3
        engine.tick()
        assert engine.flags(0) == Flags(False, True)
        got = np.concatenate([rx.read(SURELY_S) for _ in range(4)])
        with pytest.raises(TimeoutError):
            rx.read(0.02)
    np.testing.assert_array_equal(got[:, 0], np.tile(numbered(0, 2000)[:, 0] >> 4, 2))


def test_a_writer_gets_room_when_the_wall_clock_has_passed_a_block():
    clock = FakeClock()
    with real(clock) as engine, engine.open_tx(0, 1000, num_blocks=1) as tx:
        tx.write(numbered(0, 1000))
        with pytest.raises(TimeoutError):
            tx.write(numbered(0, 1000), 0.05)
        clock.now_s += 1.1e-3
        assert tx.write(numbered(0, 1000), 0.05) == 1000


def test_streams_by_the_true_wall_clock():
    """A fifth of a second of samples takes no less than that; queues of two seconds forgive a machine at work."""
    with (
        Engine(QUIET, 1, LOOPED, pace="real") as engine,
        engine.open_tx(0, 10_000, num_blocks=200) as tx,
        ThreadPoolExecutor(1) as pool,
    ):
        tx.write(numbered(0, 2_000_000), SURELY_S)
        with engine.open_rx(0, 10_000, num_blocks=200) as rx:
            fed = pool.submit(tx.write, numbered(0, 200_000), SURELY_S)
            began_s = time.monotonic()
            got = np.concatenate([rx.read(SURELY_S) for _ in range(20)])
            took_s = time.monotonic() - began_s
            assert engine.flags(0) == Flags(False, False)
            fed.result(SURELY_S)
    assert took_s >= 0.19
    assert set(np.diff(got[:, 0].astype(int))) <= {1, -1999}


def test_what_cannot_keep_up_is_said_once(monkeypatch, caplog):
    clock = FakeClock()
    with real(clock, BASE) as engine:
        receive, jumps_s = engine._air.receive, [10.0, 10.0]  # wall time that computing takes

        def slow(*arguments):
            clock.now_s += jumps_s.pop() if jumps_s else 0.0
            return receive(*arguments)

        monkeypatch.setattr(engine._air, "receive", slow)
        with caplog.at_level(logging.WARNING, logger=streaming.__name__), engine.open_rx(0, 1000) as rx:
            clock.now_s += 2.5e-3
            engine.tick()
            rx.read(SURELY_S)
            assert engine.flags(0).overflow
            assert not jumps_s
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert "cannot keep up: a second takes" in messages[0]


# Life and death


def test_closing_an_engine_ends_who_waits():
    with Engine(QUIET, 2, LOOPED, patience_s=SURELY_S) as engine:
        tx, rx = engine.open_tx(1, 1000), engine.open_rx(0, 1000)
        tx.write(numbered(0, 10))  # holds time
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(rx.read, SURELY_S)
            while not engine._stations[0].rx.readers:
                engine.tick()
            engine.close()
            with pytest.raises(RadioError, match="simulated air is closed"):
                waiting.result(SURELY_S)
        rx.close()
        tx.close()
    assert not any(thread.name == "air" for thread in threading.enumerate())


def test_closing_a_stream_ends_who_waits_for_it():
    with Engine(QUIET, 2, LOOPED, patience_s=SURELY_S) as engine:
        tx, rx = engine.open_tx(1, 1000), engine.open_rx(0, 1000)
        tx.write(numbered(0, 10))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(rx.read, SURELY_S)
            while not engine._stations[0].rx.readers:
                engine.tick()
            rx.close()
            with pytest.raises(RadioError, match="receive stream is closed"):
                waiting.result(SURELY_S)


def test_a_failure_of_the_air_reaches_who_waits(monkeypatch, caplog):
    with Engine(QUIET, 1, BASE) as engine:
        monkeypatch.setattr(engine._air, "receive", lambda *a: 1 / 0)
        with engine.open_rx(0, 1000) as rx, pytest.raises(RadioError, match="air failed: division by zero"):
            rx.read(SURELY_S)
        with pytest.raises(RadioError, match="air failed"):
            engine.open_tx(0, 10)


def test_idle_radios_sleep(monkeypatch):
    looks = []
    move = Timeline.move
    monkeypatch.setattr(Timeline, "move", lambda timeline: looks.append(1) or move(timeline))
    with Engine(QUIET, 9, BASE, pace="real") as engine:
        engine.tick()
        looks.clear()
        time.sleep(0.3)
        assert len(looks) <= 1


def test_a_receiver_opened_late_hears_from_then_on():
    with Engine(QUIET, 2, BASE) as engine, engine.open_tx(0, 1000, cyclic=True) as tx:
        tx.write(tone(0.1, 1000, 0.5))
        with engine.open_rx(0, 50_000) as rx:
            for _ in range(5):
                rx.read(SURELY_S)
        with engine.open_rx(1, 4096) as rx:
            got = complex_of(rx.read(SURELY_S))
    assert level_db(got) == pytest.approx(-6.02, abs=0.02)
    assert frequency(got) == pytest.approx(0.1, abs=1e-6)


def test_rates_may_change_under_an_open_stream():
    with (
        Engine(QUIET, 2, BASE) as engine,
        engine.open_tx(0, 1000, cyclic=True) as tx,
        engine.open_rx(1, 4096) as rx,
    ):
        tx.write(words(np.exp(2j * np.pi * 0.1 * np.arange(1000))))
        rx.read(SURELY_S)
        engine.configure(1, BASE.changed(sample_rate_hz=2e6, rx_bandwidth_hz=2e6))
        rx.read(SURELY_S)
        got = complex_of(rx.read(SURELY_S))
    assert frequency(got) == pytest.approx(0.05, abs=1e-6)


def test_bad_arguments(engine):
    with pytest.raises(RadioError, match="there is no virtual radio 2; there are 2"):
        engine.open_rx(2, 10)
    with pytest.raises(ValueError, match="block_len and num_blocks must be at least 1, got 0 and 4"):
        engine.open_rx(0, 0)
    with (
        engine.open_tx(0, 10) as tx,
        pytest.raises(ValueError, match=r"int16 of shape \(num_samples, 2\), got"),
    ):
        tx.write(np.zeros((10, 2)))
    with (
        engine.open_tx(0, 10, cyclic=True) as tx,
        pytest.raises(ValueError, match="cyclic buffer of 10 samples"),
    ):
        tx.write(numbered(0, 11))
    with pytest.raises(ValueError, match='pace must be "virtual" or "real"'):
        Engine(QUIET, 1, pace="fast")
    with pytest.raises(ValueError, match="num_radios must be at least 1"):
        Engine(QUIET, 0)
    with pytest.raises(ValueError, match="num_channels must be 1 or 2"):
        StreamAirConfig(num_channels=3, impairments=Impairments())
