"""The noise of an experiment's receiver: closed form, and measured on the radios that the command plugs in."""

import math

import numpy as np
import pytest

from radio.frame import element_level
from radio.interface import Burst
from radio.schedule import Schedule
from radio.sounding import sounding_bursts
from server.compose_simulated import open_simulated
from server.config_file import build
from server.link_noise import element_noise_variance, mean_snr_db

BUDGET = {"noise_figure_db": 6.0, "full_scale_dbm": 10.0, "path_loss_db": 80.0}
SAMPLE_NOISE_W = 1.380649e-23 * 290.0 * 4e6 * 10**0.6  # k T0 B F
FULL_SCALE_W = 10e-3


def experiment_of(backend, noise="figure", snr_db=20.0, **air):
    link = {"backend": backend, "noise": noise, "snr_db": snr_db}
    return build({"link": link, "air": air, "fleet": {"devices": 3, "active": 3}})


def open_link(experiment):
    link, ofdm = experiment.link, experiment.ofdm()
    return open_simulated(experiment, Schedule(ofdm=ofdm, round_s=link.round_s, gap_s=link.gap_s), 600)


def sound(experiment):
    ofdm, link = experiment.ofdm(), open_link(experiment)
    level = element_level(experiment.link.backoff_db, ofdm)
    slot = link.uplink.slot(0, (0, 1, 2))
    sent = {
        d: tuple(Burst(np.float32(level) * b.samples, b.start_index) for b in sounding_bursts(slot, d, ofdm))
        for d in slot.devices
    }
    return link.uplink.sound(slot, sent)


def test_the_snr_of_a_link_budget():
    # an element of power 1 is 15 dB below full scale, on 192 of 256 bins
    element_w = FULL_SCALE_W * 10**-1.5 * 256 / 192
    expected = 10 * math.log10(element_w * 1e-8 / SAMPLE_NOISE_W)
    for backend in ("symbol", "waveform"):
        experiment = experiment_of(backend, **BUDGET)
        assert mean_snr_db(experiment) == pytest.approx(expected)
        assert element_noise_variance(experiment) == pytest.approx(SAMPLE_NOISE_W / element_w)


def test_a_stated_snr_is_that_of_what_arrives():
    assert mean_snr_db(experiment_of("symbol", "snr", 12.0)) == pytest.approx(12.0)
    assert mean_snr_db(experiment_of("symbol", "snr", 12.0, path_loss_db=30.0)) == pytest.approx(12.0)
    assert element_noise_variance(experiment_of("symbol", "snr", 12.0, path_loss_db=30.0)) == pytest.approx(
        10**-4.2
    )
    assert mean_snr_db(experiment_of("ideal", **BUDGET)) is None
    assert element_noise_variance(experiment_of("ideal", **BUDGET)) == 0.0


def test_the_receivers_samples_have_the_noise_of_the_closed_form():
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    link = open_link(experiment_of("waveform", **BUDGET))
    quiet = link.uplink._receiver.receive(0, 200_000, 1.0)  # nobody transmits
    measured_w = np.mean(np.abs(quiet) ** 2) * FULL_SCALE_W
    assert measured_w == pytest.approx(SAMPLE_NOISE_W, rel=0.01)  # 4.5 deviations of 200,000 exponentials
    link.uplink.close()


def test_both_backends_have_the_same_noise_and_path_loss():
    pytest.importorskip("gnuradio", reason="needs GNU Radio from the system's packages")
    known, measured = (sound(experiment_of(backend, **BUDGET)) for backend in ("symbol", "waveform"))
    assert measured.noise_variance == pytest.approx(known.noise_variance, rel=0.15)
    for device in (0, 1, 2):
        assert np.abs(known.channels[device].gains) == pytest.approx(1e-4)
        assert np.abs(measured.channels[device].gains) == pytest.approx(1e-4, rel=0.3)
