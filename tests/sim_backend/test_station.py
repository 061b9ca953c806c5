import itertools

import numpy as np
import pytest

from radio.decibel import to_db
from radio.impairments import Impairments
from radio.scenarios import SCENARIOS
from sim_backend.chain import Burst, carry
from sim_backend.crystal import draw_crystal
from sim_backend.path import draw_path
from sim_backend.selection import band_filter
from sim_backend.station_settings import DdsTone, StationSettings
from sim_backend.stream_air import StreamAirConfig
from sim_backend.stream_medium import carry_one
from sim_backend.streaming import Engine
from tests.reference.waves import complex_of, frequency, level_db, tone, words

RATE_HZ, LO_HZ = 1e6, 915e6
BASE = StationSettings(
    sample_rate_hz=RATE_HZ,
    tx_lo_hz=LO_HZ,
    rx_lo_hz=LO_HZ,
    tx_attenuation_db=(20.0,),
    rx_gain_db=(10.0,),
    gain_mode=("manual",),
    tx_bandwidth_hz=RATE_HZ,
    rx_bandwidth_hz=RATE_HZ,
)
FREE = Impairments(clock="free", max_clock_offset_ppm=20.0)


def quiet(**settings):
    return StreamAirConfig(noise_variance=0.0, **settings)


def heard(engine, sent, num_samples, sender=0, receiver=1, skip=0):
    """Received samples while a radio repeats what it sends."""
    with engine.open_tx(sender, len(sent), cyclic=True) as tx:
        tx.write(sent)
        with engine.open_rx(receiver, num_samples + skip) as rx:
            return complex_of(rx.read())[skip:]


def test_level_of_a_tone_through_attenuation_loss_and_gain():
    # +7 dBm - 20 dB - 13 dB of path + 10 dB of gain, against 0 dBm: -16 dBFS.
    with Engine(quiet(impairments=Impairments(path_loss_db=13.0)), 2, BASE) as engine:
        got = heard(engine, tone(0.1, 1000), 8192, skip=100)
        assert level_db(got) == pytest.approx(-16.0, abs=0.02)
        with engine.open_tx(0, 1000, cyclic=True) as tx:
            tx.write(tone(0.1, 1000))
            assert engine.input_dbm(1) == pytest.approx(-26.0, abs=0.02)
    assert frequency(got) == pytest.approx(0.1, abs=1e-6)


def test_attenuation_and_gain_are_steps_of_the_level():
    with Engine(quiet(), 2, BASE) as engine:
        levels = []
        for attenuation_db, gain_db in ((30.0, 10.0), (35.5, 10.0), (35.5, 22.0)):
            for radio in (0, 1):
                engine.configure(
                    radio, BASE.changed(tx_attenuation_db=(attenuation_db,), rx_gain_db=(gain_db,))
                )
            levels.append(level_db(heard(engine, tone(0.1, 1000), 4096, skip=2000)))
    np.testing.assert_allclose(np.diff(levels), [-5.5, 12.0], atol=0.02)


def test_own_transmitter_is_heard_through_the_isolation():
    with Engine(quiet(isolation_db=45.0), 1, BASE.changed(rx_gain_db=(40.0,))) as engine:
        got = heard(engine, tone(0.05, 1000), 4096, receiver=0, skip=100)
    assert level_db(got) == pytest.approx(7 - 20 - 45 + 40, abs=0.05)


def test_on_a_cable_nobody_else_is_heard():
    with Engine(quiet(cable=True), 2, BASE.changed(rx_gain_db=(30.0,))) as engine:
        assert level_db(heard(engine, tone(0.05, 1000), 4096, receiver=0, skip=100)) == pytest.approx(
            7 - 20 - 30 + 30, abs=0.05
        )
        assert not heard(engine, tone(0.05, 1000), 4096, receiver=1).any()


