"""The chain of numpy and GNU Radio against its numpy twin, and what is promised of its bits."""

import multiprocessing

import numpy as np
import pytest

from radio.impairments import Impairments
from radio.scenarios import EVA, SCENARIOS
from sim_backend.chain import Burst, carry
from sim_backend.path import draw_path
from tests.reference import air as reference

pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
RATE_HZ, CENTER_HZ = 4e6, 915e6
EVERYTHING = SCENARIOS["harsh"].changed(
    lo_leakage_db=-40.0, saturation_db=-3.0, path_loss_db=1.0, max_clock_offset_ppm=40.0, doppler_hz=200.0
)
LATE = 4_000_000 * 500  # minutes into a run


def draw_burst(rng, count, level=0.2):
    samples = level * (rng.normal(size=count) + 1j * rng.normal(size=count))
    return np.clip(samples.view(float), -1, 1).view(complex).astype(np.complex64)


def path_of(impairments, device=2, seed=5):
    return draw_path(impairments, seed, device, RATE_HZ, CENTER_HZ)


def through(impairments, samples, start=LATE, **which):
    (heard,) = carry([Burst(path_of(impairments, **which), samples, start)])
    return heard


@pytest.mark.parametrize("start", [0, LATE])
@pytest.mark.parametrize("name", [*SCENARIOS, "everything"])
def test_every_scenario_agrees_with_its_numpy_twin(name, start, rng):
    impairments = SCENARIOS.get(name, EVERYTHING)
    samples = draw_burst(rng, 1500)
    heard = through(impairments, samples, start)
    expected = reference.receive(path_of(impairments), samples, start, heard.start, len(heard.samples))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(heard.samples, expected, atol=1e-5)


@pytest.mark.parametrize("doppler_hz", [3.0, 100.0, 2000.0])  # polynomials in time; a branch a tap
def test_fading_over_a_long_burst_agrees_with_its_numpy_twin(doppler_hz, rng):
    impairments = Impairments(
        fading="rayleigh",
        doppler_hz=doppler_hz,
        tap_delays_s=(0.0, 1e-6, 3e-6),
        tap_powers_db=(0.0, -3.0, -5.0),
    )
    samples = draw_burst(rng, 40_000)
    heard = through(impairments, samples)
    times = (heard.start + np.arange(len(heard.samples))) / RATE_HZ
    path = path_of(impairments)
    expected = np.zeros(len(times), complex)
    for tap, shift in enumerate((0, 4, 12)):
        expected[shift : shift + len(samples)] += samples
        gain = reference.tones(path.scattered[tap], times)
        expected[shift : shift + len(samples)] += (gain[shift : shift + len(samples)] - 1) * samples
    np.testing.assert_allclose(heard.samples, expected, atol=1e-5)


def test_the_identity_is_exact(rng):
    samples = draw_burst(rng, 5000)
    heard = through(SCENARIOS["identity"], samples, start=1234)
    assert heard.start == 1234
    np.testing.assert_array_equal(heard.samples, samples)


@pytest.mark.parametrize("name", ["bench", "indoor", "harsh"])
def test_a_burst_in_two_pieces_is_the_burst_in_one(name, rng):
    samples = draw_burst(rng, 30_000)
    path = path_of(SCENARIOS[name].changed(lo_leakage_db=-200.0))
    cut = 11_111
    whole, early, late = carry(
        [Burst(path, samples, LATE), Burst(path, samples[:cut], LATE), Burst(path, samples[cut:], LATE + cut)]
    )
    total = np.zeros(len(whole.samples) + 2, complex)
    for piece in (early, late):
        offset = piece.start - whole.start
        total[offset : offset + len(piece.samples)] += piece.samples
    np.testing.assert_allclose(total[: len(whole.samples)], whole.samples, atol=3e-6)


@pytest.mark.parametrize("name", ["bench", "harsh"])
def test_superposition_is_linear_when_the_transmitter_is(name, rng):
    impairments = SCENARIOS[name].changed(dac_bits=0, image_db=-200.0)
    first, second = draw_burst(rng, 3000), draw_burst(rng, 3000)
    together, one, other = (
        through(impairments, samples).samples for samples in (first + 0.5 * second, first, second)
    )
    np.testing.assert_allclose(together, one + 0.5 * other, atol=2e-6)


def _burn(stop):
    while not stop.is_set():
        np.sort(np.random.default_rng(0).random(100_000))


