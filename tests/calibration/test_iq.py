import math
from dataclasses import replace

import numpy as np
import pytest

from calibration import iq
from calibration.iq import estimate_front_ends
from radio.front_end_correction import apply_front_end, undo_receiver, undo_transmitter
from radio.ofdm import OfdmConfig, modulate
from radio.training import training_symbols
from sim_backend.front_end import FrontEnd
from sim_backend.transmitter import Transmitter
from tests.calibration.honesty import assert_honest, white

OFDM = OfdmConfig()
RATE = OFDM.sample_rate_hz
SPACING = RATE / OFDM.fft_len
LEVEL = 0.25  # rms of the burst, full scale = 1
NAMES = ("tx_image", "rx_image", "leakage", "dc")


def training(num_symbols):
    unit = math.sqrt(OFDM.fft_len / OFDM.num_active)
    return LEVEL * unit * training_symbols(3, num_symbols, OFDM.num_active)


def phasors(rng, low_db=-35.0, high_db=-25.0):
    """The four, offsets relative to the burst's rms."""
    drawn = 10 ** (rng.uniform(low_db, high_db, 4) / 20) * np.exp(2j * np.pi * rng.random(4))
    return drawn * [1.0, 1.0, LEVEL, LEVEL]


def through_paths(samples, delays, taps):
    """Paths at any delays, exactly, of a signal that is followed by silence."""
    frequency = np.fft.fftfreq(len(samples) + 128)
    response = np.exp(-2j * np.pi * np.outer(frequency, delays)) @ taps
    return np.fft.ifft(np.fft.fft(samples, len(frequency)) * response)[: len(samples)]


def draw_taps(rng, num_paths):
    taps = white(rng, num_paths) * 10 ** (-0.3 * np.arange(num_paths))
    return np.sort(rng.uniform(4.0, 40.0, num_paths)), taps / np.linalg.norm(taps)