def test_noise_figure_and_override():
    # -174 dBm/Hz + 60 dB of bandwidth + 5 dB + 70 dB of gain = -39 dBFS.
    settings = BASE.changed(rx_gain_db=(70.0,))
    with Engine(StreamAirConfig(noise_figure_db=5.0), 1, settings) as engine, engine.open_rx(0, 50_000) as rx:
        assert level_db(complex_of(rx.read())) == pytest.approx(-39.0, abs=0.1)
        assert engine.input_dbm(0) == pytest.approx(-109.0, abs=0.1)
    # 1e-6 of a transmitter's +7 dBm is -53 dBm: with 30 dB of gain -23 dBFS.
    settings = BASE.changed(rx_gain_db=(30.0,))
    with Engine(StreamAirConfig(noise_variance=1e-6), 1, settings) as engine, engine.open_rx(0, 50_000) as rx:
        assert level_db(complex_of(rx.read())) == pytest.approx(-23.0, abs=0.1)


def test_power_without_a_stream_is_measured():
    with Engine(quiet(), 2, BASE) as engine, engine.open_tx(0, 1000, cyclic=True) as tx:
        tx.write(tone(0.1, 1000))
        with engine.open_rx(0, 5000) as rx:
            rx.read()
        assert engine.input_dbm(1) == pytest.approx(-13.0, abs=0.05)


def test_saturation_clips_and_is_counted():
    with Engine(quiet(), 2, BASE.changed(tx_attenuation_db=(0.0,))) as engine:
        with engine.open_tx(0, 1000, cyclic=True) as tx, engine.open_rx(1, 4096) as rx:
            tx.write(tone(0.1, 1000))
            got = rx.read()
        assert np.abs(got).max() == 2047
        assert engine.saturated(1) > 3000


def test_carrier_offset_is_the_difference_of_the_crystals():
    config = quiet(impairments=FREE, seed=5)
    offsets = [draw_crystal(FREE, 5, radio, LO_HZ).offset for radio in (0, 1)]
    with Engine(config, 2, BASE) as engine:
        got = heard(engine, words(np.full(1000, 0.5 + 0j)), 50_000, skip=2000)
        # The receiver counts by its own crystal, too: a ratio of two frequencies.
        expected = LO_HZ * (offsets[0] - offsets[1]) / RATE_HZ / (1 + offsets[1])
        assert frequency(got) == pytest.approx(expected, abs=2e-8)
        for radio, offset in enumerate(offsets):
            engine.configure(radio, BASE.changed(xo_correction_hz=40e6 * (1 + offset)))
        got = heard(engine, words(np.full(1000, 0.5 + 0j)), 50_000, skip=2000)
        assert frequency(got) == pytest.approx(0.0, abs=2e-8)


def test_correction_of_the_crystal_moves_the_sample_clock(rng):
    """A period of 1000 samples, at +-15 ppm against one another, drifts by 30e-6 of the time between two looks."""
    noise = words(0.2 * np.exp(2j * np.pi * rng.random(1000)))
    lags = []
    with Engine(quiet(), 2, BASE) as engine:
        engine.configure(
            0, BASE.changed(xo_correction_hz=40e6 * (1 - 15e-6))
        )  # believes too slow a crystal: fast
        engine.configure(1, BASE.changed(xo_correction_hz=40e6 * (1 + 15e-6)))
        with engine.open_tx(0, 1000, cyclic=True) as tx, engine.open_rx(1, 1000) as rx:
            tx.write(noise)
            for _ in range(201):
                lags.append(_lag(complex_of(rx.read()), complex_of(noise)))
    drift = np.angle(np.exp(2j * np.pi * (lags[200] - lags[0]) / 1000)) * 1000 / (2 * np.pi)
    assert drift == pytest.approx(-30e-6 * 200 * 1000, abs=0.1)


def _lag(got, sent):
    """Circular delay in samples to a fraction: maximum of the correlation, interpolated eightfold."""
    turned = got * np.exp(-2j * np.pi * np.arange(1000) * LO_HZ * 30e-6 / RATE_HZ)  # the carrier's share
    spectrum = np.fft.fftshift(np.fft.fft(turned) * np.fft.fft(sent).conj())
    correlation = np.abs(np.fft.ifft(np.pad(spectrum, (3500, 3500))))
    return np.argmax(correlation) / 8


