import numpy as np
import pytest
import torch
from torch import nn

from devices.learning.episodes import Batch
from devices.learning.models import Model, conv4, load_model, mlp
from devices.learning.plugins import PluginError

TWO_SHAPES = (("weight", (2, 3)), ("bias", (2,)))


def one_layer(ways, width, input_shape):
    """A model that people bring along."""
    return Model(
        "own", TWO_SHAPES, lambda params, x: x @ params["weight"].T + params["bias"], lambda rng: None
    )


def not_a_model(ways, width, input_shape):
    return "conv4"


NUMBER = 3


def test_conv4_has_the_parameters_of_the_reference_run():
    assert conv4(5).num_parameters == 113_221  # shared data/omniglot/README.md


def test_conv4_counts_by_hand_for_three_channels_and_odd_sides():
    # 9 x 5 -> 5 x 3 -> 3 x 2 -> 2 x 1 -> 1 x 1; width 2: (3*2*9+2) + 3*(2*2*9+2) + 4*4 + (4*2+4)
    assert conv4(4, 2, (3, 9, 5)).num_parameters == 56 + 114 + 16 + 12


@pytest.mark.parametrize("model", [conv4(5, 4), mlp(5, 7), conv4(3, 2, (3, 9, 5)), mlp(2, 3, (4,))])
def test_flatten_undoes_unflatten(model):
    theta = torch.tensor(model.initial(np.random.default_rng(0)))
    params = model.unflatten(theta)
    assert [(name, tuple(value.shape)) for name, value in params.items()] == list(model.shapes)
    assert torch.equal(model.flatten(params), theta)
    assert all(
        value.untyped_storage().data_ptr() == theta.untyped_storage().data_ptr() for value in params.values()
    )


def test_unflatten_follows_the_documented_order():
    params = one_layer(2, 1, (3,)).unflatten(torch.arange(8.0))
    assert params["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert params["bias"].tolist() == [6, 7]


def test_unflatten_refuses_another_length():
    with pytest.raises(ValueError, match=r"parameters have shape \(7,\); own takes \(8,\)"):
        one_layer(2, 1, (3,)).unflatten(torch.zeros(7))


def load_into(module: nn.Module, model: Model, theta: torch.Tensor) -> None:
    """Modules and flat vectors list parameters in the same order: layer by layer, weight before bias."""
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), model.unflatten(theta).values(), strict=True):
            parameter.copy_(value)


def test_conv4_agrees_with_the_modules_of_torch():
    model = conv4(5, width=6)
    layers: list[nn.Module] = []
    for channels in (1, 6, 6, 6):
        layers += [nn.Conv2d(channels, 6, 3, 2, 1), nn.BatchNorm2d(6, track_running_stats=False), nn.ReLU()]
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(24, 5))
    generator = np.random.default_rng(3)
    theta = torch.tensor(generator.standard_normal(model.num_parameters), dtype=torch.float32)
    load_into(module, model, theta)
    x = torch.tensor(generator.random((10, 1, 28, 28)), dtype=torch.float32)
    torch.testing.assert_close(model.logits(model.unflatten(theta), x), module(x))


def test_mlp_agrees_with_the_modules_of_torch():
    model = mlp(3, width=6, input_shape=(2, 5))
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(10, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)
    )
    draws = np.random.default_rng(4).standard_normal(model.num_parameters)
    theta = torch.tensor(draws, dtype=torch.float32)
    load_into(module, model, theta)
    x = torch.tensor(np.random.default_rng(5).random((4, 2, 5)), dtype=torch.float32)
    torch.testing.assert_close(model.logits(model.unflatten(theta), x), module(x))


def test_loss_of_equal_logits_is_the_log_of_the_number_of_ways():
    model = mlp(7, 3, (4,))
    batch = Batch(torch.ones(7, 4), torch.arange(7))
    assert float(model.loss(torch.zeros(model.num_parameters), batch)) == pytest.approx(np.log(7), rel=1e-6)


def test_initial_values_have_the_documented_spread_and_the_last_layer_is_silent():
    model = conv4(5, 64)
    first, again = (model.initial(np.random.default_rng(1)) for _ in range(2))
    assert first.dtype == np.float32
    assert first.tobytes() == again.tobytes()
    params = model.unflatten(torch.tensor(first))
    # 36,864 draws: the standard deviation is known to 0.4 %, four of its errors allowed.
    assert float(params["conv2.weight"].std()) == pytest.approx(np.sqrt(1 / (3 * 64 * 9)), rel=0.016)
    assert torch.equal(params["norm2.weight"], torch.full((64,), 0.5))
    assert not params["linear.weight"].any()
    assert not params["conv2.bias"].any()
    assert not params["norm2.bias"].any()


def test_models_are_loaded_by_name():
    assert load_model("conv4", 5, 64, (28, 28)).num_parameters == 113_221
    assert load_model("mlp", 5, 8, (28, 28)).name == "mlp"
    assert load_model(f"{__name__}:one_layer", 2, 1, (3,)).name == "own"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conv5", "unknown model 'conv5'; use 'conv4', 'mlp' or"),
        (f"{__name__}:not_a_model", "returned a str; return a devices.learning Model"),
        (f"{__name__}:NUMBER", "is a int; name a callable that returns a Model"),
    ],
)
def test_what_is_no_model_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        load_model(name, 5, 64, (28, 28))


def test_a_reference_that_leads_nowhere_is_a_plugin_error():
    with pytest.raises(PluginError, match="has no 'absent'"):
        load_model(f"{__name__}:absent", 5, 64, (28, 28))


@pytest.mark.parametrize("shape", [(28,), (1, 1, 28, 28)])
def test_conv4_wants_images(shape):
    with pytest.raises(ValueError, match="use 'mlp'"):
        conv4(5, 8, shape)


@pytest.mark.parametrize(
    ("ways", "width", "shape"), [(0, 8, (28, 28)), (5, 0, (28, 28)), (5, 8, (0, 28)), (5, 8, ())]
)
def test_sizes_below_one_are_refused(ways, width, shape):
    with pytest.raises(ValueError, match="each must be at least 1"):
        mlp(ways, width, shape)
