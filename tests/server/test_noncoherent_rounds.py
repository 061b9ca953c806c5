"""Rounds of schemes that compare energies: who takes part, what devices are told, and how a round is judged."""

import math
from dataclasses import replace

import numpy as np
import pytest

from server.mean_powers import CalibratedUplink, heard
from tests.server.fleet import DIMENSION, make_rounds

ZERO = np.zeros(DIMENSION, np.float32)


def energy_rounds(scheme="reed", fading="rayleigh", snr_db=20.0, **link):
    settings = {"backend": "symbol", "scheme": scheme, "fading": fading, "snr_db": snr_db}
    return make_rounds(scheme=scheme, fading=fading, snr_db=snr_db, link=settings | link)


def devices_of(rounds):
    return list(rounds.proxy.devices.values())[:4]


class Retold:
    """An uplink whose soundings are changed by a function before the server sees them."""

    def __init__(self, uplink, change):
        self.slot, self.payload_index, self.collect = uplink.slot, uplink.payload_index, uplink.collect
        self.save, self.restore, self.close = uplink.save, uplink.restore, uplink.close
        self.beneath, self.change = uplink, change

    def sound(self, slot, sent):
        return self.change(self.beneath.sound(slot, sent))


@pytest.mark.parametrize("fading", ["none", "rayleigh"])
def test_the_estimate_errs_by_self_noise_fading_and_noise(fading):
    chips, ratios, of_air = 3, [], []
    for seed in range(12):
        rounds = energy_rounds(fading=fading, chips=chips)
        record = rounds.run(seed, ZERO).record
        updates = np.array([device.update for device in devices_of(rounds)], float)
        powers = np.array([abs(device.channel.gains[0]) ** 2 for device in devices_of(rounds)])[:, None]
        nu = 0.01 / (record["rho"] / record["outer_rate"] ** 2)
        plus, minus = (np.maximum(sign * powers * updates, 0.0).sum(axis=0) for sign in (1, -1))
        squares = np.sum((powers * updates) ** 2, axis=0)
        variances = (plus**2 + minus**2 - squares) / chips + 2 * nu * (plus + minus) + 2 * chips * nu**2
        arrives = (powers * updates).mean(axis=0)  # what the gains of this round make of the mean
        bias = np.sum((arrives - updates.mean(axis=0)) ** 2)
        energy = np.sum(updates.mean(axis=0) ** 2)
        ratios.append(record["nmse"] * energy / (variances.sum() / 16 + bias))
        of_air.append(record["nmse_air"] * np.sum(arrives**2) / (variances.sum() / 16))
        assert "nmse_amplitude" not in record
        assert record["nmse_full"] == record["nmse"]
        assert "error_budget" not in record
        assert record["channel_uses"] == 2 * chips * DIMENSION
    # each is the mean of 400 squares of about exponential differences, whose variance is 5 squared means
    tolerance = 3.0 * math.sqrt(5.0 / (12 * DIMENSION))
    assert abs(np.mean(of_air) - 1.0) < tolerance
    assert abs(np.mean(ratios) - 1.0) < tolerance + 0.05  # the cross term with the fading's bias


def test_a_vote_moves_every_parameter_by_the_step_and_is_compared_with_no_mean():
    rounds = energy_rounds("fsk_mv", fading="none", snr_db=40.0, vote_step=0.5)
    theta, record, *_ = rounds.run(0, ZERO)
    updates = np.array([device.update for device in devices_of(rounds)], float)
    step = 0.5 * math.sqrt(np.mean(updates**2))
    np.testing.assert_allclose(np.abs(theta), step, rtol=1e-6)
    agreed = np.abs(np.sign(updates).sum(axis=0)) == 4
    np.testing.assert_array_equal(np.sign(theta)[agreed], -np.sign(updates[0])[agreed])
    for key in ("nmse", "nmse_full", "nmse_air", "nmse_amplitude", "error_budget"):
        assert record.get(key) is None
    assert record["transmit_energy"] == pytest.approx(
        4 * 2 * DIMENSION
    )  # equal amplitudes: all use their power


def test_who_abstains_remembers():
    rounds = energy_rounds("fsk_mv", abstain=0.9)
    rounds.run(0, ZERO)
    for device in devices_of(rounds):
        weak = np.abs(device.update) <= 0.9 * math.sqrt(np.mean(device.update.astype(float) ** 2))
        assert 0 < weak.sum() < DIMENSION
        np.testing.assert_array_equal(device.memory, np.where(weak, device.update, 0.0))


def test_each_device_is_told_its_number_and_on_a_modelled_channel_the_mean_power_of_the_model():
    rounds = energy_rounds()
    rounds.run(0, ZERO)
    told = [device.channel for device in devices_of(rounds)]
    assert [channel.device for channel in told] == [0, 1, 2, 3]
    assert [channel.mean_power for channel in told] == [1.0] * 4
    assert not np.allclose([abs(channel.gains[0]) for channel in told], 1.0)


def lost_phases(sounding):
    """Nothing is known of the phase of device 1, and device 2 was silent: its gains are noise."""
    noise = 0.01
    channels = dict(sounding.channels)
    channels[2] = replace(channels[2], gains=np.array([math.sqrt(noise) + 0j]))
    errors = dict.fromkeys(channels, noise) | {1: math.inf}
    return replace(
        sounding, channels=channels, error_variances=errors, gain_errors=dict.fromkeys(channels, noise)
    )


def test_a_device_whose_phase_is_unknown_takes_part_and_a_silent_one_does_not():
    rounds = energy_rounds(fading="none")
    record = replace(rounds, uplink=Retold(rounds.uplink, lost_phases)).run(0, ZERO).record
    assert record["devices"] == [0, 1, 3]
    assert record["sitting_out"] == [2]
    assert record["phase_residual_rad"][1] is None
    coherent = make_rounds()
    record = replace(coherent, uplink=Retold(coherent.uplink, lost_phases)).run(0, ZERO).record
    assert record["devices"] == [0, 3]


def test_where_no_model_is_stated_powers_are_the_means_of_all_soundings_so_far():
    rounds = energy_rounds()
    calibrated = CalibratedUplink(rounds.uplink)
    rounds = replace(rounds, uplink=calibrated, mean_gain=None)
    powers = {device: [] for device in range(4)}
    for index in range(5):
        rounds.run(index, ZERO)
        for device in range(4):
            channel = rounds.proxy.devices[device].channel
            powers[device].append(abs(channel.gains[0]) ** 2)
            assert channel.mean_power == pytest.approx(np.mean(powers[device]))
    saved = calibrated.save()
    other = CalibratedUplink(rounds.uplink)
    other.restore(saved)
    one, two = (replace(rounds, uplink=uplink).run(5, ZERO).record for uplink in (calibrated, other))
    assert one == two


def test_a_power_counts_without_the_noise_that_was_measured_with_it_and_silence_does_not_count():
    rounds = energy_rounds(fading="none")
    calibrated = CalibratedUplink(Retold(rounds.uplink, lost_phases))
    sounding = calibrated.sound(rounds.uplink.slot(0, (0, 1, 2, 3)), {})
    assert heard(sounding) == (0, 1, 3)
    assert sounding.channels[1].mean_power == pytest.approx(1.0 - 0.01)
    assert calibrated.save()["mean_powers"][:, 0].tolist() == [0.0, 1.0, 3.0]
