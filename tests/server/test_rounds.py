import math
from dataclasses import replace

import numpy as np
import pytest

from devices import messages
from radio.channel_state import ChannelState
from radio.schemes import phase
from radio.seeds import Use, stream
from radio.uplink import Sounding
from server.appraisal import evaluate, probe
from server.config_file import build
from server.planning import RoundFailed, common_scale, draw_active, learning_rates, phase_residuals
from tests.server.fleet import DIMENSION, make_rounds

ZERO = np.zeros(DIMENSION, np.float32)


def targets(rounds, numbers):
    return np.stack([rounds.proxy.devices[number].target for number in numbers])


def test_an_error_free_round_is_a_step_down_the_mean_gradient():
    rounds = make_rounds(backend="ideal", scheme="ideal")
    theta, record, *_ = rounds.run(0, ZERO)
    np.testing.assert_allclose(theta, 0.3 * targets(rounds, range(4)).mean(axis=0), rtol=1e-5)
    assert record["devices"] == [0, 1, 2, 3]
    assert record["channel_uses"] == DIMENSION // 2
    assert record["nmse"] < 1e-20


def test_error_free_rounds_converge_to_the_mean_target():
    rounds = make_rounds(backend="ideal", scheme="ideal")
    theta = ZERO
    for index in range(60):
        theta = rounds.run(index, theta).theta
    np.testing.assert_allclose(theta, targets(rounds, range(4)).mean(axis=0), atol=1e-5)


def test_over_a_fading_channel_memory_brings_in_what_was_withheld():
    rounds = make_rounds(
        fading="rayleigh", update={"keep": 0.1, "measurements": 0.45}, learning={"outer_rate": 0.1}
    )
    theta = ZERO
    for index in range(300):
        theta = rounds.run(index, theta).theta
    goal = targets(rounds, range(4)).mean(axis=0)
    assert np.linalg.norm(theta - goal) < 0.3 * np.linalg.norm(goal)


def test_no_device_exceeds_its_power_and_one_meets_it():
    record = make_rounds().run(0, ZERO).record
    rounds = make_rounds()
    outcome = rounds.run(0, ZERO)
    powers = [
        np.mean(np.abs(device.scheme.encode(device.update, device.channel, plan_of(rounds, outcome))[0]) ** 2)
        for device in list(rounds.proxy.devices.values())[:4]
    ]
    assert max(powers) == pytest.approx(1.0)
    assert record["transmit_energy"] == pytest.approx(sum(powers) * record["channel_uses"])


def plan_of(rounds, outcome):
    from radio.uplink import Plan

    record = outcome.record
    return Plan(
        round=0, seed=0, devices=tuple(record["devices"]), dimension=DIMENSION, num_elements=record["channel_uses"],
        num_kept=16, scale=math.sqrt(record["rho"]) / record["outer_rate"],
    )  # fmt: skip


def test_without_fading_the_estimate_errs_by_noise_only_and_says_how_much():
    quiet, loud = (make_rounds(snr_db=snr).run(0, ZERO).record for snr in (60.0, 0.0))
    assert quiet["nmse_amplitude"] == pytest.approx(1e-6 * 4 / 4, rel=3)
    assert quiet["nmse_air"] < 1e-4 < loud["nmse_air"]
    assert quiet["nmse"] < quiet["nmse_full"]


def test_a_device_that_cannot_transmit_is_left_out_and_the_rest_averaged():
    rounds = make_rounds(backend="ideal", scheme="ideal", fails={2: (messages.Transmit,)})
    theta, record, *_ = rounds.run(0, ZERO)
    np.testing.assert_allclose(theta, 0.3 * targets(rounds, (0, 1, 3)).mean(axis=0), rtol=1e-5)
    assert record["failures"] == ["cannot transmit"]
    delivered = {
        number: device.delivered for number, device in rounds.proxy.devices.items() if device.delivered
    }
    assert delivered == {0: [True], 1: [True], 2: [False], 3: [True]}
    np.testing.assert_allclose(rounds.proxy.devices[2].memory, -0.3 * targets(rounds, (2,))[0], rtol=1e-5)


@pytest.mark.parametrize("step", [messages.Train, messages.Sound, messages.Prepare, messages.Transmit])
def test_without_a_quorum_the_round_fails_and_changes_nothing(step):
    rounds = make_rounds(fails=dict.fromkeys(range(4), (step,)))
    theta, record, reception, missing, *_ = rounds.run(0, ZERO + 1)
    np.testing.assert_array_equal(theta, ZERO + 1)
    assert reception is None
    assert "0 devices" in record["failed"]
    assert f"cannot {step.__name__.lower()}" in record["failed"]
    assert missing == (0, 1, 2, 3)
    for device in rounds.proxy.devices.values():  # nothing is decided, so that it can be begun again
        assert device.delivered == []
        np.testing.assert_array_equal(device.memory, ZERO)


