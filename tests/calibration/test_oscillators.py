"""Phase noise of a probe whose sample clock drifts away: as strong as it was made, and none where there was none."""

import dataclasses

import numpy as np
import pytest

from calibration.burst import estimate_burst
from calibration.oscillators import NOTHING, Probe, of_oscillator, slid
from calibration.waveforms import PROBE_SYMBOLS, probe
from radio.capture import Capture, SentBurst
from radio.interface import RadioConfig
from radio.ofdm import OfdmConfig
from sim_backend.interpolate import resample

OFDM = OfdmConfig()
RATE_HZ = OFDM.sample_rate_hz
RADIO = RadioConfig(sample_rate_hz=RATE_HZ, center_hz=915e6)
LEVEL, START, NOISE_VARIANCE = 0.1, 200, 1e-6  # 30 dB below the signal


def found(rng, drift, noise_deg, corner_hz=1e4):
    """Entries, of a probe over one path."""
    return of_oscillator([heard_probe(rng, drift, noise_deg, corner_hz)], NOISE_VARIANCE, 0.0)


def heard_probe(rng, drift, noise_deg, corner_hz, gain=1.0):
    samples = np.float32(LEVEL) * probe(0, PROBE_SYMBOLS, OFDM)
    length = len(samples) + 2 * START
    places = -0.3 - drift * (np.arange(length) - length / 2.0)
    heard = resample(samples, places, -START).astype(complex)
    held = np.exp(-2.0 * np.pi * corner_hz / RATE_HZ)
    steps = np.sqrt(1.0 - held**2) * rng.normal(size=length)
    turns = np.empty(length)
    turns[0] = rng.normal()
    for index in range(1, length):
        turns[index] = held * turns[index - 1] + steps[index]
    heard *= gain * np.exp(1j * np.deg2rad(noise_deg) * turns)
    heard += np.sqrt(NOISE_VARIANCE / 2.0) * (rng.normal(size=(length, 2)) @ [1.0, 1j])
    heard = heard.astype(np.complex64)
    burst = estimate_burst(
        heard, 0, PROBE_SYMBOLS, OFDM, start=START, cfo_hz=0.0, level=LEVEL, num_taps=40, lead=16
    )
    facts = {"ofdm": dataclasses.asdict(OFDM), "num_symbols": PROBE_SYMBOLS, "offset_hz": 0.0}
    capture = Capture(samples=heard, start_index=0, config=RADIO, step="alone", facts=facts)
    sent = SentBurst(device=0, start_index=START, num_samples=len(samples), label="probe", level=LEVEL)
    return Probe(capture, sent, burst, NOTHING)


@pytest.mark.parametrize("drift", [0.0, 10e-6, -20e-6])
def test_a_clock_that_drifts_is_no_phase_noise(rng, drift):
    entry = found(rng, drift, 0.0)["phase_noise_deg"]
    assert entry.bound == "upper"
    assert entry.value < 0.4


def test_a_bound_holds_for_noise_that_is_fast(rng):
    """Two thirds of its power are gone in the mean over a group."""
    entries = [found(rng, 0.0, 0.05, 95e3).get("phase_noise_deg") for _ in range(8)]
    bounds = [entry.value for entry in entries if entry is not None and entry.bound == "upper"]
    assert len(bounds) >= 4
    assert np.mean(np.array(bounds) > 0.05) > 0.8


@pytest.mark.parametrize("drift", [0.0, 10e-6, -20e-6])
def test_phase_noise_is_as_strong_on_a_clock_that_drifts(rng, drift):
    """A draw's own strength is 5 % off the law's."""
    drawn = [found(rng, drift, 1.0)["phase_noise_deg"] for _ in range(6)]
    assert np.mean([entry.value for entry in drawn]) == pytest.approx(1.0, abs=0.07)
    assert sum(entry.bound == "" and entry.low < 1.0 < entry.high for entry in drawn) >= 5


def test_probes_in_much_noise_add_none_to_those_in_little(rng):
    clear = [heard_probe(rng, 0.0, 0.5, 1e4) for _ in range(3)]
    faint = [heard_probe(rng, 0.0, 0.5, 1e4, gain=0.3) for _ in range(3)]
    entries = of_oscillator([faint[0], *clear, *faint[1:]], NOISE_VARIANCE, 0.0)
    assert entries == of_oscillator(clear, NOISE_VARIANCE, 0.0)
    assert entries["phase_noise_deg"].low < 0.5 < entries["phase_noise_deg"].high


def test_a_signal_slides_as_tones_do(rng):
    """A tone is known between its samples."""
    freqs = rng.uniform(-0.37, 0.37, 9)  # cycles a sample: the active band
    index, drift, middle = np.arange(4000), 1e-4, 2100.0
    gains = rng.normal(size=(9, 2)) @ [1.0, 1j]

    def tones(places):
        return np.exp(2j * np.pi * np.outer(places, freqs)) @ gains

    late = slid(tones(index), drift, middle)
    inside = slice(200, -200)  # its ends are cut off
    error = (late - tones(index - drift * (index - middle)))[inside]
    assert np.linalg.norm(error) < 1e-3 * np.linalg.norm(late[inside])
