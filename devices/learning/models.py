"""Models as functions of one flat parameter vector; nothing is hidden in a module.

Batch norm uses the statistics of the batch at hand, always: running statistics are state that no device sends,
and they make an inner loop depend on what ran before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from devices.learning.episodes import Batch
from devices.learning.plugins import is_reference, load_object

Params = Mapping[str, Tensor]
Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Model:
    """A classifier and the layout of its parameters.

    shapes: (name, shape) in the order in which the flat vector holds them, each in row-major order.
    logits: (parameters by name, x of shape (n, *input)) -> (n, ways).
    initial: generator -> (num_parameters,) float32; the same generator state gives the same bits anywhere.
    """

    name: str
    shapes: Shapes
    logits: Callable[[Params, Tensor], Tensor]
    initial: Callable[[np.random.Generator], NDArray[np.float32]]

    @property
    def num_parameters(self) -> int:
        return sum(prod(shape) for _, shape in self.shapes)

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """Views into theta, (num_parameters,), by name. Raises ValueError for another shape."""
        if tuple(theta.shape) != (self.num_parameters,):
            raise ValueError(
                f"parameters have shape {tuple(theta.shape)}; {self.name} takes ({self.num_parameters},)"
            )
        # One split, not a slice each: the backward pass of a slice allocates the full vector every time.
        pieces = theta.split([prod(shape) for _, shape in self.shapes])
        return {name: piece.view(shape) for (name, shape), piece in zip(self.shapes, pieces, strict=True)}

    def flatten(self, params: Params) -> Tensor:
        """The flat vector, (num_parameters,), of parameters by name; inverse of `unflatten`."""
        return torch.cat([params[name].reshape(-1) for name, _ in self.shapes])

    def loss(self, theta: Tensor, batch: Batch) -> Tensor:
        """Mean cross entropy in nats, a scalar; differentiable in theta, (num_parameters,)."""
        return F.cross_entropy(self.logits(self.unflatten(theta), batch.x), batch.y)


def conv4(ways: int, width: int = 64, input_shape: tuple[int, ...] = (28, 28)) -> Model:
    """Four 3x3 convolutions of stride 2, each with batch norm and ReLU, and a linear layer.

    width: filters of each convolution. input_shape: (height, width) or (channels, height, width).
    113,221 parameters for 5 ways, width 64 and 28x28. Raises ValueError for sizes below 1 or inputs not 2-D or 3-D.
    After the strided model of Finn, Abbeel, Levine, Model-agnostic meta-learning, ICML 2017.
    """
    _check_sizes(ways, width, input_shape)
    if len(input_shape) not in (2, 3):
        raise ValueError(
            f"conv4 takes (height, width) or (channels, height, width), got {input_shape}; use 'mlp'"
        )
    channels, height, breadth = (1, *input_shape)[-3:]
    shapes: list[tuple[str, tuple[int, ...]]] = []
    for layer in range(4):
        shapes += [
            (f"conv{layer}.weight", (width, width if layer else channels, 3, 3)),
            (f"conv{layer}.bias", (width,)),
            (f"norm{layer}.weight", (width,)),
            (f"norm{layer}.bias", (width,)),
        ]
        height, breadth = (height + 1) // 2, (breadth + 1) // 2
    shapes += [("linear.weight", (ways, width * height * breadth)), ("linear.bias", (ways,))]

    def logits(params: Params, x: Tensor) -> Tensor:
        for layer in range(4):
            x = F.conv2d(x, params[f"conv{layer}.weight"], params[f"conv{layer}.bias"], stride=2, padding=1)
            scale, shift = params[f"norm{layer}.weight"], params[f"norm{layer}.bias"]
            x = F.relu(F.batch_norm(x, None, None, scale, shift, training=True))
        return F.linear(x.flatten(1), params["linear.weight"], params["linear.bias"])

    return Model("conv4", tuple(shapes), logits, lambda rng: _draw_initial(tuple(shapes), rng))


def mlp(ways: int, width: int = 64, input_shape: tuple[int, ...] = (28, 28)) -> Model:
    """Two hidden ReLU layers of `width` units, inputs flattened. Raises ValueError for sizes below 1."""
    _check_sizes(ways, width, input_shape)
    sizes = (prod(input_shape), width, width, ways)
    shapes: list[tuple[str, tuple[int, ...]]] = []
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        shapes += [(f"linear{layer}.weight", (fan_out, fan_in)), (f"linear{layer}.bias", (fan_out,))]

    def logits(params: Params, x: Tensor) -> Tensor:
        x = F.relu(F.linear(x.flatten(1), params["linear0.weight"], params["linear0.bias"]))
        x = F.relu(F.linear(x, params["linear1.weight"], params["linear1.bias"]))
        return F.linear(x, params["linear2.weight"], params["linear2.bias"])

    return Model("mlp", tuple(shapes), logits, lambda rng: _draw_initial(tuple(shapes), rng))


def load_model(name: str, ways: int, width: int, input_shape: tuple[int, ...]) -> Model:
    """The model of an experiment.

    name: "conv4", "mlp", or "package.module:object", a callable `(ways, width, input_shape) -> Model`.
    Raises ValueError for an unknown name or sizes that do not fit, PluginError for a reference that leads nowhere.
    """
    built_in = {"conv4": conv4, "mlp": mlp}
    if not is_reference(name):
        if name not in built_in:
            raise ValueError(f"unknown model {name!r}; use 'conv4', 'mlp' or 'package.module:object'")
        return built_in[name](ways, width, input_shape)
    loaded = load_object(name)
    if not callable(loaded):
        raise ValueError(f"model {name!r} is a {type(loaded).__name__}; name a callable that returns a Model")
    model = loaded(ways, width, input_shape)
    if not isinstance(model, Model):
        raise ValueError(f"model {name!r} returned a {type(model).__name__}; return a devices.learning Model")
    return model


def _check_sizes(ways: int, width: int, input_shape: tuple[int, ...]) -> None:
    if min(ways, width, *input_shape, 1) < 1 or not input_shape:
        raise ValueError(f"ways {ways}, width {width}, input {input_shape}: each must be at least 1")


def _draw_initial(shapes: Shapes, rng: np.random.Generator) -> NDArray[np.float32]:
    """Hidden weights normal with variance 1 / (3 fan-in), norm scales 1/2, the last layer and all biases 0.

    Chosen for what comes next, an inner step at a rate like 0.4: with unit scales and a random last layer it
    overshoots, the loss after adaptation starts far above ln(ways), and the first meta-gradients are wild. The
    variance is that of torch's own layers; batch norm makes the effective rate grow as weights shrink.
    """
    last = shapes[-2][0]

    def draw(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        if len(shape) > 1 and name != last:
            return rng.standard_normal(shape) / np.sqrt(3 * prod(shape[1:]))
        return np.full(shape, 0.5 if name.startswith("norm") and name.endswith("weight") else 0.0)

    return np.concatenate([draw(name, shape).ravel() for name, shape in shapes]).astype(np.float32)