def test_too_few_who_are_heard_well_fail_the_round_for_good():
    """Nobody is missing: the same channels would bring it about again."""
    rounds = make_rounds(link={"max_residual_rad": 1e-9}, fails={1: ()})
    uplink = TurnedUplink(rounds.uplink)
    uplink.sound = lambda slot, sent: replace(
        rounds.uplink.sound(slot, sent), error_variances=dict.fromkeys(slot.devices, 0.1)
    )
    outcome = replace(rounds, uplink=uplink).run(0, ZERO)
    assert outcome.record["failed"] == "0 devices were heard well enough, fleet.quorum is 1"
    assert outcome.missing == ()
    assert [device.delivered for device in rounds.proxy.devices.values()][:4] == [[False]] * 4


def test_an_estimate_that_is_not_finite_fails_the_round_and_delivers_nothing():
    class Broken:
        num_elements, encode = staticmethod(phase.num_elements), staticmethod(phase.encode)

        @staticmethod
        def decode(reception, plan):
            return np.full(plan.dimension, np.nan)

    rounds = replace(make_rounds(), scheme=Broken)
    theta, record, *_ = rounds.run(0, ZERO)
    np.testing.assert_array_equal(theta, ZERO)
    assert "the decoded estimate is not finite" in record["failed"]
    for device in list(rounds.proxy.devices.values())[:4]:
        assert device.delivered == [False]
        np.testing.assert_array_equal(device.memory, device.update)


def test_updates_that_are_all_zero_fail_the_round():
    rounds = make_rounds()
    for device in rounds.proxy.devices.values():
        device.target = ZERO
    assert rounds.run(0, ZERO).record["failed"] == "every update is zero; nothing to transmit"


def test_an_evaluation_is_the_same_tasks_dealt_over_the_held_out_devices():
    rounds = make_rounds()
    found = evaluate(rounds.experiment, rounds.proxy, ZERO, 5, 0.1)
    losses = [float(np.mean(rounds.proxy.devices[4 + task % 2].target ** 2)) + task for task in range(5)]
    assert found["test_tasks"] == 5
    assert found["loss_after"] == pytest.approx(np.mean(losses))


def test_an_evaluation_that_a_device_cannot_make_is_an_error():
    rounds = make_rounds(fails={5: (messages.Evaluate,)})
    with pytest.raises(RoundFailed, match="cannot evaluate"):
        evaluate(rounds.experiment, rounds.proxy, ZERO, 4, 0.1)


def test_the_probe_is_the_norm_of_the_mean_gradient_over_training_devices():
    rounds = make_rounds()
    mean = targets(rounds, range(4)).mean(axis=0)
    assert probe(rounds.experiment, rounds.proxy, ZERO, 0.1)["meta_gradient_norm2"] == pytest.approx(
        np.dot(mean, mean), rel=1e-5
    )


def test_active_devices_are_drawn_uniformly_without_replacement():
    experiment = build({"fleet": {"devices": 6, "active": 2}})
    drawn = [draw_active(experiment, index) for index in range(3000)]
    assert all(len(set(pair)) == 2 and list(pair) == sorted(pair) for pair in drawn)
    counts = np.bincount(np.ravel(drawn), minlength=6)
    np.testing.assert_allclose(counts, 1000, atol=5 * math.sqrt(3000 * (1 / 3) * (2 / 3)))
    assert draw_active(build({}), 0) == tuple(range(10))


def test_rates_are_constant_or_fall_with_the_root_of_the_round():
    constant, adaptive = build({}), build({"learning": {"schedule": "adaptive"}})
    assert learning_rates(constant, 99) == (0.4, 0.3)
    assert learning_rates(adaptive, 0) == (0.4, 0.3)
    assert learning_rates(adaptive, 99) == pytest.approx((0.04, 0.03))


def test_the_common_scale_is_set_by_the_device_that_needs_most():
    needs = [messages.Prepared(power) for power in (0.25, 4.0, 1.0)]
    assert common_scale(needs) == pytest.approx(0.5)


def test_a_device_that_was_hardly_heard_sits_out_and_keeps_its_update():
    class Deaf:
        """The symbol uplink, whose sounding says that it is unsure of device 1."""

        def __init__(self, uplink):
            self.slot, self.collect, self._uplink = uplink.slot, uplink.collect, uplink
            self.payload_index = uplink.payload_index

        def sound(self, slot, sent):
            found = self._uplink.sound(slot, sent)
            power = np.mean(np.abs(found.channels[1].gains) ** 2)
            return replace(found, error_variances=found.error_variances | {1: 2 * 1.1**2 * power})

    rounds = make_rounds()
    rounds = replace(rounds, uplink=Deaf(rounds.uplink))
    record = rounds.run(0, ZERO).record
    assert (record["sitting_out"], record["devices"]) == ([1], [0, 2, 3])
    assert rounds.proxy.devices[1].delivered == [False]
    np.testing.assert_array_equal(rounds.proxy.devices[1].memory, rounds.proxy.devices[1].update)


