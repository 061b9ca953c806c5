import math

import numpy as np
import pytest
import scipy.stats

from calibration.spectrum import estimate_occupancy
from calibration.welch import average_periodograms, estimate_floor
from radio.impairments import Impairments
from sim_backend.front_end import draw_front_end
from tests.calibration.honesty import assert_honest, white

RATE = 4e6
NUM_SAMPLES = 40_000
NOISE = 1e-4


def silence(rng, count=NUM_SAMPLES):
    return (math.sqrt(NOISE) * white(rng, count)).astype(np.complex64)


def carrier(rng, frequency, level_db, count=NUM_SAMPLES):
    return 10 ** (level_db / 20) * np.exp(2j * np.pi * (frequency * np.arange(count) + rng.random()))


def channel(rng, low, high, level_db, count=NUM_SAMPLES):
    """Gaussian noise between two frequencies in cycles a sample."""
    spectrum, frequency = np.fft.fft(white(rng, count)), np.fft.fftfreq(count)
    spectrum[(frequency < low) | (frequency > high)] = 0.0
    signal = np.fft.ifft(spectrum)
    return 10 ** (level_db / 20) * signal / np.sqrt(np.mean(np.abs(signal) ** 2))


def test_noise_alone_makes_a_band_busy_as_often_as_stated(rng):
    seen = [estimate_occupancy(silence(rng, 6_000), RATE, 0.2, ripple_db=0.0) for _ in range(400)]
    for share in ("occupied_share", "active_share"):
        alarms = sum(getattr(estimate, share) > 0.0 for estimate in seen)
        # half of 0.2 each; neighbouring bins are alike, so that the union bound is a little loose
        assert scipy.stats.binom.cdf(alarms, 400, 0.1) > 0.0005
        assert scipy.stats.binom.sf(alarms - 1, 400, 0.1) > 0.0005
    assert not any(estimate_occupancy(silence(rng, 10_000), RATE).busy for _ in range(50))


@pytest.mark.parametrize("occupied", [0.0, 0.5, 0.8])
def test_the_floor_is_that_of_the_noise_whoever_is_in_the_band(rng, occupied):
    errors, stds = [], []
    for _ in range(60):
        heard = silence(rng) + 0.003j
        if occupied:
            heard = heard + channel(rng, 0.5 - occupied, 0.5, -20.0)
        estimate = estimate_occupancy(heard, RATE)
        errors.append(estimate.noise.variance - NOISE)
        stds.append(estimate.noise.std)
    assert_honest(errors, stds)
    assert estimate.floor_dbfs == pytest.approx(-40.0, abs=0.3)
    assert estimate.floor_std_db == pytest.approx(4.343 * estimate.noise.std / NOISE, rel=0.05)
    assert estimate.occupied_share == pytest.approx(occupied, abs=0.03)
    assert estimate.quality == 1.0 - estimate.occupied_share


def test_carriers_are_found_with_level_and_frequency(rng):
    levels, level_stds, offsets, offset_stds = [], [], [], []
    for _ in range(100):
        frequency, level_db = rng.uniform(0.03, 0.45) * rng.choice([-1, 1]), rng.uniform(-55.0, -10.0)
        estimate = estimate_occupancy(silence(rng) + carrier(rng, frequency, level_db), RATE)
        assert estimate.busy
        levels.append(estimate.strongest_dbfs - level_db)
        level_stds.append(estimate.strongest_std_db)
        offsets.append(estimate.strongest_offset_hz - frequency * RATE)
        offset_stds.append(estimate.strongest_offset_std_hz)
    assert_honest(levels, level_stds)
    assert_honest(offsets, offset_stds)


def test_a_carrier_stands_over_the_floor_by_its_share_of_a_bin(rng):
    # In the middle of a bin the window holds 1 / 2.004 of a tone's power against 1 / 256 of the noise's.
    estimate = estimate_occupancy(silence(rng) + carrier(rng, 0.25, -30.0), RATE)
    expected = 10 * math.log10(10**-3.0 / 2.0044 / (NOISE / 256) + 1.0)
    assert estimate.strongest_over_floor_db == pytest.approx(expected, abs=0.3)


def test_a_channel_around_the_carrier_is_one(rng):
    levels, stds = [], []
    for _ in range(60):
        estimate = estimate_occupancy(silence(rng) + channel(rng, -0.2, 0.2, -25.0), RATE)
        levels.append(estimate.strongest_dbfs + 25.0)
        stds.append(estimate.strongest_std_db)
        assert abs(estimate.strongest_offset_hz) < 0.01 * RATE
    assert (
        abs(np.mean(levels)) < 0.1
    )  # its edges lie below the threshold, and its power is scaled to be exact
    assert np.all(np.abs(levels) < 4 * np.array(stds))


