"""Settings and buffers of a virtual Pluto on the simulated air, as its attributes give them; no network."""

import errno
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sim_backend.iiod_target import Place
from sim_backend.pluto_context import PHY_ID, RX_ID, TX_ID, PlutoModel
from sim_backend.pluto_station import StationEngine, stream_taps
from sim_backend.stream_air import StreamAirConfig
from sim_backend.streaming import Engine
from sim_backend.virtual_pluto import VirtualPluto
from tests.reference.waves import complex_of, frequency, level_db, tone

QUIET = StreamAirConfig(noise_variance=0.0)
SURELY_S = 20.0
LOWPASS = "RX 3 GAIN {} DEC 4\nTX 3 GAIN {} INT 4\n"


class Bench:
    """Virtual Plutos; 0 sends, 1 receives."""

    def __init__(self, air=QUIET, model=PlutoModel(chip="ad9364"), patience_s=0.05, num_radios=2):  # noqa: B008 - a constant
        self.engine = Engine(air, num_radios, patience_s=patience_s)
        self.stations = [StationEngine(self.engine, radio, seed=air.seed) for radio in range(num_radios)]
        self.plutos = [VirtualPluto(station, model) for station in self.stations]
        for radio in range(num_radios):
            self.set(radio, "input", "voltage0", "sampling_frequency", 4_000_000)
            self.set(radio, "input", "voltage0", "gain_control_mode", "manual")
            self.set(radio, "input", "voltage0", "hardwaregain", 10)
            self.set(radio, "output", "voltage0", "hardwaregain", -20)
            self.set(radio, "output", "altvoltage0", "frequency", 2_400_000_000)
            self.set(radio, "output", "altvoltage1", "frequency", 2_400_000_000)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.engine.close()

    def set(self, radio, kind, channel, attribute, value, device=PHY_ID):
        self.plutos[radio].write(Place(device, kind, channel), attribute, str(value))

    def hear(self, num_samples=8192, skip=4096, radio=1):
        """(num_samples,) received by a radio."""
        buffer = self.plutos[radio].open_buffer(RX_ID, num_samples + skip, 0b11, False)
        words = np.frombuffer(buffer.read(4 * (num_samples + skip), SURELY_S), "<i2").reshape(-1, 2)
        buffer.close()
        return complex_of(words)[skip:]

    def send(self, samples):
        """Repeated by the first one until the buffer, which is returned, is closed."""
        buffer = self.plutos[0].open_buffer(TX_ID, len(samples), 0b11, True)
        buffer.write(bytearray(samples.tobytes()), SURELY_S)
        return buffer


@pytest.fixture
def bench():
    with Bench() as bench:
        yield bench


EXPECTED_DB = 7 - 20 + 10  # of a tone at full scale


def test_attenuation_and_gain_act(bench):
    bench.send(tone(0.1, 1000))
    levels = [level_db(bench.hear())]
    bench.set(0, "output", "voltage0", "hardwaregain", -31.75)
    levels.append(level_db(bench.hear()))
    bench.set(1, "input", "voltage0", "hardwaregain", 19)
    levels.append(level_db(bench.hear()))
    np.testing.assert_allclose(levels, [EXPECTED_DB, EXPECTED_DB - 11.75, EXPECTED_DB - 2.75], atol=0.05)


@pytest.mark.parametrize(
    ("radio", "kind", "channel", "attribute", "value", "back"),
    [
        (0, "output", "altvoltage1", "powerdown", 1, 0),
        (1, "output", "altvoltage0", "powerdown", 1, 0),
        (0, "device", "", "ensm_mode", "alert", "fdd"),
        (1, "device", "", "ensm_mode", "sleep", "fdd"),
        (0, "output", "voltage0", "rf_port_select", "B", "A"),
        (1, "input", "voltage0", "rf_port_select", "B_BALANCED", "A_BALANCED"),
        (0, "output", "altvoltage1", "frequency", 2_500_000_000, 2_400_000_000),
        (1, "output", "altvoltage0", "frequency", 2_500_000_000, 2_400_000_000),
    ],
)
def test_what_cuts_the_signal_off_and_lets_it_pass_again(bench, radio, kind, channel, attribute, value, back):
    bench.send(tone(0.1, 1000))
    bench.set(radio, kind, channel, attribute, value)
    assert not bench.hear().any()
    bench.set(radio, kind, channel, attribute, back)
    assert level_db(bench.hear()) == pytest.approx(EXPECTED_DB, abs=0.05)


