"""Both ways of a path over simulated radios: equal as they are, and unlike as a filter makes them."""

import dataclasses

import numpy as np
import pytest

from calibration.delay import apply_delay
from calibration.findings import find_out
from calibration.meeting import NotHeard
from calibration.procedure import Extent, calibrate, send_back
from radio.decibel import to_db
from server.compose_bench import open_site
from server.compose_calibration import ways_back
from server.config_file import build

EXTENT = Extent(span_s=0.1, front_ends=False, amplifiers=False, levels=False)
ECHO, ECHO_SAMPLES = 0.1, 5


def experiment(scenario="bench", **air):
    return build(
        {
            "run": {"seed": 3},
            "fleet": {"devices": 2},
            "link": {"backend": "waveform", "snr_db": 25.0},
            "radio": {"reference": "free" if scenario == "free" else "shared"},
            "air": {"scenario": scenario, **air},
        }
    )


def measured(known):
    """(captures, why devices did not hear the receiver)."""
    with open_site(known) as site:
        with site.bench(lambda capture: None) as bench:
            captures, _ = calibrate(bench, EXTENT, lambda step: None)
        back, deaf = ways_back(site, [0, 1], lambda capture: None, lambda step: None)
    return captures | back, deaf


@pytest.fixture(scope="module")
def on_the_bench():
    captures, deaf = measured(experiment("bench"))
    assert deaf == {}
    return captures


def test_both_ways_of_a_path_are_alike(on_the_bench):
    for device in find_out(on_the_bench).devices:
        assert device.reciprocity_error_db.bound == "upper"
        assert device.reciprocity_error_db.value < -40.0  # 25 dB, and a burst is 96 symbols
        gain = device.reciprocity_gain_db
        assert abs(gain.value) < 4.0 * gain.std < 0.1


def test_a_filter_on_the_way_back_is_seen_as_large_as_it_is(on_the_bench):
    captures = dict(on_the_bench)
    back = captures["back 1"]
    echo = np.concatenate([np.zeros(ECHO_SAMPLES, np.complex64), back.samples[:-ECHO_SAMPLES]])
    captures["back 1"] = dataclasses.replace(back, samples=back.samples + np.float32(ECHO) * echo)
    profile = find_out(captures)
    found = profile.devices[1].reciprocity_error_db
    assert profile.devices[0].reciprocity_error_db.bound == "upper"
    # What a gain and a delay, to first order a slope, leave of the echo
    there, ofdm = np.array(profile.devices[1].response.re) * (1 + 0j), profile.numerology.ofdm
    there += 1j * np.array(profile.devices[1].response.im)
    heard = there + ECHO * apply_delay(there, ECHO_SAMPLES, ofdm)
    slope = (apply_delay(there, 1e-4, ofdm) - there) / 1e-4
    basis = np.linalg.qr(there[:, None])[0]
    explained = basis @ (basis.conj().T @ heard)
    rest = heard - explained
    slope = slope - basis @ (basis.conj().T @ slope)
    turned = np.vdot(there, heard) / np.vdot(there, there) * slope  # a real multiple of it is a delay
    rest -= turned * np.vdot(turned, rest).real / np.vdot(turned, turned).real
    expected_db = to_db(float(np.linalg.norm(rest) ** 2 / np.linalg.norm(heard) ** 2))
    assert found.bound == ""
    assert found.value == pytest.approx(expected_db, abs=0.3)
    assert found.low < found.value < found.high


def test_a_channel_that_moves_is_not_compared_with_what_it_was():
    captures, deaf = measured(experiment("indoor", doppler_hz=30.0))
    assert deaf == {}
    assert {"back 0", "back 1"} <= captures.keys()
    later = dataclasses.replace(captures["again 0"], step="alone corrected")
    later.facts["undone"] = {
        "0": {"level_db": 0.0, "tx_gain_db": 0.0},
        "1": {"level_db": 0.0, "tx_gain_db": 0.0},
    }
    profile = find_out(captures | {"alone corrected": later})
    assert [device.reciprocity_error_db for device in profile.devices] == [None, None]


def test_a_device_that_cannot_hear_is_named_and_the_rest_is_kept():
    captures, deaf = measured(experiment("free"))
    assert sorted(deaf) == [0, 1]
    assert "transmits on a free clock and cannot receive" in deaf[0]
    assert find_out(captures).devices[0].gain_db is not None


def test_a_receiver_that_does_not_reach_a_device_is_told_of_with_what_to_check():
    with (
        open_site(experiment("bench", path_loss_db=120.0)) as site,
        site.bench(lambda capture: None, back=1) as bench,
        pytest.raises(
            NotHeard, match="device 1 did not hear the receiver; see that the receiver's transmit port"
        ),
    ):
        send_back(bench, 1, lambda step: None)
