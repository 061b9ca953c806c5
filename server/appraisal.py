"""What devices are asked between rounds: scores, the meta-gradient's norm, parameters, memories."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices import messages
from devices.messages import Scores
from devices.proxy import DeviceProxy
from server.asking import demand
from server.config import Experiment
from server.metrics import mean_vector, summarise_scores

Record = dict[str, Any]
Parameters = NDArray[np.float32]


def evaluate(
    experiment: Experiment, proxy: DeviceProxy, theta: Parameters, num_tasks: int, inner_rate: float
) -> Record:
    """Held-out devices fine-tune on the first `num_tasks` test tasks, dealt to them in turn."""
    fleet = experiment.fleet
    held_out = [fleet.devices + number for number in range(fleet.held_out)]
    dealt = {
        device: tuple(range(turn, num_tasks, len(held_out)))
        for turn, device in enumerate(held_out)
        if turn < num_tasks
    }
    replies = demand(
        proxy, {device: messages.Evaluate(theta, tasks, inner_rate) for device, tasks in dealt.items()}
    )
    by_task: dict[int, tuple[float, ...]] = {}
    for device, tasks in dealt.items():
        scores = replies[device]
        assert isinstance(scores, Scores)
        rows = zip(
            scores.loss_before,
            scores.loss_after,
            scores.accuracy_before,
            scores.accuracy_after,
            strict=True,
        )
        by_task.update(zip(tasks, rows, strict=True))
    return summarise_scores(Scores(*zip(*(by_task[task] for task in range(num_tasks)), strict=True)))


def probe(experiment: Experiment, proxy: DeviceProxy, theta: Parameters, inner_rate: float) -> Record:
    """Squared norm of the gradient of the meta-training loss over all devices, on their fixed probe tasks."""
    request = messages.Probe(theta, inner_rate, experiment.run.probe_tasks)
    replies = demand(proxy, dict.fromkeys(range(experiment.fleet.devices), request))
    probed = [reply for reply in replies.values() if isinstance(reply, messages.Probed)]
    gradient = mean_vector([reply.gradient for reply in probed])
    return {
        "meta_gradient_norm2": float(np.dot(gradient, gradient)),
        "meta_loss": math.fsum(reply.loss for reply in probed) / len(probed),
    }


def initial_parameters(proxy: DeviceProxy) -> Parameters:
    """From the first device: the server does not know the model."""
    reply = demand(proxy, {0: messages.Initialise()})[0]
    assert isinstance(reply, messages.Initial)
    return reply.theta


def save_memories(experiment: Experiment, proxy: DeviceProxy) -> dict[int, Parameters]:
    """Every device's error-feedback memory."""
    replies = demand(proxy, dict.fromkeys(range(experiment.fleet.devices), messages.Save()))
    return {device: reply.values for device, reply in replies.items() if isinstance(reply, messages.Memory)}


def restore_memories(proxy: DeviceProxy, memories: Mapping[int, Parameters]) -> None:
    """Inverse of `save_memories`."""
    demand(proxy, {device: messages.Memory(values) for device, values in memories.items()})