def test_with_the_oscillator_down_the_receivers_own_noise_is_left():
    with Bench(StreamAirConfig(noise_variance=1e-6)) as bench:
        bench.send(tone(0.1, 1000))
        bench.set(1, "output", "altvoltage0", "powerdown", 1)
        bench.set(1, "input", "voltage0", "hardwaregain", 40)
        assert level_db(bench.hear()) == pytest.approx(7 - 60 + 40, abs=0.2)
        bench.set(1, "device", "", "ensm_mode", "alert")
        assert not bench.hear().any()


def test_bandwidths_cut_what_lies_beyond(bench):
    bench.send(tone(0.3, 1000))  # 1.2 MHz
    for radio, kind in ((0, "output"), (1, "input")):
        bench.set(radio, kind, "voltage0", "rf_bandwidth", 1_000_000)
        assert level_db(bench.hear() + 1e-9) < EXPECTED_DB - 60
        bench.set(radio, kind, "voltage0", "rf_bandwidth", 4_000_000)
        assert level_db(bench.hear()) == pytest.approx(EXPECTED_DB, abs=0.05)


def test_a_retune_turns_the_phase_and_a_correction_does_not(bench):
    bench.send(tone(0.0, 1000))
    phases = [np.angle(bench.hear().mean())]
    bench.set(0, "device", "", "xo_correction", 40_000_004)
    phases.append(np.angle(bench.hear().mean()))
    bench.set(0, "output", "altvoltage1", "frequency", 2_400_000_000)
    turned = bench.hear()
    assert phases[1] == pytest.approx(phases[0], abs=1e-3)
    # 0.1 ppm of 2.4 GHz at 4 Msamples/s, where a step of the word is 4.8 Hz
    assert frequency(turned) == pytest.approx(-240 / 4e6, abs=3 / 4e6)
    bench.set(0, "device", "", "xo_correction", 40_000_000)
    bench.set(0, "output", "altvoltage1", "frequency", 2_400_000_000)
    assert abs(np.exp(1j * np.angle(bench.hear().mean())) - np.exp(1j * phases[0])) > 0.05


def test_the_fpga_decimates_and_interpolates_by_eight(bench):
    bench.send(tone(0.01, 1000))
    bench.set(1, "input", "voltage0", "sampling_frequency", 500_000, RX_ID)
    assert frequency(bench.hear()) == pytest.approx(0.08, abs=1e-6)
    bench.set(0, "output", "voltage0", "sampling_frequency", 500_000, TX_ID)
    got = bench.hear()
    assert frequency(got) == pytest.approx(0.01, abs=1e-6)
    assert level_db(got) == pytest.approx(EXPECTED_DB, abs=0.1)


def test_tones_of_the_generators_sound_while_no_buffer_is_open(bench):
    def generate(scale):
        for number, phase in ((0, 90_000), (2, 0)):  # I a quarter ahead of Q
            for attribute, value in (("frequency", 400_000), ("phase", phase), ("scale", scale), ("raw", 1)):
                bench.set(0, "output", f"altvoltage{number}", attribute, value, TX_ID)

    generate(0.5)
    got = bench.hear()
    assert frequency(got) == pytest.approx(0.1, abs=2 / 65536)  # words are odd
    assert level_db(got) == pytest.approx(EXPECTED_DB - 6.02, abs=0.05)
    bench.set(0, "output", "voltage0", "sampling_frequency", 500_000, TX_ID)  # the generators do not see it
    assert frequency(bench.hear()) == pytest.approx(0.1, abs=2 / 65536)  # words are odd
    buffer = bench.send(np.zeros((100, 2), np.int16))
    assert not bench.hear().any()
    buffer.close()
    assert level_db(bench.hear()) == pytest.approx(EXPECTED_DB - 6.02, abs=0.05)
    for number in (0, 2):
        bench.set(0, "output", f"altvoltage{number}", "raw", 0, TX_ID)
    assert not bench.hear().any()


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_response_of_the_programmable_filters_within_the_streams_band(factor):
    centre = np.arange(128) - 63.5
    taps = np.rint(
        4000 * np.sinc(centre * 0.7 / factor) * np.kaiser(128, 8.0)
    )  # nothing beyond the streams' band
    found = np.array(stream_taps(tuple(map(int, taps)), 2.0**15, -6, factor))
    steps = np.arange(len(found)) - len(found) // 2
    for cycles in (0.0, 0.1, 0.2, -0.3):  # a sample of the streams
        expected = np.sum(taps * np.exp(-2j * np.pi * cycles / factor * centre)) / 2**15 * 10 ** (-6 / 20)
        got = np.sum(found * np.exp(-2j * np.pi * cycles * steps))
        assert got == pytest.approx(expected, abs=2e-3 * abs(taps.sum()) / 2**15)


