"""A calibration over simulated radios finds what the air was made of, and a recording of it gives the same numbers."""

import dataclasses
import re

import numpy as np
import pytest

from calibration.analysis import aside_estimates, heard_estimates, together_estimates
from calibration.findings import find_out
from calibration.procedure import BandBusy, Extent, calibrate, meet
from calibration.profile import entries, expired, read_profile, write_profile
from calibration.similarity import compare_profiles
from calibration.words import judge
from radio.air_config import AirConfig
from radio.interface import FullScaleError, RadioError
from radio.recording import RecordingWriter, read_recording
from radio.recording_fields import About
from server.compose_bench import open_bench
from server.compose_measured import with_measured_air
from server.config_file import build
from sim_backend.bands import Band
from sim_backend.path import draw_path
from sim_backend.transmitter import draw_transmitter

RATE_HZ, CENTER_HZ, SEED = 4e6, 915e6, 7
EXTENT = Extent(span_s=0.15)


def experiment(scenario="bench", devices=3, **air):
    free = scenario in ("free", "harsh")
    return build(
        {
            "run": {"seed": SEED},
            "fleet": {"devices": devices},
            "link": {"backend": "waveform", "snr_db": 25.0},
            "radio": {"reference": "free" if free else "shared", "center_hz": CENTER_HZ},
            "air": {"scenario": scenario, **air},
        }
    )


def measured(known, extent=EXTENT):
    """(captures, missing) of a calibration."""
    with open_bench(known) as bench:
        return calibrate(bench, extent, lambda step: None)


@pytest.fixture(scope="module")
def on_free_clocks():
    known = experiment("free")
    captures, missing = measured(known)
    assert missing == {}
    return known, captures, find_out(captures)


@pytest.fixture(scope="module")
def on_the_bench():
    known = experiment("bench")
    return known, find_out(measured(known)[0])


def path_of(known, device):
    return draw_path(known.air.impairments(), SEED, device, *Band(RATE_HZ, CENTER_HZ))


def test_carrier_and_sample_clock_are_those_that_were_drawn(on_free_clocks):
    known, captures, profile = on_free_clocks
    at_s = captures["together"].start_index / RATE_HZ + 0.075
    for device in profile.devices:
        path = path_of(known, device.device)
        true_hz = float(path.frequency_hz(np.array([at_s]))[0])
        assert device.cfo_hz.value == pytest.approx(true_hz, abs=2.0)  # which walks by 1 Hz a root second
        assert abs(device.sro_ppm.value - path.sro_ppm) < 4.0 * device.sro_ppm.std
        assert abs(device.clock_disagreement_std) < 4.0


def test_gains_are_those_of_the_paths(on_free_clocks):
    known, captures, profile = on_free_clocks
    at_s = np.array([captures["alone"].start_index / RATE_HZ])
    ofdm = known.ofdm()
    for device in profile.devices:
        true = path_of(known, device.device).response(at_s, ofdm.active_freqs_hz)[0]
        assert device.gain_db.value == pytest.approx(10.0 * np.log10(np.mean(np.abs(true) ** 2)), abs=0.15)
        shape = np.array(device.response.re) + 1j * np.array(device.response.im)
        alike = abs(np.vdot(np.abs(true), np.abs(shape)))
        assert alike / np.linalg.norm(true) / np.linalg.norm(shape) > 0.999


def test_images_of_both_ends_are_told_apart(on_free_clocks):
    known, captures, profile = on_free_clocks
    for device in profile.devices:
        true = draw_transmitter(known.air.impairments(), SEED, device.device).image
        assert abs(device.image.value - true) < 4.0 * device.image.std
    front_ends = [found for _, found in aside_estimates(captures["aside"])]
    assert 20.0 * np.log10(abs(profile.receiver.image.value)) == pytest.approx(-40.0, abs=1.5)
    assert all(found.quality > 0.1 for found in front_ends)


def test_devices_that_sound_together_arrive_aligned(on_free_clocks):
    captures = on_free_clocks[1]
    together = together_estimates(captures["together"])
    turned = np.einsum("bik,ik->bi", together.gains, together.gains[0].conj())
    assert np.abs(np.angle(turned[:4])).max() < 0.3  # the first 10 ms
    assert np.abs(np.angle(together.phasors)).max() < 0.3


