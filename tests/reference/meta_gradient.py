"""The meta-gradient as the textbook writes it: explicit Hessians, explicit matrix product. Slow, small d only."""

import torch
from torch import Tensor
from torch.autograd.functional import hessian, jacobian

from devices.learning.episodes import Batch, Task
from devices.learning.meta_gradient import Loss


def gradient(loss: Loss, theta: Tensor, batch: Batch) -> Tensor:
    return jacobian(lambda point: loss(point, batch), theta)


def path(loss: Loss, theta: Tensor, batch: Batch, rate: float, steps: int) -> list[Tensor]:
    points = [theta]
    for _ in range(steps):
        points.append(points[-1] - rate * gradient(loss, points[-1], batch))
    return points


def meta_gradient(
    loss: Loss, theta: Tensor, task: Task, rate: float, steps: int, *, reverse: bool = False
) -> Tensor:
    """(I - a H(z^0)) (I - a H(z^1)) ... (I - a H(z^{nu-1})) grad f(z^nu). Jamali, Saber, Bae, arXiv 2504.21327.

    reverse: the factors in the wrong order, to show that a test can tell.
    """
    *points, end = path(loss, theta, task.support, rate, steps)
    product = torch.eye(len(theta), dtype=theta.dtype)
    for point in reversed(points) if reverse else points:
        curvature = hessian(lambda z: loss(z, task.support), point)
        product = product @ (torch.eye(len(theta), dtype=theta.dtype) - rate * curvature)
    return product @ gradient(loss, end, task.query)