def test_a_correction_leaves_no_step_in_time_or_phase():
    """Gapless over two corrections: the phase of a slow tone stays smooth, where a slip of a sample would show."""
    with (
        Engine(quiet(), 2, BASE) as engine,
        engine.open_tx(0, 1000, cyclic=True) as tx,
        engine.open_rx(1, 20_000) as rx,
    ):
        tx.write(tone(0.1, 1000))
        parts = []
        for ppm in (0.0, 3.0, -2.0):
            engine.configure(0, BASE.changed(xo_correction_hz=40e6 * (1 + 1e-6 * ppm)))
            parts.append(complex_of(rx.read()))
    phase = np.unwrap(np.angle(np.concatenate(parts)))[100:]
    step = np.diff(phase) / (2 * np.pi)
    assert np.abs(step - 0.1).max() < 4e-3  # 3 ppm of 915 MHz is 0.0027 cycles a sample; 12 bits are 1e-4


def test_transmitter_off_the_receivers_carrier_is_heard_at_the_difference():
    with Engine(quiet(), 2, BASE) as engine:
        engine.configure(0, BASE.changed(tx_lo_hz=LO_HZ + 123_456.0))
        got = heard(engine, words(np.full(1000, 0.5 + 0j)), 8192, skip=2000)
    assert frequency(got) == pytest.approx(0.123456, abs=1e-6)
    assert level_db(got) == pytest.approx(-9.0, abs=0.05)


def test_different_sample_rates():
    with Engine(quiet(), 3, BASE) as engine:
        engine.configure(1, BASE.changed(sample_rate_hz=2.5e6, rx_bandwidth_hz=2.5e6))
        engine.configure(2, BASE.changed(sample_rate_hz=4e6, rx_decimation=8))
        got = heard(engine, tone(0.1, 1000), 8192, skip=3000)
        assert frequency(got) == pytest.approx(0.04, abs=1e-6)
        assert frequency(heard(engine, tone(0.1, 1000), 8192, receiver=2, skip=3000)) == pytest.approx(
            0.2, abs=1e-6
        )
    assert level_db(got) == pytest.approx(-3.0, abs=0.05)


def test_every_retune_brings_a_new_phase_that_a_seed_repeats():
    def phases():
        with Engine(quiet(seed=3), 2, BASE) as engine:
            found = []
            for epoch in (0, 1, 2, 2):
                engine.configure(0, BASE.changed(tx_lo_epoch=epoch))
                found.append(np.angle(heard(engine, words(np.full(1000, 0.5 + 0j)), 3000)[2500]))
            return found

    first = phases()
    assert first == phases()
    assert first[2] == pytest.approx(first[3], abs=1e-3)
    assert min(abs(first[0] - first[1]), abs(first[1] - first[2]), abs(first[0] - first[2])) > 0.05


@pytest.mark.parametrize("lo_hz", [LO_HZ, LO_HZ + 1500.0])
def test_a_stream_in_chunks_is_one_burst(lo_hz, rng):
    """Random chunks against the whole, over fading, a free clock and phase noise; bits alone round off."""
    impairments = SCENARIOS["harsh"].changed(interferer_db=-200.0)
    samples = (rng.normal(size=(30_000, 2)) * 6000).clip(-32767, 32767).astype(np.int16)

    def received(lengths):
        settings = BASE.changed(rx_gain_db=(15.0,))
        with Engine(quiet(impairments=impairments), 2, settings) as engine:
            engine.configure(1, settings.changed(rx_lo_hz=lo_hz))
            with engine.open_tx(0, 30_000, num_blocks=64) as tx, engine.open_rx(1, 1000, num_blocks=64) as rx:
                first = 0
                for length in lengths:
                    tx.write(samples[first : first + length])
                    first += length
                return np.concatenate([rx.read() for _ in range(25)])

    whole = received([30_000])
    cuts = np.diff([0, *np.sort(rng.choice(np.arange(1, 30_000), 20, replace=False)), 30_000])
    assert np.abs(whole).max() > 300
    np.testing.assert_array_equal(received(cuts), whole)