def receive(rng, symbols, four, offset_hz, *, snr_db=20.0, num_paths=4, turns=0.0, drift=0.0):
    """The model as written: the burst at the receiver, from the first sample of its first prefix."""
    tx_image, rx_image, leakage, dc = four
    if drift:
        middles = OFDM.symbol_len * (np.arange(len(symbols)) - (len(symbols) - 1) / 2)
        bins = np.concatenate([np.arange(-OFDM.num_active // 2, 0), np.arange(1, OFDM.num_active // 2 + 1)])
        symbols = symbols * np.exp(-2j * np.pi * np.outer(middles * drift, bins) / OFDM.fft_len)
    sent = modulate(symbols, OFDM).astype(complex)
    left = sent + tx_image * sent.conj() + leakage
    phase = 2 * np.pi * (offset_hz / RATE * np.arange(len(sent)) + rng.random()) + turns
    arrived = through_paths(left, *draw_taps(rng, num_paths)) * np.exp(1j * phase)
    power = np.mean(np.abs(arrived) ** 2)
    arrived = arrived + math.sqrt(power * 10 ** (-snr_db / 10)) * white(rng, len(arrived))
    return (arrived + rx_image * arrived.conj() + dc).astype(np.complex64)


def values(estimate):
    return np.array([getattr(estimate, name) for name in NAMES])


def stds(estimate):
    return np.array([getattr(estimate, f"{name}_std") for name in NAMES])


def trial(rng, *, num_symbols=32, offset_hz=None, level_db=(-35.0, -25.0), **channel):
    """Errors and stds of the four, (4,) each, and the levels' errors in dB."""
    symbols, four = training(num_symbols), phasors(rng, *level_db)
    if offset_hz is None:
        offset_hz = rng.choice([-12, -5, 7, 16, 21]) * SPACING + rng.uniform(-300, 300)
    received = receive(rng, symbols, four, offset_hz, **channel)
    estimate = estimate_front_ends(received, symbols, OFDM, offset_hz + rng.uniform(-100, 100))
    found = values(estimate)
    return found - four, stds(estimate), 20 * np.log10(np.abs(found / four)), estimate.quality


def assert_all_honest(trials):
    errors = np.array([errors for errors, *_ in trials])
    predicted = np.array([predicted for _, predicted, *_ in trials])
    for place in range(4):
        assert_honest(errors[:, place].real, predicted[:, place])
        assert_honest(errors[:, place].imag, predicted[:, place])


def test_the_four_are_within_a_decibel_at_20_db_and_their_intervals_cover(rng):
    trials = [trial(rng) for _ in range(100)]
    assert_all_honest(trials)
    tx_image, rx_image, leakage, dc = np.sqrt(np.mean([levels**2 for *_, levels, _ in trials], axis=0))
    assert max(tx_image, rx_image, leakage, dc) < 1.0
    assert min(quality for *_, quality in trials) > 0.99


@pytest.mark.parametrize(
    "channel",
    [{"snr_db": 0.0}, {"snr_db": 30.0, "level_db": (-16.0, -14.0)}, {"num_symbols": 8, "snr_db": 10.0}],
    ids=["loud noise", "strong images", "few symbols"],
)
def test_intervals_cover_elsewhere_too(rng, channel):
    assert_all_honest([trial(rng, **channel) for _ in range(40)])


def test_phase_noise_widens_the_intervals_as_it_should(rng):
    # Brownian: all that is left at 60 dB is what it spills from one subcarrier onto others.
    trials = [trial(rng, snr_db=60.0, turns=0.004 * np.cumsum(rng.normal(size=32 * 320))) for _ in range(40)]
    assert_all_honest(trials)
    assert max(np.median([predicted for _, predicted, *_ in trials], axis=0)[:2]) > 1e-4  # noise alone: 1e-5


def test_without_noise_the_truth_is_returned(rng):
    for num_paths in (1, 3):
        errors, *_ = trial(rng, snr_db=200.0, num_paths=num_paths)
        assert np.abs(errors).max() < 3e-4  # 1 % of -30 dB: paths between samples reach beyond their symbol


def test_clocks_that_drift_by_half_a_sample_in_the_burst_are_followed(rng):
    symbols, four = training(64), phasors(rng)
    received = receive(rng, symbols, four, 9 * SPACING + 1e3, snr_db=40.0, drift=2.5e-5)
    for drift in (0.0, 2.5e-5):
        found = estimate_front_ends(received, symbols, OFDM, 9 * SPACING + 1e3, drift=drift)
        assert np.all(np.abs(values(found) - four) < 4 * stds(found))
        assert found.noise_variance == pytest.approx(
            LEVEL**2 * 1e-4, rel=0.5
        )  # the channel draws its own power


def test_the_offset_is_refined_with_the_stated_deviation(rng):
    symbols, errors, predicted = training(16), [], []
    for _ in range(60):
        offset_hz = 5 * SPACING + rng.uniform(-200, 200)
        received = receive(rng, symbols, phasors(rng), offset_hz)
        found = estimate_front_ends(received, symbols, OFDM, offset_hz + rng.uniform(-1e3, 1e3))
        errors.append(found.carrier_offset_hz - offset_hz)
        predicted.append(found.carrier_offset_std_hz)
    assert_honest(errors, predicted)


def test_what_cannot_be_told_apart_is_said_to_be_unknown_and_its_sum_is_right(rng):
    symbols, four = training(32), phasors(rng)
    sent = modulate(symbols, OFDM).astype(complex)
    gain = np.exp(1j)
    arrived = gain * (sent + four[0] * sent.conj() + four[2]) + 0.02 * white(rng, len(sent))
    received = (arrived + four[1] * arrived.conj() + four[3]).astype(np.complex64)
    found = estimate_front_ends(received, symbols, OFDM, 0.0)
    assert np.all(np.isinf(stds(found)))
    assert found.quality == 0.0
    # to first order: gain a x* + b gain* x*, and gain leak + dc + b gain* leak*
    images = found.tx_image * gain + found.rx_image * gain.conjugate()
    assert images == pytest.approx(four[0] * gain + four[1] * gain.conjugate(), abs=2e-3)
    offsets = found.leakage * gain + found.dc
    assert offsets == pytest.approx(four[2] * gain + four[3], abs=2e-3)


def test_what_a_poor_first_guess_hides_is_looked_for_again(rng, monkeypatch):
    """A first step that tells nothing is not the last one."""
    symbols, four = training(32), phasors(rng)
    received = receive(rng, symbols, four, 16 * SPACING)
    expected = values(estimate_front_ends(received, symbols, OFDM, 16 * SPACING))
    normal, calls = iq._normal, []

    def hidden_at_first(linear, burst):
        calls.append(normal(linear, burst))
        return replace(calls[0], variances=np.full(4, np.inf)) if len(calls) == 1 else calls[-1]

    monkeypatch.setattr(iq, "_normal", hidden_at_first)
    found = values(estimate_front_ends(received, symbols, OFDM, 16 * SPACING))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(calls) > 3


def test_several_paths_tell_images_apart_even_without_an_offset(rng):
    trials = [trial(rng, offset_hz=0.0) for _ in range(20)]
    predicted = np.array([predicted for _, predicted, *_ in trials])
    errors = np.array([errors for errors, *_ in trials])
    known = np.isfinite(predicted[:, :2])
    assert known.mean() > 0.5
    assert np.all(np.abs(errors[:, :2][known]) < 5 * predicted[:, :2][known])


def test_the_simulators_front_ends_are_found_and_undone(rng):
    four = phasors(rng)
    transmitter = Transmitter(dac_bits=12, image=four[0], leakage=four[2])
    front_end = FrontEnd(1, -1, LEVEL**2 * 1e-4, image=four[1], offset=four[3], adc_bits=12, full_scale=2.0)
    symbols, offset = training(64), 11 / OFDM.fft_len
    samples = modulate(symbols, OFDM)

    def over_the_air(sent):
        turned = transmitter.radiate(sent) * np.exp(2j * np.pi * offset * np.arange(len(sent)))
        return front_end.receive(turned.astype(np.complex64), 0)[0]

    found = estimate_front_ends(over_the_air(samples), symbols, OFDM, offset * RATE)
    assert np.all(np.abs(values(found) - four) < 4 * stds(found))
    assert found.tx_image_db == pytest.approx(20 * math.log10(abs(four[0])), abs=0.2)
    assert found.rx_image_db == pytest.approx(20 * math.log10(abs(four[1])), abs=0.2)
    assert found.leakage_db == pytest.approx(20 * math.log10(abs(four[2])), abs=0.2)
    assert found.dc_db == pytest.approx(20 * math.log10(abs(four[3])), abs=0.2)
    cured = undo_receiver(
        over_the_air(undo_transmitter(samples, found.tx_image, found.leakage)), found.rx_image, found.dc
    )
    again = estimate_front_ends(cured, symbols, OFDM, offset * RATE)
    assert max(again.tx_image_db, again.rx_image_db) < -55.0
    assert max(again.leakage_db, again.dc_db) < -55.0 + 20 * math.log10(LEVEL)


def test_both_inverses_are_exact(rng):
    samples = white(rng, 1000).astype(np.complex64)
    image, offset = 0.2 - 0.1j, 0.05 + 0.3j
    distorted = apply_front_end(samples, image, offset)
    exact = samples + image * samples.conj() + offset
    np.testing.assert_allclose(distorted, exact, atol=1e-6)
    np.testing.assert_allclose(undo_receiver(distorted, image, offset), samples, atol=2e-6)
    np.testing.assert_allclose(
        apply_front_end(undo_transmitter(samples, image, offset), image, offset), samples, atol=2e-6
    )


def test_an_image_as_strong_as_the_signal_has_no_inverse():
    for function in (apply_front_end, undo_receiver, undo_transmitter):
        with pytest.raises(ValueError, match=r"image must be below 1 \(0 dB\) in magnitude, got 1"):
            function(np.ones(3, np.complex64), 1j, 0.0)


def test_bad_bursts_are_refused():
    symbols = training(8)
    received = modulate(symbols, OFDM)
    with pytest.raises(ValueError, match=r"symbols must be \(8 or more, 192\), got \(4, 192\)"):
        estimate_front_ends(received, symbols[:4], OFDM, 0.0)
    with pytest.raises(ValueError, match="8 symbols last 2560 samples, received 2559"):
        estimate_front_ends(received[1:], symbols, OFDM, 0.0)
    with pytest.raises(ValueError, match=r"within \+-492188, or part of the band lies beyond"):
        estimate_front_ends(received, symbols, OFDM, 5e5)
    with pytest.raises(ValueError, match="all 2560 samples are zero"):
        estimate_front_ends(0 * received, symbols, OFDM, 0.0)
    with pytest.raises(ValueError, match=r"lead_samples must be in \[0, 64\)"):
        estimate_front_ends(received, symbols, OFDM, 0.0, lead_samples=64)
