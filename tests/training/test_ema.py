"""The EMA generator agrees with its closed form, with time measured in images."""

import pytest
import torch
from torch import nn

from gan.training.ema import EMA


def constant(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


@pytest.mark.parametrize("batch", [1, 4, 20])
def test_half_life_is_in_images_and_does_not_depend_on_the_batch_size(batch: int) -> None:
    model = constant(0.0)
    ema = EMA(model, half_life=30, warmup=1e9)
    nn.init.constant_(model.weight, 1.0)
    for seen in range(batch, 61, batch):
        ema.update(model, images=batch, seen=seen)
    assert float(ema.module.weight) == pytest.approx(0.75)


def test_closed_form_of_a_changing_weight_with_warm_up() -> None:
    model, expected = constant(5.0), 5.0
    ema = EMA(model, half_life=1000, warmup=0.05)
    for step in range(1, 40):
        value, seen = float(step % 7), 16 * step
        nn.init.constant_(model.weight, value)
        ema.update(model, images=16, seen=seen)
        decay = 0.5 ** (16 / min(1000, 0.05 * seen))
        expected = decay * expected + (1 - decay) * value
    assert float(ema.module.weight) == pytest.approx(expected, rel=1e-5)


def test_it_has_no_gradients_and_its_own_storage() -> None:
    model = nn.BatchNorm2d(2)
    ema = EMA(model, half_life=10)
    assert not any(parameter.requires_grad for parameter in ema.parameters())
    model.running_mean += 3
    assert float(ema.module.running_mean.sum()) == 0
    ema.update(model, 1, 1)
    assert torch.equal(ema.module.running_mean, model.running_mean)
