import math

import numpy as np
import pytest
import torch

from devices.learning.episodes import Batch, Task
from devices.learning.evaluation import score
from devices.learning.models import Model

# Logits (w x, 0): the whole model is one number, and every score can be computed by hand.
ONE_WEIGHT = Model(
    "line",
    (("w", (1,)),),
    lambda params, x: torch.cat([params["w"] * x, torch.zeros_like(x)], 1),
    lambda rng: np.zeros(1, np.float32),
)


def test_scores_are_those_of_the_query_set_before_and_after_the_inner_steps():
    support = Batch(torch.tensor([[1.0]]), torch.tensor([0]))
    query = Batch(torch.tensor([[2.0], [3.0], [-1.0], [1.0]]), torch.tensor([0, 0, 1, 1]))
    result = score(ONE_WEIGHT, torch.tensor([-1.0]), Task(support, query), rate=2.0, steps=2)

    w = -1.0
    for _ in range(2):  # d/dw log(1 + exp(-w)) = -1 / (1 + exp(w))
        w += 2.0 / (1 + math.exp(w))

    def loss(w: float) -> float:
        margins = (2 * w, 3 * w, w, -w)  # signed so that positive is right
        return sum(math.log1p(math.exp(-margin)) for margin in margins) / 4

    assert w > 0
    assert result.loss_before == pytest.approx(loss(-1.0), rel=1e-6)
    assert result.loss_after == pytest.approx(loss(w), rel=1e-6)
    assert result.accuracy_before == 0.25  # only the last one
    assert result.accuracy_after == 0.75  # all but the last one


def test_no_inner_step_changes_nothing():
    batch = Batch(torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 1]))
    result = score(ONE_WEIGHT, torch.tensor([0.5]), Task(batch, batch), rate=1.0, steps=0)
    assert result.loss_before == result.loss_after
    assert result.accuracy_before == result.accuracy_after == 1.0