def test_a_recording_gives_the_same_profile_to_the_last_bit(on_free_clocks, tmp_path):
    _, captures, profile = on_free_clocks
    with RecordingWriter(tmp_path / "all", About(kind="calibration", description="", hardware="")) as writer:
        for capture in captures.values():
            writer.write(capture)
    again = find_out({each.step: each for each in read_recording(tmp_path / "all").captures})
    assert again == profile


def test_a_profile_is_written_and_read_whole(on_free_clocks, tmp_path):
    profile = on_free_clocks[2]
    write_profile(tmp_path / "profile.json", profile)
    assert read_profile(tmp_path / "profile.json") == profile
    assert [path.name for path in tmp_path.iterdir()] == ["profile.json"]


def test_entries_grow_old_the_path_first(on_free_clocks):
    profile = on_free_clocks[2]
    assert expired(profile, profile.made_at_s + 500.0) == []
    old = [name for name, _ in expired(profile, profile.made_at_s + 1000.0)]
    assert "device 0 gain_db" in old
    assert "device 0 cfo_hz" not in old
    everything = [name for name, _ in expired(profile, profile.made_at_s + 40.0 * 86400.0)]
    assert sorted(everything) == sorted(name for name, _ in entries(profile))


def test_delay_and_phase_are_those_of_the_path_where_index_0_is_one_instant(on_the_bench):
    """Group delay weighted by power; phase at the carrier."""
    known, profile = on_the_bench
    freqs_hz, step_hz = known.ofdm().active_freqs_hz, 1e2
    for device in profile.devices:
        path = path_of(known, device.device)
        now = np.zeros(1)
        gains = path.response(now, freqs_hz)[0]
        slopes = (path.response(now, freqs_hz + step_hz)[0] - gains) / step_hz
        delay_s = -np.sum((slopes * gains.conj()).imag) / np.sum(np.abs(gains) ** 2) / (2.0 * np.pi)
        assert device.delay_s.value == pytest.approx(delay_s, abs=0.01 / RATE_HZ)
        assert 0.0 < device.delay_s.std < 0.01 / RATE_HZ
        turn = np.angle(np.exp(1j * device.phase_rad.value) / path.response(now, np.zeros(1))[0, 0])
        assert abs(turn) < 4.0 * device.phase_rad.std < 0.1


def test_an_air_made_from_a_profile_has_the_same_profile(on_the_bench, tmp_path):
    known, profile = on_the_bench
    write_profile(tmp_path / "profile.json", profile)
    quiet = dataclasses.replace(known.link, noise="figure")
    air = AirConfig(profile=str(tmp_path / "profile.json"))
    remade = with_measured_air(dataclasses.replace(known, link=quiet, air=air))
    again = find_out(measured(remade)[0])
    for first, second in zip(profile.devices, again.devices, strict=True):
        apart = np.hypot(first.gain_db.std, second.gain_db.std)
        assert abs(first.gain_db.value - second.gain_db.value) < 4.0 * apart + 0.01
        assert abs(first.image.value - second.image.value) < 4.0 * np.hypot(first.image.std, second.image.std)
        shapes = [np.array(each.response.re) + 1j * np.array(each.response.im) for each in (first, second)]
        alike = abs(np.vdot(*shapes)) / np.linalg.norm(shapes[0]) / np.linalg.norm(shapes[1])
        assert alike > 0.999
    assert again.receiver.noise_dbfs.value == pytest.approx(profile.receiver.noise_dbfs.value, abs=0.1)
    alike = compare_profiles(profile, again)
    assert alike.share_agreeing >= 0.9, alike.differing
    assert alike.overall.high >= 0.98
    assert min(alike.scores[name].value for name in ("gain_db", "delay_s", "phase_rad", "response")) > 0.999


def test_in_a_busy_band_nothing_is_sent():
    known = experiment("bench", interferer_db=-10.0)
    with open_bench(known) as bench:
        sent = []
        for radio in bench._transmitters.values():
            radio.transmit = lambda samples, at: sent.append(at)
        with pytest.raises(BandBusy, match=r"the band is busy: -\d+\.\d dBFS at 91\d\.\d+ MHz, .* --busy"):
            calibrate(bench, EXTENT, lambda step: None)
    assert sent == []


def test_who_is_not_heard_is_named_and_the_others_are_measured():
    known = experiment("bench")
    with open_bench(known) as bench:
        bench._transmitters[1].transmit = lambda samples, at: None  # a cable that is off
        captures, missing = calibrate(bench, EXTENT, lambda step: None)
    assert list(missing) == [1]
    assert "device 1 was not heard" in missing[1]
    profile = find_out(captures)
    assert profile.devices[1].gain_db is None
    assert profile.devices[2].gain_db is not None


