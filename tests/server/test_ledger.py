"""The server's idea of a device's memory is the device's own, whatever was delivered, for every kind of memory."""

import numpy as np
import pytest

from devices import messages
from devices.agent import build_agents
from radio.channel_state import ChannelState
from server.ledger import Ledger
from tests.devices.test_agent import plan_for, settings


@pytest.mark.parametrize("kind", ["long", "short", "none"])
def test_after_every_outcome_of_a_round_ledger_and_device_agree(kind):
    agent = build_agents(settings(memory=kind, waveform=None))[0]
    theta = agent.handle(messages.Initialise()).theta
    ledger = Ledger()

    def tell(request):
        ledger.asked(0, request)
        reply = agent.handle(request)
        ledger.answered(0, request, reply)

    outcomes = [("sent", True), ("sent", False), ("trained", False), ("sent", True), ("sent twice", True)]
    for index, (reached, delivered) in enumerate(outcomes):
        tell(messages.Train(index, theta, 0.1, 0.2))
        plan = plan_for(agent, index)
        if reached.startswith("sent"):
            tell(messages.Prepare(plan, ChannelState(np.ones(1, np.complex128))))
            for _ in reached.split():
                tell(messages.Transmit(plan))
        tell(messages.Acknowledge(index, delivered))
        tell(messages.Acknowledge(index, not delivered))  # a second word changes nothing
        np.testing.assert_array_equal(ledger.memories[0], agent.memory)
    assert agent.memory.any() == (kind != "none")


def test_who_never_decided_anything_remembers_nothing_as_the_device_itself_would_say():
    agent, ledger = build_agents(settings(waveform=None))[0], Ledger()
    assert ledger.memory(0) is None  # nobody knows of how many parameters
    reply = agent.handle(messages.Initialise())
    ledger.answered(1, messages.Initialise(), reply)
    np.testing.assert_array_equal(ledger.memory(0), agent.handle(messages.Save()).values)


def test_a_decision_holds_without_the_device_hearing_of_it():
    agent = build_agents(settings(waveform=None))[0]
    theta = agent.handle(messages.Initialise()).theta
    ledger, train = Ledger(), messages.Train(0, theta, 0.1, 0.2)
    ledger.answered(0, train, agent.handle(train))
    ledger.asked(0, messages.Acknowledge(0, False))  # and the process is gone
    agent.handle(messages.Acknowledge(0, False))
    np.testing.assert_array_equal(ledger.memories[0], agent.memory)


def test_a_memory_that_is_restored_ends_the_round_in_hand():
    ledger, theta = Ledger(), np.ones(3, np.float32)
    ledger.answered(0, messages.Train(0, theta, 0.1, 0.2), messages.Trained(1.0, 2 * theta))
    ledger.asked(0, messages.Memory(theta))
    ledger.asked(0, messages.Acknowledge(0, True))
    np.testing.assert_array_equal(ledger.memories[0], theta)


def test_an_acknowledgement_of_another_round_decides_nothing():
    ledger, theta = Ledger(), np.ones(3, np.float32)
    ledger.answered(0, messages.Train(1, theta, 0.1, 0.2), messages.Trained(1.0, theta))
    ledger.asked(0, messages.Acknowledge(0, False))
    assert ledger.memories == {}