def test_an_enabled_filter_acts(bench):
    """Taps that pass 0 Hz unchanged at -6 dB and 0 dB, as pyadi-iio loads them; cut at a quarter of the rate."""
    steps = np.arange(64) - 31.5
    shape = np.sinc(steps / 8) * np.kaiser(64, 8.0)
    taps = "".join(f"{tap},{tap}\n" for tap in np.rint(shape / shape.sum() * 65536).astype(int))
    for radio in range(2):
        bench.set(radio, "device", "", "filter_fir_config", LOWPASS.format(-6, 0) + taps)
    for cycles, passed_db in ((0.1, 0.0), (0.45, -60.0)):
        buffer = bench.send(tone(cycles, 1000))
        plain_db = level_db(bench.hear())
        assert plain_db == pytest.approx(EXPECTED_DB, abs=0.1)
        for radio, kind in ((0, "output"), (1, "input")):
            bench.set(radio, kind, "voltage0", "filter_fir_en", 1)
            bench.set(radio, "input", "voltage0", "sampling_frequency", 4_000_000)
            if passed_db == 0.0:
                assert level_db(bench.hear()) == pytest.approx(plain_db, abs=0.3)
            else:
                assert level_db(bench.hear() + 1e-9) < plain_db + passed_db
            bench.set(radio, kind, "voltage0", "filter_fir_en", 0)
        buffer.close()
    bench.set(0, "device", "", "filter_fir_config", LOWPASS.format(-6, -6) + taps)
    bench.set(0, "output", "voltage0", "filter_fir_en", 1)
    bench.send(tone(0.1, 1000))
    assert level_db(bench.hear()) == pytest.approx(EXPECTED_DB - 6.0, abs=0.3)


def test_channels_have_gains_of_their_own():
    with Bench(
        model=PlutoModel(chip="ad9361"), air=StreamAirConfig(num_channels=2, noise_variance=0.0)
    ) as bench:
        bench.set(0, "output", "voltage1", "hardwaregain", -89.75)
        bench.set(1, "input", "voltage1", "gain_control_mode", "manual")
        bench.set(1, "input", "voltage1", "hardwaregain", 4)
        buffer = bench.plutos[0].open_buffer(TX_ID, 1000, 0b0011, True)
        buffer.write(bytearray(tone(0.1, 1000).tobytes()), SURELY_S)
        receiver = bench.plutos[1].open_buffer(RX_ID, 8192, 0b1111, False)
        got = np.frombuffer(receiver.read(8 * 8192, SURELY_S), "<i2").reshape(-1, 4)[4096:]
        receiver.close()
    assert level_db(complex_of(got[:, :2])) == pytest.approx(EXPECTED_DB, abs=0.1)
    assert level_db(complex_of(got[:, 2:])) == pytest.approx(EXPECTED_DB - 6.0, abs=0.1)