def test_a_preamble_that_is_lost_in_a_fade_is_asked_for_again():
    with open_bench(experiment("bench")) as bench:
        radio, told = bench._transmitters[1], []
        transmit = radio.transmit
        radio.transmit = lambda samples, at: setattr(radio, "transmit", transmit)  # only the first is lost
        assert meet(bench, bench.devices, told.append) == {}
        assert sorted(bench.clocks) == [0, 1, 2]
    assert told == ["meeting device 0", "meeting device 1", "meeting device 1 again", "meeting device 2"]


def test_when_nobody_is_heard_that_is_an_error():
    known = experiment("bench", devices=2)
    with open_bench(known) as bench:
        for radio in bench._transmitters.values():
            radio.transmit = lambda samples, at: None
        with pytest.raises(
            RadioError, match="none of 2 devices was heard: device 0 was not heard within 1 s"
        ):
            calibrate(bench, EXTENT, lambda step: None)


def test_a_transmitter_at_another_sample_rate_is_told_from_one_that_is_dead():
    known = experiment("bench")
    with open_bench(known) as bench:
        bench._transmitters[1].configure(sample_rate_hz=2e6)
        _, missing = calibrate(bench, dataclasses.replace(EXTENT, span_s=0.03), lambda step: None)
    assert list(missing) == [1]
    assert re.search(r"what came, \d+ dB over the noise, is not its preamble; .* sample_rate_hz", missing[1])


def test_a_saturated_receiver_is_an_error_that_names_what_to_turn():
    known = experiment("bench")
    air = dataclasses.replace(known.air, adc_full_scale_db=-30.0)
    known = dataclasses.replace(known, air=air)  # a configuration would not be let through
    with (
        open_bench(known) as bench,
        pytest.raises(FullScaleError, match="exceed the converter's full scale"),
    ):
        calibrate(bench, EXTENT, lambda step: None)


def test_a_reference_that_is_not_shared_is_seen_although_the_frequency_is_right():
    """Frequency right at first, phase wandering: a reference input that is not connected."""
    wandering = experiment("free", devices=2, max_clock_offset_ppm=0.0)
    radio = dataclasses.replace(wandering.radio, reference="shared")
    captures, missing = measured(dataclasses.replace(wandering, radio=radio), Extent(span_s=0.6))
    assert missing == {}
    for device in find_out(captures).devices:
        ((what, remedy),) = judge(device, True, "")
        assert re.search(r"carrier is -?\d\.\d Hz off a reference|phase wanders, \d\.\d+ Hz", what)
        assert "its reference input is connected" in remedy


def test_a_good_device_has_nothing_to_be_mended(on_the_bench):
    profile = on_the_bench[1]
    strong = [each for each in profile.devices if each.snr_db.value > 16.0]
    assert strong
    assert all(judge(each, profile.shared_clock, "") == [] for each in strong)


def test_a_device_that_a_fade_hides_for_a_moment_costs_only_what_was_asked_then(on_free_clocks):
    """Its burst is cut out of one of the repetitions."""
    _, captures, profile = on_free_clocks
    hurt = dict(captures)
    for step in ("again 3", "only 1"):
        hidden = captures[step]
        (gone,) = [sent for sent in hidden.sent if sent.device == 1][:1]
        samples = hidden.samples.copy()
        first = gone.start_index - hidden.start_index
        samples[max(first - 100, 0) : first + gone.num_samples + 100] = 1e-6
        hurt[step] = dataclasses.replace(hidden, samples=samples)
    again = find_out(hurt)
    assert again.devices[1].jitter_s is None
    assert again.devices[1].crosstalk_db is None
    assert again.devices[0].jitter_s.value == pytest.approx(profile.devices[0].jitter_s.value, rel=0.05)
    assert again.devices[1].gain_db == profile.devices[1].gain_db


def test_what_looks_like_a_probe_and_could_not_be_whole_is_not_heard(on_free_clocks):
    """A fade or an interferer may show a preamble where none is; here, it is the arrival that was expected late."""
    _, captures, _ = on_free_clocks
    capture = captures["again 0"]
    heard = [sent.device for sent, _, _ in heard_estimates(capture)]
    late = [capture.facts["arrivals"][0] + 60.0, *capture.facts["arrivals"][1:]]
    moved = dataclasses.replace(capture, facts=capture.facts | {"arrivals": late})
    assert [sent.device for sent, _, _ in heard_estimates(moved)] == heard[1:]
