import dataclasses

import numpy as np
import pytest

from devices import messages
from devices.agent import build_agents
from devices.messages import DeviceSettings, LearningSettings, ModelSettings, TaskSettings
from devices.proxy import guarded
from radio.channel_state import ChannelState
from radio.frame import demodulate_frame, element_level, frame_len, payload_elements, payload_offset
from radio.ofdm import OfdmConfig
from radio.sounding import AcquisitionSlot, SoundingSlot, sounding_bursts
from radio.uplink import Plan
from server.metrics import mean_vector

OFDM = OfdmConfig()
LEVEL = element_level(15.0, OFDM)


def settings(**changes):
    values = {
        "seed": 11,
        "task": TaskSettings(ways=3, shots=2, queries=3),
        "model": ModelSettings(name="mlp", width=8),
        "learning": LearningSettings(test_steps=2),
        "scheme": "phase",
        "memory": "long",
        "devices": 2,
        "held_out": 2,
        "classes_per_device": 20,
        "waveform": (OFDM, LEVEL),
    }
    return DeviceSettings(**values | changes)


@pytest.fixture(scope="module")
def agents():
    return build_agents(settings())


def train(agent, index=0, theta=None):
    """The parameters trained from, and what the device has to say after it: memory + change."""
    theta = agent.handle(messages.Initialise()).theta if theta is None else theta
    return theta, agent.handle(messages.Train(index, theta, 0.1, 0.2)).update


def plan_for(agent, index=0, **changes):
    dimension = agent.model.num_parameters
    values = {
        "round": index,
        "seed": 1,
        "devices": (0,),
        "dimension": dimension,
        "num_elements": 1000,
        "num_kept": 50,
    }
    return Plan(**values | changes)


def test_training_devices_hold_training_classes_and_held_out_ones_test_classes(agents):
    assert set(agents) == {0, 1, 2, 3}
    train_names = {
        name for d in (0, 1) for name in np.array(agents[d].data.pool.names)[agents[d].data.classes]
    }
    test_names = {
        name for d in (2, 3) for name in np.array(agents[d].data.pool.names)[agents[d].data.classes]
    }
    assert not train_names & test_names
    assert not set(agents[0].data.classes) & set(agents[1].data.classes)


def test_any_device_has_the_same_initial_parameters(agents):
    first, second = (agents[d].handle(messages.Initialise()).theta for d in (0, 1))
    np.testing.assert_array_equal(first, second)
    other = build_agents(settings(seed=12))[0].handle(messages.Initialise()).theta
    assert (first != other).any()


def test_a_round_end_to_end_on_one_device():
    agent = build_agents(settings())[0]
    _, update = train(agent)
    channel = ChannelState(np.exp(1j * np.linspace(0, 3, OFDM.num_active)), ofdm=OFDM)
    draft = plan_for(agent)
    power = agent.handle(messages.Prepare(draft, channel)).power
    plan = plan_for(agent, scale=1 / np.sqrt(power))
    sent = agent.handle(messages.Transmit(plan))
    ((samples, start_index),) = sent.emitted
    assert (len(samples), start_index) == (frame_len(1000, OFDM), plan.start_index)
    heard = payload_elements(demodulate_frame(samples, LEVEL, OFDM).payload, 1000, OFDM)
    np.testing.assert_allclose(heard, sent.amplitudes, atol=1e-4)
    assert np.mean(np.abs(sent.amplitudes) ** 2) == pytest.approx(1.0)
    assert np.count_nonzero(sent.sent) == 50
    agent.handle(messages.Acknowledge(0, delivered=True))
    np.testing.assert_array_equal(agent.memory, update - sent.sent)
    assert np.count_nonzero(agent.memory) <= agent.model.num_parameters - 50


def test_memory_is_committed_only_by_the_acknowledgement_of_its_round():
    agent = build_agents(settings())[0]
    theta, _ = train(agent)
    assert not agent.memory.any()
    agent.handle(messages.Acknowledge(7, delivered=True))  # another round's: nothing of ours
    assert not agent.memory.any()
    agent.handle(messages.Acknowledge(0, delivered=False))
    withheld = agent.memory.copy()
    assert withheld.any()
    agent.handle(messages.Acknowledge(0, delivered=False))  # a second time changes nothing
    np.testing.assert_array_equal(agent.memory, withheld)
    _, update = train(agent, 1, theta)
    _, delta = train(build_agents(settings())[0], 1, theta)
    np.testing.assert_allclose(update, delta + withheld, rtol=1e-6)


def test_a_round_depends_on_seed_and_index_only_not_on_what_ran_before(agents):
    theta = agents[0].handle(messages.Initialise()).theta
    norms = []
    for history in ((), (0, 1)):
        fresh = build_agents(settings())[0]
        for index in history:
            fresh.handle(messages.Train(index, theta, 0.1, 0.2))
        norms.append(fresh.handle(messages.Train(5, theta, 0.1, 0.2)).update_norm2)
    assert norms[0] == norms[1]


def test_a_device_sounds_its_own_pilots(agents):
    slot = SoundingSlot(round=0, devices=(0, 1), start_index=0)
    (sounded,) = agents[1].handle(messages.Sound(slot)).emitted
    np.testing.assert_allclose(sounded.samples, LEVEL * sounding_bursts(slot, 1, OFDM)[0].samples, rtol=1e-6)
    turn = AcquisitionSlot(round=0, devices=(0, 1), start_index=0, turn_len=2000, sounding=(0, 1))
    (alone,) = agents[1].handle(messages.Sound(turn)).emitted
    assert alone.start_index == 2000 + (2000 - len(alone.samples)) // 2