@pytest.mark.parametrize(("power", "error", "residual_rad"), [(1.02, 0.02, 0.1), (0.5, 0.5, math.inf)])
def test_the_phase_residual_counts_noise_as_no_gain(power, error, residual_rad):
    heard = Sounding({3: ChannelState(np.full(4, 1j * math.sqrt(power)))}, 1.0, {3: error})
    # sqrt(error / (2 (power - error)))
    assert min(phase_residuals(heard)[3], 1e3) == pytest.approx(min(residual_rad, 1e3))


def test_without_a_model_the_gains_measured_in_the_round_make_the_mean():
    modelled = make_rounds(fading="rayleigh", snr_db=60.0)
    measured = replace(make_rounds(fading="rayleigh", snr_db=60.0), mean_gain=None)
    one, other = (rounds.run(0, ZERO) for rounds in (modelled, measured))
    gains = [abs(modelled.truth.gains(plan_of(modelled, one), device)[0]) for device in range(4)]
    # the same reception, divided by the realised mean of |h| in place of the model's
    np.testing.assert_allclose(
        other.theta * np.mean(gains), one.theta * modelled.mean_gain, rtol=1e-4, atol=1e-6
    )


def test_the_common_scale_backs_off_until_the_highest_peak_fits():
    needs = [messages.Prepared(4.0, peak=0.3), messages.Prepared(1.0, peak=3.0)]
    assert common_scale(needs) == pytest.approx(0.99 / 3.0)
    assert common_scale([messages.Prepared(4.0, peak=0.3)]) == pytest.approx(0.5)  # peak 0.15 at that scale


def test_each_use_of_the_seed_has_a_stream_of_its_own():
    assert len({stream(0, use, 0).random() for use in Use}) == len(Use)


class TurnedUplink:
    """The symbol channel with phases as a waveform would report them; device 1 never gets through."""

    def __init__(self, uplink):
        self.uplink, self.plans = uplink, []

    def slot(self, index, devices):
        return self.uplink.slot(index, devices)

    def sound(self, slot, sent):
        return self.uplink.sound(slot, sent)

    def payload_index(self, sounding):
        return self.uplink.payload_index(sounding)

    def collect(self, plan, sent):
        self.plans.append((plan.devices, tuple(sent)))
        residuals = {device: (0.01 * device, -0.01 * device) for device in sent}
        return replace(
            self.uplink.collect(plan, sent), common_phase_rad=(0.3, 0.4), phase_residuals=residuals
        )


def test_phases_are_recorded_in_the_order_of_the_devices_that_got_through():
    rounds = make_rounds(fails={1: (messages.Transmit,)})
    uplink = TurnedUplink(rounds.uplink)
    record = replace(rounds, uplink=uplink).run(0, ZERO).record
    assert "failed" not in record
    assert uplink.plans == [((0, 1, 2, 3), (0, 2, 3))]  # pilots stay where the plan put them
    assert record["devices"] == [0, 2, 3]
    assert record["common_phase_rad"] == [0.3, 0.4]
    assert record["residual_phase_rad"] == [[0.0, -0.0], [0.02, -0.02], [0.03, -0.03]]
    assert "common_phase_rad" not in make_rounds().run(0, ZERO).record  # nothing turns without a waveform


def test_without_the_truth_of_the_air_the_estimate_is_judged_all_the_same():
    known, unknown = make_rounds(), replace(make_rounds(), truth=None)
    judged, judged_less = known.run(0, ZERO).record, unknown.run(0, ZERO).record
    for key in ("nmse", "nmse_full", "transmit_energy"):
        assert judged_less[key] == judged[key]
    assert judged.keys() - judged_less.keys() == {"nmse_air", "nmse_amplitude", "error_budget"}


def test_samples_that_do_not_come_fail_the_round_and_not_the_run():
    class Dead:
        def __init__(self, uplink):
            self.slot, self.payload_index = uplink.slot, uplink.payload_index

        def sound(self, slot, sent):
            raise TimeoutError("ip:radio: 5 of 5 samples have not come within 30 s")

    rounds = make_rounds()
    outcome = replace(rounds, uplink=Dead(rounds.uplink)).run(0, ZERO)
    assert outcome.record["failed"] == "ip:radio: 5 of 5 samples have not come within 30 s"
    np.testing.assert_array_equal(outcome.theta, ZERO)
