"""A probe through paths between samples, a carrier offset and noise: unbiased, and as far off as it says."""

import numpy as np
import pytest
import scipy.fft
from honesty import assert_honest

from calibration.burst import estimate_burst
from calibration.delay import centred_bins, estimate_mean_delay
from calibration.waveforms import probe
from radio.ofdm import OfdmConfig
from radio.preamble import preamble_len

OFDM = OfdmConfig()
RATE_HZ = OFDM.sample_rate_hz
NUM_SYMBOLS, LEVEL, START = 24, 0.1, 100
TAPS = {"num_taps": 40, "lead": 16}
NUM_TRIALS = 60


def received(rng, snr_db=20.0, cfo_hz=0.0):
    """(samples, true response at an instant, cfo): three paths between samples."""
    gains = rng.normal(size=3) + 1j * rng.normal(size=3)
    gains *= np.array([1.0, 0.6, 0.25])
    delays = rng.uniform(0.0, 3.0) + np.array([0.0, 0.4, 1.2])
    sent = LEVEL * probe(3, NUM_SYMBOLS, OFDM).astype(complex)
    window = np.zeros(len(sent) + 400, complex)
    window[START : START + len(sent)] = sent
    turns = np.exp(-2j * np.pi * np.outer(np.fft.fftfreq(len(window)), delays)) @ gains
    arrived = scipy.fft.ifft(scipy.fft.fft(window) * turns)
    arrived *= np.exp(2j * np.pi * cfo_hz / RATE_HZ * np.arange(len(window)))
    power = np.mean(np.abs(arrived[START + 100 : START + len(sent)]) ** 2)
    noise = (rng.normal(size=(len(window), 2)) @ [1.0, 1j]) * np.sqrt(power / 2.0) * 10.0 ** (-snr_db / 20.0)

    def response(estimate):
        lags = delays + START - estimate.start
        flat = np.exp(-2j * np.pi * np.outer(centred_bins(OFDM) / OFDM.fft_len, lags)) @ gains
        return flat, flat * np.exp(2j * np.pi * cfo_hz / RATE_HZ * estimate.middle)

    return (arrived + noise).astype(np.complex64), response


@pytest.fixture(scope="module")
def trials():
    rng = np.random.default_rng(11)
    found = []
    for _ in range(NUM_TRIALS):
        cfo_hz = rng.uniform(-9e3, 9e3)
        samples, response = received(rng, cfo_hz=cfo_hz)
        guess_hz = cfo_hz + rng.uniform(-800.0, 800.0)
        start = START + rng.uniform(0.0, 3.0)
        estimate = estimate_burst(
            samples, 3, NUM_SYMBOLS, OFDM, start=start, cfo_hz=guess_hz, level=LEVEL, **TAPS
        )
        found.append((estimate, cfo_hz, *response(estimate)))
    return found


def test_carrier_offset_is_unbiased_with_the_predicted_deviation(trials):
    scaled = np.array([(e.cfo_hz - cfo_hz) / e.cfo_std_hz for e, cfo_hz, _, _ in trials])
    assert abs(scaled.mean()) < 3.5 / np.sqrt(NUM_TRIALS)
    assert 0.72 < scaled.std() < 1.3  # chi-square of 59 degrees, 99.9 %


def test_carrier_offset_comes_within_a_decibel_of_its_bound(trials):
    """Of a known burst with unknown phase in noise: Rife and Boorstyn's, with all of the burst's energy."""
    length = len(probe(3, NUM_SYMBOLS, OFDM))
    bound_hz = np.sqrt(6.0 / (100.0 * length * (length**2 - 1.0))) / (2.0 * np.pi) * RATE_HZ
    rms_hz = np.sqrt(np.mean([(e.cfo_hz - cfo_hz) ** 2 for e, cfo_hz, _, _ in trials]))
    chance = 10.0 * np.log10(1.0 + 3.0 * np.sqrt(2.0 / NUM_TRIALS))  # of a variance over so many trials
    assert 20.0 * np.log10(rms_hz / bound_hz) < 1.0 + chance


def test_mean_delay_is_right_to_a_hundredth_of_a_sample(trials):
    errors = np.array([e.delay_samples - estimate_mean_delay(flat, OFDM) for e, _, flat, _ in trials])
    stds = np.array([e.delay_std_samples for e, *_ in trials])
    assert np.sqrt(np.mean(errors**2)) < 0.01
    assert 0.6 < np.std(errors / stds) < 1.4


def test_response_has_the_predicted_error_phase_included(trials):
    ratios = [np.mean(np.abs(e.response - true) ** 2) / e.error_variance for e, _, _, true in trials]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.15)


def test_noise_is_that_of_a_resource_element(trials):
    """20 dB below the burst's samples, of which 192 of 256 subcarriers carry all."""
    shares = [e.noise_variance / np.mean(np.abs(e.response) ** 2) for e, *_ in trials]
    assert np.mean(shares) == pytest.approx(0.01 * OFDM.num_active / OFDM.fft_len, rel=0.05)


