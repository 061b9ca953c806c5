"""What a meta-gradient costs: the three modes on conv4, 5-way 8-shot, one thread, as multiples of first-order."""

import time

import numpy as np
import pytest
import torch

from devices.learning.episodes import draw_task
from devices.learning.glyphs import glyph_pool
from devices.learning.meta_gradient import meta_gradient
from devices.learning.models import conv4

MODES = ("first-order", "hessian-free", "exact")


@pytest.fixture(scope="module")
def problem():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = conv4(5, width=64)
    rng = np.random.default_rng(0)
    yield (
        model,
        torch.tensor(model.initial(rng)),
        draw_task(glyph_pool(0, "train", 20), range(20), 5, 8, 8, rng),
    )
    torch.set_num_threads(threads)


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("mode", MODES)
def test_meta_gradient(benchmark, problem, mode, steps):
    model, theta, task = problem
    benchmark.group = f"meta-gradient, {steps} inner steps"
    benchmark.pedantic(
        lambda: meta_gradient(model.loss, theta, task, rate=0.4, steps=steps, mode=mode),
        rounds=10,
        warmup_rounds=2,
    )


def test_each_mode_as_a_multiple_of_first_order(problem):
    """Modes take turns, so that what else the machine does falls on all of them; the fastest of 15 counts."""
    model, theta, task = problem
    best = dict.fromkeys(MODES, float("inf"))
    for _ in range(15):
        for mode in MODES:
            start = time.perf_counter()
            meta_gradient(model.loss, theta, task, rate=0.4, steps=1, mode=mode)
            best[mode] = min(best[mode], time.perf_counter() - start)
    print()
    for mode, seconds in best.items():
        print(f"{mode:>14}: {1e3 * seconds:6.1f} ms, {seconds / best['first-order']:.2f} x first-order")
