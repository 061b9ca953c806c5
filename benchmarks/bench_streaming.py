"""Virtual radios: seconds of air that a second of two cores computes, and what idle radios cost."""

import threading
import time

import numpy as np
import pytest

from radio.scenarios import SCENARIOS
from sim_backend.station_settings import StationSettings
from sim_backend.stream_air import StreamAirConfig
from sim_backend.streaming import Engine
from sim_backend.virtual_bench import VirtualBench
from tests.reference.benches import first_host, plutos

NUM_SENDERS, RATE_HZ, BLOCK_LEN = 8, 1e6, 1 << 14
SETTINGS = StationSettings(
    sample_rate_hz=RATE_HZ,
    tx_lo_hz=915e6,
    rx_lo_hz=915e6,
    tx_attenuation_db=(20.0,),
    tx_bandwidth_hz=RATE_HZ,
    rx_bandwidth_hz=RATE_HZ,
)
AIR_S, DEADLINE_S = 3.0, 60.0


@pytest.mark.parametrize("name", ["identity", "bench", "free"])
def test_eight_radios_transmit_and_one_receives(name):
    rng = np.random.default_rng(0)
    words = rng.integers(-16000, 16000, (4 * BLOCK_LEN, 2)).astype(np.int16)
    ended = threading.Event()
    all_feed = threading.Barrier(NUM_SENDERS + 1)

    def feed(engine, radio):
        with engine.open_tx(radio, BLOCK_LEN) as tx:
            tx.write(words, DEADLINE_S)
            all_feed.wait(DEADLINE_S)
            while not ended.is_set():
                tx.write(words, DEADLINE_S)

    num_blocks = round(AIR_S * RATE_HZ / BLOCK_LEN)
    config = StreamAirConfig(impairments=SCENARIOS[name])
    with Engine(config, NUM_SENDERS + 1, SETTINGS, patience_s=DEADLINE_S) as engine:
        feeders = [
            threading.Thread(target=feed, args=(engine, radio), daemon=True) for radio in range(NUM_SENDERS)
        ]
        for feeder in feeders:
            feeder.start()
        all_feed.wait(DEADLINE_S)
        with engine.open_rx(NUM_SENDERS, BLOCK_LEN) as rx:
            rx.read(DEADLINE_S)
            wall_s, cpu_s, air_s = time.perf_counter(), time.process_time(), engine.now_s
            for _ in range(num_blocks):
                block = rx.read(DEADLINE_S)
            wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
            air_s = engine.now_s - air_s
            ended.set()  # they stop when they get room
            for _ in range(8):
                rx.read(DEADLINE_S)
        for feeder in feeders:
            feeder.join(DEADLINE_S)
        missing = [radio for radio in range(NUM_SENDERS) if engine.flags(radio).underflow]
    assert block.any()
    print(
        f"\n{NUM_SENDERS} radios to one over {name}: {air_s / wall_s:.2f} s of air a second, target at least 1"
    )
    print(f"  {cpu_s / air_s:.2f} s of CPU a second of air")
    cost_ns = 1e9 * cpu_s / (air_s * RATE_HZ * NUM_SENDERS)
    print(f"  {cpu_s / wall_s:.2f} cores busy, {cost_ns:.0f} ns a sample and radio")
    print(f"  underflows: {missing or 'none'}")


def test_nine_virtual_plutos_through_pyadi():
    """Clients included, which share the process."""
    samples = np.random.default_rng(0).integers(-16000, 16000, (1 << 16, 2)) @ np.array([1, 1j])
    ended, all_feed = threading.Event(), threading.Barrier(NUM_SENDERS + 1)

    def feed(sender):
        sender.tx(samples)
        all_feed.wait(DEADLINE_S)
        while not ended.is_set():
            sender.tx(samples)
        sender.tx_destroy_buffer()

    air = StreamAirConfig(impairments=SCENARIOS["bench"])
    with (
        VirtualBench(NUM_SENDERS + 1, air, patience_s=DEADLINE_S, first_host=first_host()) as served,
        plutos(served.uris, rx_buffer_size=len(samples)) as radios,
    ):
        feeders = [threading.Thread(target=feed, args=(radio,)) for radio in radios[:NUM_SENDERS]]
        for feeder in feeders:
            feeder.start()
        all_feed.wait(DEADLINE_S)
        radios[-1].rx()
        wall_s, cpu_s, air_s = time.perf_counter(), time.process_time(), served.engine.now_s
        for _ in range(round(AIR_S * RATE_HZ / len(samples))):
            radios[-1].rx()
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        air_s = served.engine.now_s - air_s
        ended.set()
        for _ in range(8):
            radios[-1].rx()
        for feeder in feeders:
            feeder.join(DEADLINE_S)
        missing = [radio for radio in range(NUM_SENDERS) if served.engine.flags(radio).underflow]
    print(f"\nnine virtual Plutos over bench: {air_s / wall_s:.2f} s of air a second, target at least 1")
    print(f"  {cpu_s / air_s:.2f} s of CPU a second of air; underflows: {missing or 'none'}")


def test_nine_idle_radios():
    air = StreamAirConfig(impairments=SCENARIOS["bench"])
    with VirtualBench(9, air, pace="real", first_host=first_host()):
        time.sleep(0.2)
        cpu_s = time.process_time()
        time.sleep(5.0)
        print(
            f"\nnine idle virtual Plutos: {1e3 * (time.process_time() - cpu_s) / 5.0:.3f} ms of CPU a second"
        )
