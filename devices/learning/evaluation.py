"""How well parameters adapt to a task that they have not seen."""

from typing import NamedTuple

import torch
from torch import Tensor

from devices.learning.episodes import Batch, Task
from devices.learning.meta_gradient import adapt
from devices.learning.models import Model


class TaskScore(NamedTuple):
    """On the query set of a task, before and after fine-tuning: mean cross entropy in nats, accuracy in [0, 1]."""

    loss_before: float
    loss_after: float
    accuracy_before: float
    accuracy_after: float


def score(model: Model, theta: Tensor, task: Task, rate: float, steps: int) -> TaskScore:
    """Fine-tune on the support set by `steps` steps of `rate`; judge on the query set before and after.

    theta: (d,). The query set is one batch, and where the model has batch norm its statistics are those of the
    whole batch: the transductive setting of Finn, Abbeel, Levine, ICML 2017.
    """
    adapted = adapt(model.loss, theta, task.support, rate, steps)
    loss_before, accuracy_before = _judge(model, theta, task.query)
    loss_after, accuracy_after = _judge(model, adapted, task.query)
    return TaskScore(loss_before, loss_after, accuracy_before, accuracy_after)


def _judge(model: Model, theta: Tensor, batch: Batch) -> tuple[float, float]:
    with torch.no_grad():
        logits = model.logits(model.unflatten(theta), batch.x)
        loss = torch.nn.functional.cross_entropy(logits, batch.y)
        return float(loss), float((logits.argmax(1) == batch.y).float().mean())
