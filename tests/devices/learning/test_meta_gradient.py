from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from devices.learning.episodes import Batch, Task, draw_task
from devices.learning.glyphs import glyph_pool
from devices.learning.meta_gradient import adapt, local_update, meta_gradient
from devices.learning.models import conv4
from tests.reference import meta_gradient as reference

DIM = 6
RATE = 0.1
MODES = ("exact", "hessian-free", "first-order")


def draws(seed: int, *shape: int) -> Tensor:
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape))


def quadratic(theta: Tensor, batch: Batch) -> Tensor:
    """0.5 (w - a)' A (w - a) with A in batch.x and a in batch.y."""
    off = theta - batch.y
    return 0.5 * off @ batch.x @ off


def bowl(seed: int) -> Batch:
    root = draws(seed, DIM, DIM)
    return Batch(root @ root.T / DIM, draws(seed + 1, DIM))


def curved(theta: Tensor, batch: Batch) -> Tensor:
    """Smooth, with a Hessian that turns from point to point, so that the factors do not commute."""
    return torch.nn.functional.softplus(batch.x @ theta - batch.y).mean() + 0.05 * (theta**4).sum()


def landscape(seed: int) -> Batch:
    return Batch(3 * draws(seed, 12, DIM), draws(seed + 1, 12))