def test_own_dc_is_measured_and_is_no_occupancy(rng):
    errors, stds = [], []
    for _ in range(100):
        dc = 10 ** (rng.uniform(-60, -10) / 20) * np.exp(2j * np.pi * rng.random())
        estimate = estimate_occupancy((silence(rng) + dc).astype(np.complex64), RATE)
        assert not estimate.busy
        errors.append(estimate.dc - dc)
        stds.append(estimate.dc_std)
    assert_honest(np.real(errors), stds)
    assert_honest(np.imag(errors), stds)


def test_a_short_burst_is_seen_in_time_and_impulses_are_not_taken_for_one(rng):
    heard = silence(rng, 400_000)
    heard[100_000:101_000] += (math.sqrt(2 * NOISE) * white(rng, 1000)).astype(np.complex64)
    burst = estimate_occupancy(heard, RATE)
    assert burst.occupied_share == 0.0
    assert burst.busy
    assert burst.active_share == pytest.approx(1000 / 400_000, rel=0.3)
    heard = silence(rng, 400_000)
    struck = rng.choice(400_000, 400, replace=False)
    heard[struck] += 0.3 * np.exp(2j * np.pi * rng.random(400)).astype(np.complex64)  # 30 dB over the noise
    impulses = estimate_occupancy(heard, RATE)
    assert not impulses.busy
    assert impulses.impulsive_share == pytest.approx(1e-3)
    # (0.3 +- some noise)^2 over the mean of 1e-4 + 1e-3 0.09
    assert impulses.peak_to_mean_db == pytest.approx(10 * math.log10(0.09 / 1.9e-4), abs=1.5)
    assert estimate_occupancy(silence(rng, 400_000), RATE).impulsive_share == 0.0


def test_only_the_band_asked_for_is_looked_at(rng):
    heard = silence(rng) + carrier(rng, 0.4, -20.0)
    assert estimate_occupancy(heard, RATE).busy
    inside = estimate_occupancy(heard, RATE, band_hz=0.75 * RATE)
    assert inside.occupied_share == 0.0


def test_a_receivers_ripple_is_no_occupancy(rng):
    spectrum = np.fft.fft(silence(rng, 400_000))
    spectrum *= 10 ** (0.03 * np.cos(2 * np.pi * 3 * np.fft.fftfreq(400_000)))  # 0.6 dB
    heard = np.fft.ifft(spectrum).astype(np.complex64)
    assert not estimate_occupancy(heard, RATE).busy
    assert estimate_occupancy(heard, RATE, ripple_db=0.0).busy


def test_the_simulators_interferer_is_found(rng):
    front_end = draw_front_end(
        Impairments(interferer_db=-10.0, interferer_fraction=0.05, rx_dc_db=-30.0), 4, -1, RATE, NOISE, 0.01
    )
    heard, _ = front_end.receive(np.zeros(NUM_SAMPLES, np.complex64), 0)
    estimate = estimate_occupancy(heard, RATE)
    assert estimate.busy
    assert estimate.strongest_dbfs == pytest.approx(-30.0, abs=4 * estimate.strongest_std_db)
    assert estimate.strongest_offset_hz == pytest.approx(
        RATE * float(np.mean(front_end.interferer.frequencies_hz)), abs=4 * estimate.strongest_offset_std_hz
    )


@pytest.mark.parametrize("rms_steps", [0.2, 0.4, 0.7, 1.0, 1.4, 3.0])
def test_a_converters_coarse_steps_do_not_make_a_band_busy(rng, rms_steps):
    samples = rms_steps * white(rng, 200_000)
    coarse = (np.rint(samples.real) + 1j * np.rint(samples.imag)) / 2047
    assert not estimate_occupancy(coarse.astype(np.complex64), RATE).busy


def test_powers_of_the_bins_add_up_to_the_mean_power(rng):
    # Parseval; where the window weighs samples alike, that is with a constant envelope
    samples = carrier(rng, 0.1234, -6.0).astype(np.complex64)
    assert average_periodograms(samples, 128).powers.sum() == pytest.approx(10**-0.6, rel=1e-5)


def test_the_floor_of_a_flat_spectrum_is_its_level(rng):
    periodogram = average_periodograms(silence(rng, 2_000_000), 64)
    assert estimate_floor(periodogram.powers, periodogram).variance == pytest.approx(NOISE, rel=0.005)


def test_bad_input_is_refused(rng):
    with pytest.raises(ValueError, match=r"false_alarm must be in \(0, 1\), got 1.5"):
        estimate_occupancy(silence(rng), RATE, 1.5)
    with pytest.raises(ValueError, match="all 1000 samples are zero; raise the receive gain"):
        estimate_occupancy(np.zeros(1000, np.complex64), RATE)
    with pytest.raises(
        ValueError, match=r"num_bins must be even and in \[32, 60\] for 1000 samples, got 256"
    ):
        estimate_occupancy(silence(rng, 1000), RATE)
    with pytest.raises(ValueError, match="band_hz = 100000 holds 0 bins besides DC; raise it, or num_bins"):
        estimate_occupancy(silence(rng), RATE, band_hz=1e5)