@pytest.mark.parametrize("wander_rad", [0.0, 0.1])
def test_200_bursts_know_how_well_they_know_what_no_channel_explains(wander_rad, rng):
    """Noise on every subcarrier for itself, and turns that are a symbol's."""
    errors, stds = [], []
    for _ in range(200):
        samples, response = received(rng, snr_db=26.0)
        turns = np.repeat(wander_rad * rng.normal(size=2 + len(samples) // OFDM.symbol_len), OFDM.symbol_len)
        first = (START + preamble_len(OFDM)) % OFDM.symbol_len  # a turn begins with each symbol
        samples *= np.exp(1j * turns[OFDM.symbol_len - first :][: len(samples)]).astype(np.complex64)
        found = estimate_burst(samples, 3, NUM_SYMBOLS, OFDM, start=START, cfo_hz=0.0, level=LEVEL, **TAPS)
        power = np.mean(np.abs(response(found)[0]) ** 2)
        free = (NUM_SYMBOLS - 2) / (NUM_SYMBOLS - 1)  # the carrier's offset takes the slope of the turns
        # sample noise of 1 / 400 of the signal's power, which lies on 192 of 256 subcarriers
        expected = 0.75 * 10**-2.6 + wander_rad**2 * free
        errors.append(found.noise_variance / power - expected)
        stds.append(found.noise_std / power)
    assert_honest(errors, stds)


def test_the_drift_of_a_still_channel_is_as_far_off_as_its_noise_says(trials):
    """Channels that hold still show none: the deviation is little more than the noise's."""
    scaled = np.array([e.drift / e.drift_std for e, *_ in trials])
    assert abs(scaled.mean()) < 3.5 / np.sqrt(NUM_TRIALS)
    assert 0.4 < scaled.std() < 1.3


def test_paths_that_fade_are_no_certain_drift(rng):
    """Paths that turn past each other seem to move the delay, by many deviations of the noise alone."""
    errors, stds = [], []
    for _ in range(20):
        sent = LEVEL * probe(3, NUM_SYMBOLS, OFDM).astype(complex)
        times_s = np.arange(len(sent) + 400) / RATE_HZ
        arrived = np.zeros(len(times_s), complex)
        for delay, gain in zip((0, 2, 5), rng.normal(size=(3, 2)) @ [1.0, 1j], strict=True):
            turning = gain * np.exp(2j * np.pi * rng.uniform(-10.0, 10.0) * times_s)
            arrived[START + delay : START + delay + len(sent)] += (
                turning[START + delay : START + delay + len(sent)] * sent
            )
        noise = 1e-3 * LEVEL * (rng.normal(size=(len(times_s), 2)) @ [1.0, 1j])
        found = estimate_burst(
            (arrived + noise).astype(np.complex64), 3, NUM_SYMBOLS, OFDM,
            start=START, cfo_hz=0.0, level=LEVEL, **TAPS,
        )  # fmt: skip
        errors.append(found.drift)
        stds.append(found.drift_std)
    scaled = np.array(errors) / np.array(stds)
    assert np.sqrt(np.mean(scaled**2)) < 2.0
    assert np.sqrt(np.mean(np.square(errors))) > 1e-7  # which is there to be mistaken


def test_a_burst_that_is_cut_off_or_silent_is_refused():
    samples = np.zeros(NUM_SYMBOLS * OFDM.symbol_len, np.complex64)
    with pytest.raises(ValueError, match="does not lie within"):
        estimate_burst(samples, 0, NUM_SYMBOLS, OFDM, start=20.0, cfo_hz=0.0, level=LEVEL, **TAPS)
    with pytest.raises(ValueError, match="nothing was received"):
        estimate_burst(
            np.zeros(20_000, np.complex64), 0, NUM_SYMBOLS, OFDM, start=20.0, cfo_hz=0.0, level=LEVEL, **TAPS
        )


def test_a_channel_that_fades_is_no_certain_drift():
    """Two paths of which one grows while the other shrinks: their mean delay moves, and no clock."""
    rng = np.random.default_rng(12)
    sent = LEVEL * probe(3, NUM_SYMBOLS, OFDM).astype(complex)
    certain = []
    for _ in range(30):
        gains, moves = rng.normal(size=(2, 2, 2)) @ [1.0, 1j]
        window = np.zeros(len(sent) + 400, complex)
        since = (np.arange(len(window)) - len(window) / 2.0) / len(sent)
        for gain, move, delay in zip(gains, moves, (0, 3), strict=True):
            window[START + delay : START + delay + len(sent)] += (
                sent * (gain + 0.3 * move * since)[START + delay : START + delay + len(sent)]
            )
        window += (rng.normal(size=(len(window), 2)) @ [1.0, 1j]) * 1e-3
        samples = window.astype(np.complex64)
        found = estimate_burst(samples, 3, NUM_SYMBOLS, OFDM, start=START, cfo_hz=0.0, level=LEVEL, **TAPS)
        certain.append(abs(found.drift) / found.drift_std)
    assert np.quantile(certain, 0.9) < 5.0  # what is taken for another crystal


def test_drift_of_a_channel_that_holds_still_is_known_as_well_as_noise_lets(trials):
    scaled = np.array([e.drift / e.drift_std for e, _, _, _ in trials])
    assert abs(scaled.mean()) < 3.5 / np.sqrt(NUM_TRIALS)
    assert 0.72 < scaled.std() < 1.3