def test_without_a_waveform_amplitudes_travel():
    agent = build_agents(settings(waveform=None))[0]
    assert len(agent.handle(messages.Sound(SoundingSlot(round=0, devices=(0,), start_index=0))).emitted) == 0
    train(agent)
    agent.handle(messages.Prepare(plan_for(agent), ChannelState(np.ones(1, complex))))
    sent = agent.handle(messages.Transmit(plan_for(agent)))
    np.testing.assert_array_equal(sent.emitted[0].samples, sent.amplitudes)


def test_test_tasks_are_numbered_and_the_same_whoever_asks(agents):
    theta = agents[2].handle(messages.Initialise()).theta
    together = agents[2].handle(messages.Evaluate(theta, (0, 1, 2), 0.1))
    alone = agents[2].handle(messages.Evaluate(theta, (2,), 0.1))
    assert together.loss_after[2] == alone.loss_after[0]
    assert len(set(together.loss_after)) == 3


def test_the_probe_is_the_mean_gradient_of_its_tasks(agents):
    theta = agents[0].handle(messages.Initialise()).theta
    one, two = (agents[0].handle(messages.Probe(theta, 0.1, count)) for count in (1, 2))
    # gradients of tasks 0 and 1 average to the probe of two: so task 1's is 2 * two - one
    second = 2 * two.gradient - one.gradient
    np.testing.assert_allclose(mean_vector([one.gradient, second]), two.gradient, rtol=1e-4, atol=1e-6)
    assert (one.gradient != two.gradient).any()
    again = agents[0].handle(messages.Probe(theta, 0.1, 1))
    np.testing.assert_array_equal(one.gradient, again.gradient)


def test_memory_is_saved_and_restored():
    agent = build_agents(settings())[0]
    train(agent)
    agent.handle(messages.Acknowledge(0, delivered=False))
    saved = agent.handle(messages.Save())
    twin = build_agents(settings())[0]
    assert twin.handle(messages.Memory(saved.values)) == messages.Done()
    np.testing.assert_array_equal(twin.memory, agent.memory)


def test_requests_out_of_turn_are_refused(agents):
    agent = build_agents(settings())[0]
    with pytest.raises(ValueError, match="request for round 0, but the round in hand is none; train first"):
        agent.handle(messages.Transmit(plan_for(agent)))
    train(agent)
    with pytest.raises(ValueError, match="no channel is known in round 0; prepare first"):
        agent.handle(messages.Transmit(plan_for(agent)))
    with pytest.raises(ValueError, match="request for round 1, but the round in hand is 0"):
        agent.handle(messages.Transmit(plan_for(agent, 1)))


def test_a_diverged_update_is_an_error_that_says_what_to_lower():
    agent = build_agents(settings())[0]
    theta = np.full(agent.model.num_parameters, np.nan, np.float32)
    with pytest.raises(
        ArithmeticError, match=r"update of round 0 is not finite at outer rate 0.2.*lower learning.outer_rate"
    ):
        train(agent, theta=theta)


def test_the_peak_reported_is_that_of_the_payload_sent():
    agent = build_agents(settings())[0]
    train(agent)
    need = agent.handle(messages.Prepare(plan_for(agent), ChannelState(np.ones(1, complex))))
    emitted = agent.handle(messages.Transmit(plan_for(agent, scale=0.5))).emitted[0]
    payload = emitted.samples[payload_offset(OFDM) : -OFDM.symbol_len]
    assert 0.5 * need.peak == pytest.approx(np.abs(payload.view(np.float32)).max(), rel=1e-5)


def test_with_a_comb_the_peak_reported_leaves_room_for_it():
    comb = dataclasses.replace(OFDM, num_pilots=16)
    agent = build_agents(settings(waveform=(comb, LEVEL)))[0]
    train(agent)
    channel = ChannelState(np.exp(1j * np.linspace(0, 3, OFDM.num_active)), ofdm=comb)
    need = agent.handle(messages.Prepare(plan_for(agent), channel))
    emitted = agent.handle(messages.Transmit(plan_for(agent, scale=0.99 / need.peak))).emitted[0]
    payload = emitted.samples[payload_offset(comb) : -comb.symbol_len]
    assert 0.7 < np.abs(payload.view(np.float32)).max() < 1.0


def test_peaks_beyond_full_scale_are_this_devices_failure():
    agent = build_agents(settings())[0]
    train(agent)
    answer = guarded(agent.handle, 0)
    need = answer(messages.Prepare(plan_for(agent), ChannelState(np.ones(1, complex))))
    reply = answer(messages.Transmit(plan_for(agent, scale=1.1 / need.peak)))
    assert isinstance(reply, messages.Failed)
    assert "exceed full scale: peak 1.10" in reply.reason
    agent.handle(messages.Acknowledge(0, delivered=False))
    assert agent.memory.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes_per_device": 10_000}, "classes_per_device is 10000"),
        ({"task": TaskSettings(ways=21, shots=1, queries=1)}, "ways is 21, 20 classes to choose from"),
        ({"task": TaskSettings(ways=3, shots=15, queries=15)}, r"shots \+ queries is 15 \+ 15"),
        ({"task": TaskSettings(name="runes")}, "runes"),
        ({"model": ModelSettings(name="deep")}, "unknown model 'deep'"),
        ({"scheme": "smoke"}, "link.scheme = 'smoke' is unknown"),
    ],
)
def test_what_cannot_be_built_is_refused_before_any_round(changes, message):
    with pytest.raises(ValueError, match=message):
        build_agents(settings(**changes))