def test_chunks_of_a_path_add_up_exactly(rng):
    """Without converters that would hide it: to 1e-5 of full scale."""
    path = draw_path(SCENARIOS["harsh"], 1, 0, RATE_HZ, LO_HZ)
    path = type(path)(**{**path.__dict__, "transmitter": type(path.transmitter)()})
    samples = (0.3 * rng.normal(size=(20_000, 2))).astype(np.float32).view(np.complex64)[:, 0]
    start = 1_000_000
    total = np.zeros(21_000, np.complex64)
    bounds = [0, *np.sort(rng.choice(np.arange(1, 20_000), 30, replace=False)), 20_000]
    whole = carry_one(Burst(path, samples, start))
    for low, high in itertools.pairwise(bounds):
        part = carry_one(Burst(path, samples[low:high], start + low))
        offset = part.start - whole.start
        total[offset : offset + len(part.samples)] += part.samples
    np.testing.assert_allclose(total[: len(whole.samples)], whole.samples, atol=1e-5)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_filters_here_are_gnuradios(name, rng):
    samples = (0.3 * rng.normal(size=(5_000, 2))).astype(np.float32).view(np.complex64)[:, 0]
    burst = Burst(draw_path(SCENARIOS[name], 1, 2, RATE_HZ, LO_HZ), samples, 500_000)
    ours, theirs = carry_one(burst), carry([burst])[0]
    assert ours.start == theirs.start
    np.testing.assert_allclose(ours.samples, theirs.samples, atol=1e-5)


def test_bandwidth_takes_away_what_lies_outside():
    taps = band_filter(250e3, 1e6)
    freqs = np.array([0.0, 0.09, 0.125, 0.16, 0.3])
    response = np.abs(np.exp(-2j * np.pi * np.outer(freqs, np.arange(len(taps)))) @ taps)
    levels = [to_db(r**2) for r in response]
    assert levels[:2] == pytest.approx([0.0, 0.0], abs=0.01)
    assert levels[2] == pytest.approx(-6.0, abs=0.1)
    assert max(levels[3:]) < -75
    with Engine(quiet(), 2, BASE) as engine:
        for side in ("tx_bandwidth_hz", "rx_bandwidth_hz"):
            for radio in (0, 1):
                engine.configure(radio, BASE.changed(**{side: 250e3}))
            mixed = complex_of(tone(0.05, 1000, 0.4)) + complex_of(tone(0.3, 1000, 0.4))
            got = heard(engine, words(mixed * 2047 / 32767), 8192, skip=3000)
            spectrum = np.abs(np.fft.fft(got[:5000] * np.hanning(5000)))
            assert 20 * np.log10(spectrum[1500] / spectrum[250]) < -55


def test_powered_down_oscillators():
    with Engine(quiet(), 2, BASE) as engine:
        engine.configure(0, BASE.changed(tx_on=(False,)))
        assert not heard(engine, tone(0.1, 1000), 4096).any()
        engine.configure(0, BASE)
        engine.configure(1, BASE.changed(rx_on=(False,)))
        assert not heard(engine, tone(0.1, 1000), 4096).any()


def test_generators_sound_without_a_buffer():
    dds = (DdsTone(100e3, 90.0, 0.5), DdsTone(), DdsTone(100e3, 0.0, 0.5), DdsTone())
    with Engine(quiet(), 2, BASE) as engine:
        engine.configure(0, BASE.changed(dds=dds))
        with engine.open_rx(1, 8192) as rx:
            got = complex_of(rx.read())[100:]
    assert frequency(got) == pytest.approx(0.1, abs=1e-6)
    assert level_db(got) == pytest.approx(-3.0 - 6.02, abs=0.02)


