"""Checkpointed blocks train bit-identically to plain blocks, in less memory."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from gan.networks.checkpointing import Checkpointed, blocks, checkpoint_blocks
from gan.networks.second_derivatives import SecondDerivatives
from gan.training.memory import Division, example
from tests.fake_step import rehearse
from tests.recipes import BATCH, RECIPES, build, fit

DROPOUT = {"pix2pix_unet": ["model.generator.dropout=0.5"]}
LABELS = {"dcgan": ["data.labels=true"]}
FAST = ("sngan",)


def trained(recipe: str, value: bool) -> tuple[dict[str, Tensor], dict[str, list[Tensor]]]:
    options = f"model.checkpoint_blocks={str(value).lower()}", *DROPOUT.get(recipe, []), *LABELS.get(recipe, [])
    module = fit(build(recipe, *options), 5)
    assert value == any(isinstance(part, Checkpointed) for part in module.modules())
    return module.state_dict(), module.loss_log.pending


@pytest.mark.parametrize(
    "recipe", [pytest.param(name, marks=[pytest.mark.slow] * (name not in FAST)) for name in RECIPES]
)
def test_training_is_bit_identical(recipe: str) -> None:
    """Recipes have noise, dropout, BatchNorm, spectral normalization, and lazy and other gradient penalties."""
    (plain, losses), (checkpointed, same_losses) = trained(recipe, False), trained(recipe, True)
    assert plain.keys() == checkpointed.keys()
    assert [name for name, value in plain.items() if not torch.equal(value, checkpointed[name])] == []
    assert losses == same_losses


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["fastgan", "sngan"])
def test_checkpointing_takes_less_memory(recipe: str) -> None:
    module, data = build(recipe, "data.size=32", "model.generator.width=8", "model.discriminator.width=8")
    batch, device = example(module, data, 16), torch.device("cpu")
    plain, less = (rehearse(module, batch, device, None, Division(None, value)) for value in (False, True))
    assert less.resident == plain.resident
    assert less.peak - less.resident < 0.8 * (plain.peak - plain.resident)


def test_blocks_are_the_modules_of_the_outermost_lists() -> None:
    network = nn.ModuleDict(
        {"a": nn.ModuleList([nn.Sequential(nn.ModuleList([nn.Linear(1, 1)]))]), "b": nn.Linear(1, 1)}
    )
    assert list(blocks(network)) == [network["a"][0]]  # type: ignore[index]


def test_checkpointing_is_idempotent_and_copies_are_independent() -> None:
    network = nn.ModuleDict({"a": nn.ModuleList([nn.Linear(2, 2)])})
    checkpoint_blocks(network)
    kind = type(network["a"][0])  # type: ignore[index]
    checkpoint_blocks(network)
    assert type(network["a"][0]) is kind and isinstance(network["a"][0], nn.Linear)  # type: ignore[index]
    other = copy.deepcopy(network)
    nn.init.zeros_(other["a"][0].weight)  # type: ignore[index]
    nn.init.zeros_(other["a"][0].bias)  # type: ignore[index]
    x = torch.ones(1, 2, requires_grad=True)
    assert not other["a"][0](x).any() and network["a"][0](x).any()  # type: ignore[index]


def test_second_derivatives_are_bit_identical() -> None:
    torch.manual_seed(0)
    network = nn.ModuleDict({"a": nn.ModuleList([nn.Sequential(nn.Conv2d(2, 2, 3), nn.Tanh())])})
    block = network["a"][0]  # type: ignore[index]

    def gradients() -> list[Tensor]:
        x = torch.ones(BATCH, 2, 5, 5, requires_grad=True)
        with SecondDerivatives():
            y = block(x)
        (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return list(torch.autograd.grad(gradient.square().sum(), list(block.parameters())))

    before = gradients()
    checkpoint_blocks(network)
    assert all(torch.equal(one, other) for one, other in zip(gradients(), before, strict=True))
