"""What a meta-gradient costs: the three modes on conv4, 5-way 8-shot, one thread, as multiples of first-order."""

from functools import partial

import numpy as np
import pytest
import torch

from benchmarks.turns import in_turns, show
from devices.learning.episodes import draw_task
from devices.learning.glyphs import glyph_pool
from devices.learning.meta_gradient import Mode, meta_gradient
from devices.learning.models import conv4

MODES: tuple[Mode, ...] = ("first-order", "hessian-free", "exact")


@pytest.mark.parametrize("steps", [1, 5])
def test_meta_gradient_modes(steps):
    torch.set_num_threads(1)
    model = conv4(5, width=64)
    rng = np.random.default_rng(0)
    theta = torch.tensor(model.initial(rng))
    task = draw_task(glyph_pool(0, "train", 20), range(20), 5, 8, 8, rng)
    rivals: dict[str, partial[object]] = {
        mode: partial(meta_gradient, model.loss, theta, task, rate=0.4, steps=steps, mode=mode)
        for mode in MODES
    }
    show(f"meta-gradient, conv4, 5-way 8-shot, nu = {steps}", in_turns(rivals, 12), "first-order")