def test_digital_loopback_is_exact():
    ramp = np.arange(-2048, 2048, dtype=np.int16)
    sent = np.stack([ramp << 4, ramp[::-1] << 4], axis=1)
    with (
        Engine(quiet(), 1, BASE.changed(digital_loopback=True)) as engine,
        engine.open_tx(0, 4096, cyclic=True) as tx,
    ):
        tx.write(sent)
        with engine.open_rx(0, 8192) as rx:
            rx.read()
            got = rx.read()
    first = int(np.argmax(got[:, 0] == -2048))
    np.testing.assert_array_equal(got[first : first + 4096], np.stack([ramp, ramp[::-1]], axis=1))


@pytest.mark.parametrize("lo_hz", [920e6, 2.4e9, 3.5e9])
def test_spurious_free_range_on_a_cable(lo_hz):
    settings = BASE.changed(
        sample_rate_hz=4e6,
        tx_lo_hz=lo_hz,
        rx_lo_hz=lo_hz,
        gain_mode=("slow_attack",),
        tx_bandwidth_hz=4e6,
        rx_bandwidth_hz=4e6,
    )
    # Quadrature calibration of the chip leaves -50 dBc; two images of -40 dBc, as "free" has, may add to -34.
    impairments = SCENARIOS["free"].changed(image_db=-50.0, rx_image_db=-50.0)
    with Engine(StreamAirConfig(cable=True, impairments=impairments), 1, settings) as engine:
        with engine.open_tx(0, 4000, cyclic=True) as tx, engine.open_rx(0, 1 << 15) as rx:
            tx.write(tone(0.05, 4000))
            for _ in range(5):
                got = complex_of(rx.read())
        # -43 dBm at the input: the gain control aims at -12 dBFS, so at 31 dB.
        assert engine.gain_db(0) == pytest.approx(31.0, abs=2.0)
    spectrum = 20 * np.log10(np.abs(np.fft.fft(got * np.blackman(len(got)))) + 1e-9)
    peak = int(np.argmax(spectrum))
    assert peak / len(got) == pytest.approx(0.05, abs=1e-3)
    around = np.abs((np.arange(len(got)) - peak + len(got) // 2) % len(got) - len(got) // 2)
    assert spectrum[peak] - spectrum[around > len(got) // 100].max() > 40


def test_two_channels_share_a_clock_and_carriers():
    config = quiet(impairments=FREE, num_channels=2)
    with Engine(config, 2, BASE.changed(tx_attenuation_db=(20.0, 23.0))) as engine:
        sent = np.concatenate([tone(0.1, 1000, 0.5), tone(0.2, 1000, 0.5)], axis=1)
        with engine.open_tx(0, 1000, cyclic=True) as tx, engine.open_rx(1, 20_000) as rx:
            tx.write(sent)
            got = rx.read()
    for channel in (0, 1):
        samples = complex_of(got[:, 2 * channel :])[2000:]
        spectrum = np.abs(np.fft.fft(samples * np.hanning(len(samples))))
        offset = np.argmax(spectrum[:5000]) / len(samples) - 0.1
        peaks = [spectrum[round(len(samples) * (f + offset))] for f in (0.1, 0.2)]
        assert 20 * np.log10(peaks[0] / peaks[1]) == pytest.approx(3.0, abs=0.5)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"tx_attenuation_db": (90.0,)}, r"tx_attenuation_db must be in \[0, 89.75\], got 90"),
        ({"gain_mode": ("auto",)}, "gain_mode must be one of manual, .*; got 'auto'"),
        ({"rx_decimation": 0}, "rx_decimation must be at least 1, got 0"),
        ({"colour": 1}, "unknown setting 'colour'; known: sample_rate_hz"),
    ],
)
def test_bad_settings(bad, message):
    with pytest.raises(ValueError, match=message):
        BASE.changed(**bad)