def test_the_same_seed_gives_the_same_bits_on_a_loaded_machine(rng):
    # The scheduler cuts streams into other chunks each time, the more so under load
    samples = draw_burst(rng, 40_000)
    bursts = [Burst(path_of(SCENARIOS["harsh"], device), samples, LATE) for device in range(2)]
    first = carry(bursts)
    stop = multiprocessing.Event()
    burners = [multiprocessing.Process(target=_burn, args=(stop,)) for _ in range(3)]
    for burner in burners:
        burner.start()
    try:
        for _ in range(12):
            for again, before in zip(carry(bursts), first, strict=True):
                assert again.samples.tobytes() == before.samples.tobytes()
    finally:
        stop.set()
        for burner in burners:
            burner.join()


def test_the_stated_response_is_what_a_tone_meets():
    impairments = SCENARIOS["indoor"].changed(dac_bits=0, image_db=-200.0, near_far_db=6.0, doppler_hz=20.0)
    path = path_of(impairments)
    count, frequency_hz = 20_000, 0.31e6
    times = (LATE + np.arange(count)) / RATE_HZ
    tone = 0.5 * np.exp(2j * np.pi * frequency_hz * times)
    heard = through(impairments, tone.astype(np.complex64))
    middle = slice(300 - (heard.start - LATE), count - 300 - (heard.start - LATE))
    at = slice(300, count - 300)
    gain = path.response(times[at], np.array([frequency_hz]))[:, 0]
    expected = gain * np.exp(1j * path.phase(times[at])) * tone[at]
    np.testing.assert_allclose(heard.samples[middle], expected, atol=2e-5)


def test_paths_are_functions_of_seed_and_device():
    first, again = path_of(SCENARIOS["harsh"]), path_of(SCENARIOS["harsh"])
    assert (first.cfo_hz, first.delay_s, first.gain) == (again.cfo_hz, again.delay_s, again.gain)
    paths = [path_of(SCENARIOS["harsh"], device) for device in range(400)]
    cfo_ppm = np.array([path.cfo_hz for path in paths]) / CENTER_HZ * 1e6
    assert abs(cfo_ppm).max() <= 10.0
    assert cfo_ppm.std() == pytest.approx(10 / np.sqrt(3), rel=0.1)
    np.testing.assert_allclose(cfo_ppm, [path.sro_ppm for path in paths])
    delays = np.array([path.delay_s for path in paths])
    assert 0 <= delays.min() < 0.1e-6
    assert 2.9e-6 < delays.max() <= 3e-6
    powers = np.array([abs(path.gain) ** 2 for path in paths])
    assert powers.mean() == pytest.approx(1.0, rel=0.1)
    assert 10 * np.log10(powers.max() / powers.min()) == pytest.approx(6.0, abs=0.1)
    tap_powers = np.mean(
        [abs(path.tap_gains(np.array([0.0]))[:, 0] / path.gain) ** 2 for path in paths], axis=0
    )
    expected = 10 ** (np.array(EVA.powers_db) / 10)
    np.testing.assert_allclose(tap_powers, expected / expected.sum(), rtol=0.25)
    assert tap_powers.sum() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("ends", [(2, -1), (2, 5), (0, 1)])
@pytest.mark.parametrize("name", ["bench", "indoor", "everything"])
def test_what_lies_between_two_radios_is_the_same_both_ways(name, ends):
    impairments = SCENARIOS.get(name, EVERYTHING)
    one, other = ends
    there = draw_path(impairments, 5, one, RATE_HZ, CENTER_HZ, other)
    back = draw_path(impairments, 5, other, RATE_HZ, CENTER_HZ, one)
    times_s, freqs_hz = np.linspace(0.0, 3.0, 7), np.linspace(-1e6, 1e6, 9)
    np.testing.assert_array_equal(back.response(times_s, freqs_hz), there.response(times_s, freqs_hz))
    elsewhere = draw_path(impairments, 5, one, RATE_HZ, CENTER_HZ, 7)
    assert not np.allclose(elsewhere.response(times_s, freqs_hz), there.response(times_s, freqs_hz))
    if impairments.image_db > -100.0:  # the hardware is the sender's
        assert back.transmitter != there.transmitter


def test_no_two_devices_share_a_random_stream():
    paths = [path_of(SCENARIOS["harsh"].changed(doppler_hz=500.0), device) for device in range(4)]
    times = np.arange(20_000) * 1e-3
    processes = np.array(
        [process.at(times) for path in paths for process in path.scattered[:3]]
        + [path.crystal.jitter.at(times) for path in paths]
    )
    processes /= np.linalg.norm(processes, axis=1, keepdims=True)
    overlap = np.abs(processes @ processes.conj().T) - np.eye(len(processes))
    assert overlap.max() < 0.1
    values = np.array([[p.cfo_hz, p.delay_s, np.angle(p.gain), np.angle(p.transmitter.image)] for p in paths])
    assert all(len(set(column)) == len(paths) for column in values.T)