THETA = draws(0, DIM)
QUADRATIC = Task(bowl(1), bowl(3))
CURVED = Task(landscape(5), landscape(7))


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_on_a_quadratic_every_mode_is_known_in_closed_form(steps):
    (curvature, low), (query_curvature, query_low) = QUADRATIC
    shrink = torch.linalg.matrix_power(torch.eye(DIM) - RATE * curvature, steps)
    end = low + shrink @ (THETA - low)
    first_order = query_curvature @ (end - query_low)
    wanted = {"first-order": first_order, "exact": shrink @ first_order, "hessian-free": shrink @ first_order}
    torch.testing.assert_close(adapt(quadratic, THETA, QUADRATIC.support, RATE, steps), end)
    for mode in MODES:  # differences of a linear gradient err by rounding only: 1e-16 over a step of 1e-4
        got = meta_gradient(quadratic, THETA, QUADRATIC, rate=RATE, steps=steps, mode=mode)
        torch.testing.assert_close(got, wanted[mode], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_exact_is_the_explicit_product_of_hessians_in_the_right_order(steps):
    wanted = reference.meta_gradient(curved, THETA, CURVED, RATE, steps)
    got = meta_gradient(curved, THETA, CURVED, rate=RATE, steps=steps, mode="exact")
    assert relative(got, wanted) < 1e-12


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_hessian_free_errs_by_the_square_of_its_step(steps):
    wanted = reference.meta_gradient(curved, THETA, CURVED, RATE, steps)
    got = meta_gradient(curved, THETA, CURVED, rate=RATE, steps=steps, mode="hessian-free")
    assert relative(got, wanted) < 1e-7  # step 1e-4 squared, times third derivatives of order 10


@pytest.mark.parametrize("steps", [3, 5])
def test_the_reversed_product_would_be_noticed(steps):
    wanted = reference.meta_gradient(curved, THETA, CURVED, RATE, steps)
    reversed_order = reference.meta_gradient(curved, THETA, CURVED, RATE, steps, reverse=True)
    assert relative(reversed_order, wanted) > 1e-4  # a thousand times the tolerance above


def test_exact_is_the_slope_of_the_loss_after_adaptation():
    def objective(point: Tensor) -> float:
        return float(curved(adapt(curved, point, CURVED.support, RATE, 3), CURVED.query))

    step = 1e-5
    slopes = [
        (objective(THETA + step * e) - objective(THETA - step * e)) / (2 * step) for e in torch.eye(DIM)
    ]
    got = meta_gradient(curved, THETA, CURVED, rate=RATE, steps=3, mode="exact")
    torch.testing.assert_close(got, torch.tensor(slopes, dtype=torch.float64), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_first_order_bias_is_within_its_bound(steps):
    smoothness = float(torch.linalg.eigvalsh(QUADRATIC.support.x).max())
    exact = meta_gradient(quadratic, THETA, QUADRATIC, rate=RATE, steps=steps, mode="exact")
    first = meta_gradient(quadratic, THETA, QUADRATIC, rate=RATE, steps=steps, mode="first-order")
    bound = ((1 + RATE * smoothness) ** steps - 1) * first.norm()
    assert 0.05 * bound < (exact - first).norm() <= bound


def test_exact_holds_for_a_network_with_batch_norm():
    model = conv4(2, width=2, input_shape=(8, 8))
    theta = torch.tensor(model.initial(np.random.default_rng(0)), dtype=torch.float64)
    task = Task(
        Batch(draws(1, 8, 1, 8, 8), torch.arange(8) % 2), Batch(draws(2, 6, 1, 8, 8), torch.arange(6) % 2)
    )
    wanted = reference.meta_gradient(model.loss, theta, task, 0.4, 3)
    got = meta_gradient(model.loss, theta, task, rate=0.4, steps=3, mode="exact")
    assert relative(got, wanted) < 1e-9


@pytest.mark.parametrize("mode", MODES)
def test_the_parameters_are_left_as_they_were(mode):
    theta = THETA.clone()
    with torch.no_grad():  # whatever the caller's mode, the gradient is computed
        got = meta_gradient(curved, theta, CURVED, rate=RATE, steps=3, mode=mode)
    assert torch.equal(theta, THETA)
    assert not theta.requires_grad
    assert theta.grad is None
    assert not got.requires_grad


def test_hessian_free_of_a_vanishing_gradient_is_zero():
    task = Task(QUADRATIC.support, Batch(torch.zeros(DIM, DIM, dtype=torch.float64), THETA))
    got = meta_gradient(quadratic, THETA, task, rate=RATE, steps=1, mode="hessian-free")
    assert torch.equal(got, torch.zeros(DIM, dtype=torch.float64))


def test_another_mode_or_no_step_is_an_error():
    with pytest.raises(ValueError, match=r"inner steps is 0; choose at least 1"):
        meta_gradient(curved, THETA, CURVED, rate=RATE, steps=0, mode="exact")
    with pytest.raises(ValueError, match=r"gradient mode is 'second'; choose 'exact'"):
        meta_gradient(curved, THETA, CURVED, rate=RATE, steps=1, mode="second")


def test_hessian_free_in_half_precision_is_an_error():
    task = Task(*(Batch(batch.x.bfloat16(), batch.y.bfloat16()) for batch in CURVED))
    with pytest.raises(ValueError, match=r"no difference step for torch\.bfloat16; use float32 or float64"):
        meta_gradient(curved, THETA.bfloat16(), task, rate=RATE, steps=1, mode="hessian-free")


def test_local_update_is_gradient_descent_on_the_mean_meta_gradient():
    other = Task(landscape(9), landscape(11))
    steps = [[CURVED, other], [other], [CURVED, other]]
    end = THETA
    for tasks in steps:
        gradients = [reference.meta_gradient(curved, end, task, RATE, 3) for task in tasks]
        end = end - 0.2 * torch.stack(gradients).mean(0)
    delta = local_update(curved, THETA, steps, inner_rate=RATE, outer_rate=0.2, inner_steps=3, mode="exact")
    torch.testing.assert_close(delta, THETA - end, rtol=1e-12, atol=1e-12)


def test_a_local_step_without_tasks_is_an_error():
    with pytest.raises(ValueError, match="local step 1 has no task"):
        local_update(
            curved, THETA, [[CURVED], []], inner_rate=RATE, outer_rate=0.2, inner_steps=1, mode="exact"
        )


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def glyph_problem():
    pool = glyph_pool(0, "train", 20)
    model = conv4(5, width=16)
    theta = torch.tensor(model.initial(np.random.default_rng(0)))
    tasks = [draw_task(pool, range(20), 5, 3, 3, np.random.default_rng(seed)) for seed in range(6)]
    return model, theta, tasks


@pytest.mark.parametrize("mode", MODES)
def test_threads_at_once_give_the_bits_of_one(one_thread, mode):
    model, theta, tasks = glyph_problem()

    def work(task: Task) -> Tensor:
        torch.set_num_threads(1)  # the setting belongs to a thread's OpenMP team, so every worker makes it
        return meta_gradient(model.loss, theta, task, rate=0.4, steps=2, mode=mode)

    alone = [work(task) for task in tasks]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert all(torch.equal(a, b) for a, b in zip(alone, pool.map(work, tasks), strict=True))


def test_the_place_of_the_parameters_in_memory_does_not_change_the_bits(one_thread):
    model, theta, tasks = glyph_problem()
    aligned = meta_gradient(model.loss, theta, tasks[0], rate=0.4, steps=1, mode="exact")
    for offset in (1, 3, 4, 7):
        shifted = torch.empty(len(theta) + offset)[offset:].copy_(theta)
        assert torch.equal(
            meta_gradient(model.loss, shifted, tasks[0], rate=0.4, steps=1, mode="exact"), aligned
        )