@pytest.mark.parametrize(("sent", "taken"), [(0b11, 0b01), (0b11, 0b10), (0b01, 0b11), (0b10, 0b11)])
def test_scan_elements_are_taken_and_given_in_order(bench, sent, taken):
    bench.set(0, "debug", "", "loopback", 1)
    pluto, pattern = bench.plutos[0], np.arange(1000, dtype="<i2").reshape(500, 2)
    tx_elements = [place for place in range(2) if sent >> place & 1]
    rx_elements = [place for place in range(2) if taken >> place & 1]
    sender, receiver = (
        pluto.open_buffer(TX_ID, 500, sent, True),
        pluto.open_buffer(RX_ID, 500, taken, False),
    )
    given = np.zeros_like(pattern)
    given[:, tx_elements] = pattern[:, tx_elements] << 4
    sender.write(bytearray(np.ascontiguousarray(given[:, tx_elements]).tobytes()), SURELY_S)
    got = np.frombuffer(receiver.read(2 * 500 * len(rx_elements), SURELY_S), "<i2").reshape(500, -1)
    np.testing.assert_array_equal(got, given[:, rx_elements] >> 4)


def test_loopback_with_both_rates_changed(bench):
    bench.set(0, "debug", "", "loopback", 1)
    bench.set(0, "output", "voltage0", "sampling_frequency", 500_000, TX_ID)
    pluto = bench.plutos[0]
    sender, receiver = pluto.open_buffer(TX_ID, 100, 3, True), pluto.open_buffer(RX_ID, 800, 3, False)
    ramp = np.arange(200, dtype="<i2").reshape(100, 2)
    sender.write(bytearray((ramp << 4).tobytes()), SURELY_S)
    got = np.frombuffer(receiver.read(4 * 800, SURELY_S), "<i2").reshape(-1, 2)
    np.testing.assert_array_equal(got, np.repeat(ramp, 8, axis=0))


def test_the_fpga_sends_what_is_received_in_place_of_the_streams():
    """From radio 0 to 1, which sends it on at another carrier, to 2: two ways of 7 - 20 + 10 dB."""
    with Bench(num_radios=3) as bench:
        bench.set(1, "output", "altvoltage1", "frequency", 2_450_000_000)
        bench.set(2, "output", "altvoltage0", "frequency", 2_450_000_000)
        bench.send(tone(0.1, 1000))
        unheard = bench.plutos[1].open_buffer(TX_ID, 1000, 0b11, True)
        unheard.write(bytearray(tone(0.3, 1000).tobytes()), SURELY_S)
        bench.set(1, "debug", "", "loopback", 2)
        bench.hear(1 << 18, radio=2)  # some steps of the air, and the way through the loop
        got = bench.hear(1 << 18, radio=2)
        assert frequency(got) == pytest.approx(0.1, abs=1e-6)
        assert level_db(got) == pytest.approx(2 * EXPECTED_DB, abs=0.1)
        assert level_db(bench.hear(1 << 18, skip=1 << 18)) == pytest.approx(
            EXPECTED_DB, abs=0.1
        )  # its own receiver
        with pytest.raises(OSError, match="set both to 1") as caught:
            bench.set(1, "input", "voltage0", "sampling_frequency", 500_000, RX_ID)
        assert caught.value.errno == errno.EINVAL


# Buffers


def test_a_block_is_read_in_pieces_and_nothing_is_lost_after_a_timeout():
    ramp = np.arange(4000, dtype="<i2").reshape(2000, 2) % 2000 << 4
    with Bench(patience_s=SURELY_S) as bench:
        bench.set(0, "debug", "", "loopback", 1)
        pluto = bench.plutos[0]
        pluto.set_buffers_count(TX_ID, 16)
        sender, receiver = pluto.open_buffer(TX_ID, 1000, 3, False), pluto.open_buffer(RX_ID, 2000, 3, False)
        sender.write(bytearray(ramp[:1000].tobytes()), SURELY_S)
        with pytest.raises(TimeoutError):  # time waits for the transmitter
            receiver.read(8000, 0.05)
        sender.write(bytearray(ramp[1000:].tobytes()), SURELY_S)
        for _ in range(6):  # receivers lag behind
            sender.write(bytearray(4000), SURELY_S)
        parts = [bytes(receiver.read(3000, SURELY_S)) for _ in range(3)]
    assert [len(part) for part in parts] == [3000, 3000, 2000]
    np.testing.assert_array_equal(np.frombuffer(b"".join(parts), "<i2").reshape(-1, 2), ramp >> 4)


