"""A model of one's own: a linear classifier. The order of `shapes` is the order of the flat vector."""

from math import prod

import numpy as np

from devices.learning.models import Model


def linear(ways: int, width: int, input_shape: tuple[int, ...]) -> Model:
    """`model.width` means nothing to a model without hidden units, so it is not used."""
    shapes = (("weight", (ways, prod(input_shape))), ("bias", (ways,)))
    num_parameters = ways * (prod(input_shape) + 1)

    def logits(params, x):
        return x.flatten(1) @ params["weight"].T + params["bias"]

    return Model("linear", shapes, logits, lambda rng: np.zeros(num_parameters, dtype=np.float32))
