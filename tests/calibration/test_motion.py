"""What is said of channels that fade, and the air that is made of it."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from calibration.clock import ClockEstimate
from calibration.motion import of_motion
from calibration.profile import PathsEntry, ResponseEntry, estimate
from calibration.remake import measured_air
from radio.decibel import from_db
from sim_backend.tones import scattering
from tests.calibration.drawn_soundings import RATE_HZ, noisy, responses
from tests.calibration.made_profile import AT_S, device_profile, profile_of

DOPPLER_HZ, INSTANTS_S = 8.0, np.arange(0.0, 2.0, 4e-3)
DELAYS, POWERS = (
    np.array([1.0, 2.6, 6.0]),
    np.array([0.1, 0.03, 0.01]),
)  # samples; of -10 dB in all, and 1.5 dB


def fading(rng):
    """(num_instants, num_paths) gains, and soundings of them."""
    paths = [np.sqrt(power) * scattering(DOPPLER_HZ, rng).at(INSTANTS_S) for power in POWERS]
    gains = np.stack(paths, axis=1)
    return gains, noisy(
        rng, responses(np.broadcast_to(DELAYS, gains.shape), gains)[:, None], INSTANTS_S, 40.0
    )


def test_paths_of_a_channel_that_fades_have_their_mean_powers(rng):
    gains, soundings = fading(rng)
    still = cast(ClockEstimate, SimpleNamespace(residual_cfo_hz=np.zeros(1), delay_rate=np.zeros(1)))
    (found,) = of_motion(soundings, still, AT_S)
    assert found["doppler_hz"].value == pytest.approx(DOPPLER_HZ, rel=0.3)
    paths = found["fading_paths"]
    delays, powers = np.array(paths.delays_s) * RATE_HZ, np.array(paths.powers)
    for delay, power in zip(DELAYS - DELAYS[0], np.mean(np.abs(gains) ** 2, axis=0), strict=True):
        assert powers[np.abs(delays - delay) < 0.8].sum() == pytest.approx(power, rel=0.3)  # of some 15 fades
    assert powers.sum() == pytest.approx(np.mean(np.abs(soundings.gains) ** 2), rel=0.01)


def test_a_channel_that_holds_still_has_no_paths_that_fade(rng):
    gains = np.broadcast_to(np.sqrt(POWERS), (len(INSTANTS_S), 3))
    soundings = noisy(rng, responses(np.broadcast_to(DELAYS, gains.shape), gains)[:, None], INSTANTS_S, 40.0)
    still = cast(ClockEstimate, SimpleNamespace(residual_cfo_hz=np.zeros(1), delay_rate=np.zeros(1)))
    (found,) = of_motion(soundings, still, AT_S)
    assert found["doppler_hz"] is None
    assert found["fading_paths"] is None


def test_the_remade_air_fades_about_the_mean_and_not_about_what_the_probe_saw():
    k_db, line = 3.0, from_db(3.0) / (1.0 + from_db(3.0))
    powers = (0.1, 0.02, 0.01)  # the first with the line of sight
    flat = ResponseEntry(re=(2.0,) * 192, im=(0.0,) * 192, std=1e-4, at_s=AT_S, valid_s=600.0)
    device = device_profile(
        0,
        6.0,
        response=flat,
        doppler_hz=estimate(DOPPLER_HZ, 0.1, AT_S, "path"),
        rician_k_db=estimate(k_db, 0.5, AT_S, "path"),
        fading_paths=PathsEntry(delays_s=(0.0, 4e-7, 1e-6), powers=powers, at_s=AT_S, valid_s=600.0),
    )
    (made,) = measured_air(profile_of(device), lambda gain_db: 0.0, lambda gain_db: 0.0).devices
    total = sum(powers)
    scattered = np.array([0.1 - line * total, 0.02, 0.01])
    assert (made.fading, made.rician_k_db, made.doppler_hz) == ("rician", k_db, DOPPLER_HZ)
    assert from_db(made.gain_db) == pytest.approx(total)
    assert made.tap_delays_s == (0.0, 4e-7, 1e-6)
    assert np.abs(made.taps) ** 2 == pytest.approx(scattered / scattered.sum())


def test_what_is_seen_far_from_the_paths_is_none(rng):
    """An interferer shows as power at any delay: it would take more of the prefix than there is."""
    flat = ResponseEntry(re=(1.0,) * 192, im=(0.0,) * 192, std=1e-4, at_s=AT_S, valid_s=600.0)
    device = device_profile(
        0,
        0.0,
        response=flat,
        doppler_hz=estimate(DOPPLER_HZ, 0.1, AT_S, "path"),
        rician_k_db=estimate(-20.0, 0.5, AT_S, "path"),
        fading_paths=PathsEntry(
            delays_s=(0.0, 10e-6, 11e-6, 16e-6), powers=(0.005, 0.6, 0.4, 0.01), at_s=AT_S, valid_s=600.0
        ),
    )
    (made,) = measured_air(profile_of(device), lambda gain_db: 0.0, lambda gain_db: 0.0).devices
    assert made.tap_delays_s == pytest.approx((0.0, 1e-6))
    assert from_db(made.gain_db) == pytest.approx(1.015)