def test_a_write_that_times_out_has_taken_nothing():
    with Bench(patience_s=SURELY_S) as bench:
        pluto = bench.plutos[0]
        bench.set(0, "debug", "", "loopback", 1)
        pluto.set_buffers_count(TX_ID, 2)
        receiver = pluto.open_buffer(RX_ID, 3000, 3, False)
        held = bench.plutos[1].open_buffer(TX_ID, 10, 3, False)
        held.write(bytearray(40), SURELY_S)  # of the other radio, which holds time as soon as it has run dry
        sender = pluto.open_buffer(TX_ID, 1000, 3, False)
        for value in (1, 2):
            sender.write(bytearray(np.full((1000, 2), 16 * value, "<i2").tobytes()), SURELY_S)
        third = bytearray(np.full((1000, 2), 16 * 3, "<i2").tobytes())
        with pytest.raises(TimeoutError):
            sender.write(third, 0.05)
        held.close()
        for block in (third, *(bytearray(4000) for _ in range(6))):
            sender.write(block, SURELY_S)
        got = np.frombuffer(receiver.read(12_000, SURELY_S), "<i2").reshape(-1, 2)
    np.testing.assert_array_equal(got, np.repeat([[1, 1], [2, 2], [3, 3]], 1000, axis=0))


def test_closing_ends_who_waits_at_once():
    with Bench(patience_s=SURELY_S) as bench, ThreadPoolExecutor(2) as pool:
        held = bench.plutos[1].open_buffer(TX_ID, 10, 3, False)
        held.write(bytearray(40), SURELY_S)
        receiver = bench.plutos[0].open_buffer(RX_ID, 1000, 3, False)
        sender = bench.plutos[0].open_buffer(TX_ID, 1000, 3, False)
        waiting = [pool.submit(receiver.read, 4000, SURELY_S)]
        waiting.append(pool.submit(lambda: [sender.write(bytearray(4000), SURELY_S) for _ in range(9)]))
        began_s = time.monotonic()
        time.sleep(0.05)
        receiver.close()
        sender.close()
        for done in waiting:
            with pytest.raises(OSError, match="closed") as caught:
                done.result(SURELY_S)
            assert caught.value.errno == errno.EBADF
        assert time.monotonic() - began_s < 5.0
        assert not any(task.running() for task in waiting)


def test_errors_have_their_numbers(bench):
    sender = bench.send(tone(0.1, 1000))
    with pytest.raises(OSError, match="cyclic buffer is on the air") as caught:
        sender.write(bytearray(4000), SURELY_S)
    assert caught.value.errno == errno.EBUSY
    sender.close()
    sender = bench.plutos[0].open_buffer(TX_ID, 1000, 3, False)
    with pytest.raises(OSError, match="not whole frames") as caught:
        sender.write(bytearray(4001), SURELY_S)
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(OSError, match="a transmitter"):
        sender.read(4, 0.0)
    with pytest.raises(OSError, match="a receiver"):
        bench.plutos[0].open_buffer(RX_ID, 1000, 3, False).write(bytearray(4), 0.0)
    bench.engine.close()
    with pytest.raises(OSError, match="air is closed"):
        bench.set(0, "output", "voltage0", "hardwaregain", -10)


def test_every_radio_has_a_temperature_of_its_own_that_a_seed_repeats():
    with Bench() as bench, Bench() as other:
        first, second = (station.temperature_c() for station in bench.stations)
        assert first != second
        assert first == other.stations[0].temperature_c()
        assert 30 < first < 42


def test_what_the_chip_shows_of_the_input(bench):
    bench.send(tone(0.1, 1000))
    place = Place(PHY_ID, "input", "voltage0")
    assert float(bench.plutos[1].read(place, "rssi").split()[0]) == pytest.approx(13.0, abs=0.25)
    bench.set(1, "input", "voltage0", "gain_control_mode", "slow_attack")
    bench.hear(1 << 17)
    gain_db = float(bench.plutos[1].read(place, "hardwaregain").split()[0])
    assert gain_db - 13.0 == pytest.approx(-12.0, abs=2.0)


def test_rates_that_share_no_grid_do_not_end_the_air(bench):
    bench.set(0, "input", "voltage0", "sampling_frequency", 3_001_000)
    bench.send(tone(0.1, 1000))
    assert frequency(bench.hear()) == pytest.approx(0.3001 / 4, abs=1e-6)
